//! Every vice of a faulty replica once, as a filter on messages, without I/O.
//!
//! A faulty replica is the unchanged correct one with an [`Adversary`] between it and its links:
//! the adversary sees each message that leaves or arrives, and lets it pass, holds it back, delays
//! it, changes it or multiplies it. It has the replica's real keys, so its lies are well signed. It
//! needs no copy of the protocol, so none can rot.
//!
//! The lab wraps simulated replicas, a node wraps itself, and that only in a cluster whose
//! configuration says that it is a laboratory.
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

mod behaviour;
mod dice;
mod vice;

pub use behaviour::{
    Behaviour, Disproof, Fabricated, Field, Jump, KindSet, Phase, Repeated, ReplicaSet, ReplyLie,
    Slowed, StateLie, Step, UnknownBehaviour, parse_time,
};
pub use vice::mutants;

use core::fmt;
use core::time::Duration;
use pbft::message::SignedBody;
use pbft::{ClientId, Config, Message, ReplicaId, Signed, SigningKey};
use std::sync::Arc;
use vice::Vice;

/// Whose link a message leaves or arrives on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Endpoint {
    /// A replica of the cluster.
    Replica(ReplicaId),
    /// A client of the cluster.
    Client(ClientId),
}

/// Something on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    /// How long to hold it back.
    pub delay: Duration,
    /// Whom to send it to.
    pub to: Endpoint,
    /// What to send.
    pub payload: Payload,
}

/// What travels on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// A message, encoded as every message is.
    Message(Message),
    /// A frame of these bytes, which need not be a message at all. Never empty.
    Bytes(Vec<u8>),
}

/// What an adversary lies with: the replica's place in the cluster, and its keys.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster.
    pub config: Arc<Config>,
    /// The faulty replica.
    pub id: ReplicaId,
    /// Its real key.
    pub key: SigningKey,
    /// How a service's result is falsified. The same result must give the same lie, so that
    /// replicas that lie together agree; [`flip_last_byte`] knows nothing of the service, one that
    /// does is more convincing.
    pub forge: fn(&[u8]) -> Vec<u8>,
}

/// A faulty replica's will, between the replica and its links.
#[derive(Debug)]
pub struct Adversary {
    behaviour: Behaviour,
    vice: Box<dyn Vice>,
}

impl Adversary {
    /// An adversary that shows `behaviour`. `seed` decides what it does at random, if anything.
    pub fn new(behaviour: Behaviour, identity: Identity, seed: u64) -> Self {
        Self { behaviour, vice: vice::of(behaviour, identity, seed) }
    }

    /// Which behaviour it shows.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// What really leaves when the replica sends `message` to `to`; a message to all is shown once
    /// for each receiver.
    pub fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        self.vice.on_send(to, message)
    }

    /// What the replica gets to see of a message that arrives; `None` if nothing. What the
    /// adversary sends because of it is appended to `sendings`.
    pub fn on_receive(
        &mut self,
        from: Endpoint,
        message: Message,
        sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        self.vice.on_receive(from, message, sendings)
    }
}

impl Identity {
    /// Signs with the replica's real key, and in its name.
    pub fn sign<T: SignedBody>(&self, body: T) -> Signed<T> {
        Signed::sign(&self.config.domain, &self.key, self.id, body)
    }

    /// The other replicas, in ascending order.
    fn others(&self) -> impl DoubleEndedIterator<Item = ReplicaId> + use<> {
        let (count, own) = (self.config.replica_count(), self.id);
        (0..count).map(ReplicaId::new).filter(move |id| *id != own)
    }
}

/// The lie about a result that needs no knowledge of the service: its last byte is another, or it
/// has a byte where it had none.
pub fn flip_last_byte(result: &[u8]) -> Vec<u8> {
    match result.split_last() {
        Some((last, rest)) => [rest, &[!last]].concat(),
        None => vec![0],
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(replica) => write!(f, "replica {replica}"),
            Self::Client(client) => write!(f, "client {client}"),
        }
    }
}

#[cfg(test)]
mod tests;
