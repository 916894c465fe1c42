//! Messages on their way out and in, and the adversary between a faulty replica and its links.

use super::clock::Clock;
use super::laboratory::{Seen, Watcher};
use bytes::Bytes;
use pbft::message::Kind;
use pbft::{ClientId, Config, Message, Recipients, ReplicaId, Sender, wire};
use quorate_adversary::{Adversary, Behaviour, Endpoint, Identity, Payload, Sending};
use quorate_net::{Class, Clients, Peers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Messages that an adversary holds back; more are lost.
const DELAYED_COUNT_MAX: usize = 1 << 16;

/// Where messages go.
pub(super) struct Links {
    config: Arc<Config>,
    peers: Peers,
    clients: Clients,
    identity: Identity,
    watcher: Option<Watcher>,
    adversary: Option<Adversary>,
    /// When the adversary is to be gone again.
    heal_at: Option<Instant>,
    /// What it holds back, by when it leaves and a count that tells equal moments apart.
    delayed: BTreeMap<(Instant, u64), (Endpoint, Payload)>,
    delayed_count: u64,
}

impl Links {
    pub(super) fn new(
        identity: Identity,
        peers: Peers,
        clients: Clients,
        watcher: Option<Watcher>,
    ) -> Self {
        Self {
            config: Arc::clone(&identity.config),
            peers,
            clients,
            identity,
            watcher,
            adversary: None,
            heal_at: None,
            delayed: BTreeMap::new(),
            delayed_count: 0,
        }
    }

    pub(super) fn send(&mut self, to: Recipients, message: &Message) {
        self.see(Seen::Sends { to, message });
        if self.adversary.is_some() {
            let own = self.identity.id;
            let others: Vec<ReplicaId> = match to {
                Recipients::One(id) => vec![id],
                Recipients::Others => self.config.replica_ids().filter(|id| *id != own).collect(),
            };
            for id in others {
                self.send_through_adversary(Endpoint::Replica(id), message.clone());
            }
            return;
        }
        let (class, frame) = self.encode(message);
        match to {
            Recipients::Others => {
                for id in self.config.replica_ids().filter(|id| *id != self.identity.id) {
                    self.leaves(
                        Endpoint::Replica(id),
                        Some(message.kind()),
                        &frame,
                        Duration::ZERO,
                    );
                }
                self.peers.broadcast(class, &frame);
            }
            Recipients::One(id) => {
                self.leaves(Endpoint::Replica(id), Some(message.kind()), &frame, Duration::ZERO);
                self.peers.send(id, class, frame);
            }
        }
    }

    pub(super) fn reply(&mut self, client: ClientId, message: Message) {
        self.see(Seen::Replies { client, message: &message });
        if self.adversary.is_some() {
            self.send_through_adversary(Endpoint::Client(client), message);
        } else {
            self.send_now(Endpoint::Client(client), &Payload::Message(message));
        }
    }

    /// What the replica gets to see of a message that arrived, if it is faulty.
    pub(super) fn seen_by_adversary(&mut self, from: Sender, message: Message) -> Option<Message> {
        let endpoint = match from {
            Sender::Replica(id) => Endpoint::Replica(id),
            Sender::Client(id) => Endpoint::Client(id),
        };
        let Some(adversary) = &mut self.adversary else { return Some(message) };
        let mut sendings = Vec::new();
        let shown = adversary.on_receive(endpoint, message, &mut sendings);
        self.send_all(sendings);
        shown
    }

    /// Makes the replica faulty, for so long or for ever. `seed` decides what it does at random.
    pub(super) fn set_faulty(&mut self, behaviour: Behaviour, seed: u64, span: Option<Duration>) {
        self.adversary = Some(Adversary::new(behaviour, self.identity.clone(), seed));
        self.heal_at = span.and_then(|span| Instant::now().checked_add(span));
        tracing::warn!(%behaviour, "this replica is told to misbehave");
    }

    pub(super) fn heal(&mut self) {
        if self.adversary.take().is_some() {
            tracing::warn!("this replica behaves well again");
        }
        self.heal_at = None;
    }

    pub(super) fn behaviour(&self) -> Option<Behaviour> {
        self.adversary.as_ref().map(Adversary::behaviour)
    }

    pub(super) fn connected(&self) -> Vec<u32> {
        let peers = self.config.replica_ids().filter(|id| self.peers.is_connected(*id));
        peers.map(ReplicaId::get).collect()
    }

    /// When [`Links::on_time`] is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.delayed.first_key_value().map(|((due, _), _)| *due);
        [first, self.heal_at].into_iter().flatten().min()
    }

    /// Lets go what was held back long enough.
    pub(super) fn on_time(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let (to, payload) = entry.remove();
            let (class, frame) = self.framed(&payload);
            self.pass_on(to, class, frame);
        }
        if self.heal_at.is_some_and(|due| due <= now) {
            self.heal();
        }
    }

    fn send_through_adversary(&mut self, to: Endpoint, message: Message) {
        let Some(adversary) = &mut self.adversary else { return };
        let sendings = adversary.on_send(to, message);
        self.send_all(sendings);
    }

    /// Sends what an adversary wants to be sent.
    fn send_all(&mut self, sendings: Vec<Sending>) {
        for Sending { delay, to, payload } in sendings {
            if delay.is_zero() {
                self.send_now(to, &payload);
            } else if self.delayed.len() < DELAYED_COUNT_MAX {
                if self.watcher.is_some() {
                    let (_, frame) = self.framed(&payload);
                    self.leaves(to, kind_of(&payload), &frame, delay);
                }
                self.delayed_count += 1;
                let due = Instant::now() + delay;
                self.delayed.insert((due, self.delayed_count), (to, payload));
            }
        }
    }

    fn send_now(&self, to: Endpoint, payload: &Payload) {
        let (class, frame) = self.framed(payload);
        self.leaves(to, kind_of(payload), &frame, Duration::ZERO);
        self.pass_on(to, class, frame);
    }

    fn framed(&self, payload: &Payload) -> (Class, Bytes) {
        match payload {
            Payload::Message(message) => self.encode(message),
            // Among the votes it reaches the protocol thread at once.
            Payload::Bytes(bytes) => {
                (fitting(Class::Votes, bytes.len()), Bytes::copy_from_slice(bytes))
            }
        }
    }

    fn pass_on(&self, to: Endpoint, class: Class, frame: Bytes) {
        match to {
            Endpoint::Replica(id) => self.peers.send(id, class, frame),
            Endpoint::Client(id) => self.clients.send(id, &frame),
        }
    }

    fn leaves(&self, to: Endpoint, kind: Option<Kind>, frame: &[u8], after: Duration) {
        self.see(Seen::Leaves { to, kind, frame, after });
    }

    fn see(&self, seen: Seen<'_>) {
        if let Some(watcher) = &self.watcher {
            watcher.see(seen);
        }
    }

    fn encode(&self, message: &Message) -> (Class, Bytes) {
        let frame = Bytes::from(wire::encode(self.config.domain.epoch, message));
        (fitting(class_of(message), frame.len()), frame)
    }
}

/// The connection for a frame of this length: the other one, if it is too long for this.
fn fitting(class: Class, bytes: usize) -> Class {
    if bytes <= class.frame_bytes_max() { class } else { Class::Bulk }
}

/// What kind of message it is, if it is one.
fn kind_of(payload: &Payload) -> Option<Kind> {
    match payload {
        Payload::Message(message) => Some(message.kind()),
        Payload::Bytes(_) => None,
    }
}

/// Which of the two connections a message takes: the short ones on which the order of requests
/// waits, or the other.
///
/// STATUS must take that of HELLO: peers see by it that the start named there was let in, so none
/// of an earlier start may come behind it [RJ1].
fn class_of(message: &Message) -> Class {
    match message {
        Message::Hello(_)
        | Message::HelloReply(_)
        | Message::Prepare(_)
        | Message::Commit(_)
        | Message::Status(_)
        | Message::Committed(_)
        | Message::FetchBatch(_)
        | Message::FetchPrePrepare(..)
        | Message::FetchState(_) => Class::Votes,
        Message::Request(_)
        | Message::Reply(_)
        | Message::Read(_)
        | Message::ReadReply(_)
        | Message::PrePrepare(..)
        | Message::Outline(..)
        | Message::Checkpoint(_)
        | Message::Stable(_)
        | Message::ViewChange(_)
        | Message::NewView(_)
        | Message::Batch(_)
        | Message::PrePrepareSeen(_)
        | Message::StateParts(_)
        | Message::Rejoin(_) => Class::Bulk,
    }
}

/// Whether the door has no signature to check in this message.
pub(super) fn is_unsigned(message: &Message) -> bool {
    class_of(message) == Class::Votes
}

/// When a replica with these deadlines must look at the clock again.
pub(super) fn earliest(clock: &Clock, host: Option<pbft::Time>, links: &Links) -> Option<Instant> {
    let host = host.map(|time| clock.instant(time));
    [host, links.next_due()].into_iter().flatten().min()
}
