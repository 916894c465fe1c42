//! What this crate counts. Plain numbers: whoever exports them decides how they are called.

use crate::Class;
use pbft::ReplicaId;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A number that many tasks change without locking.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, amount: usize) {
        // A usize has at most 64 bits on every platform Rust knows.
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, amount: usize) {
        self.0.fetch_sub(amount as u64, Ordering::Relaxed);
    }
}

/// Traffic of one kind of link. Frames are counted without keep-alives, bytes with length fields.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Connections open now.
    pub connections: Counter,
    /// Connections ever opened.
    pub connections_opened: Counter,
    /// Attempts to dial that failed.
    pub dials_failed: Counter,
    /// Frames handed to the transport.
    pub frames_sent: Counter,
    /// Bytes handed to the transport.
    pub bytes_sent: Counter,
    /// How often frames were handed to it, many or one at a time.
    pub writes: Counter,
    /// Frames read.
    pub frames_received: Counter,
    /// Bytes read.
    pub bytes_received: Counter,
    /// Outgoing frames dropped because a queue was full.
    pub frames_dropped: Counter,
    /// Connections ended because the other side announced a frame above the limit.
    pub frames_oversize: Counter,
    /// Connections ended because nothing arrived for too long.
    pub silences: Counter,
    /// Connections ended because nothing could be sent for too long.
    pub stalls: Counter,
    /// How often reading paused because the sender had used up its budget.
    pub pauses: Counter,
}

/// The counters of one peer, per class.
#[derive(Debug, Default)]
pub struct PeerCounters {
    /// The connection for votes.
    pub votes: Arc<LinkCounters>,
    /// The connection for everything else.
    pub bulk: Arc<LinkCounters>,
}

impl PeerCounters {
    pub(crate) fn class(&self, class: Class) -> &Arc<LinkCounters> {
        match class {
            Class::Votes => &self.votes,
            Class::Bulk => &self.bulk,
        }
    }
}

/// What a client counts.
#[derive(Debug, Default)]
pub struct ClientMetrics {
    /// The connection to each replica.
    pub replicas: BTreeMap<ReplicaId, Arc<LinkCounters>>,
    /// Frames from replicas that were no REPLY of this cluster.
    pub replies_rejected: Counter,
    /// Replies that nobody waited for any more, or that held what a client takes once only; they
    /// were not decoded.
    pub replies_unwanted: Counter,
    /// Messages sent, retransmissions included, be it to one replica or to all.
    pub requests_sent: Counter,
    /// Operations whose result was accepted.
    pub operations_completed: Counter,
    /// Operations given up at their deadline.
    pub operations_timed_out: Counter,
}

impl ClientMetrics {
    pub(crate) fn new(replicas: impl IntoIterator<Item = ReplicaId>) -> Self {
        let replicas = replicas.into_iter().map(|replica| (replica, Arc::default())).collect();
        Self { replicas, ..Self::default() }
    }
}

/// Everything counted by one replica.
#[derive(Debug, Default)]
pub struct NetMetrics {
    /// Each peer, by replica.
    pub peers: BTreeMap<ReplicaId, Arc<PeerCounters>>,
    /// All clients together.
    pub clients: Arc<LinkCounters>,
    /// Connections accepted, before any identity is known.
    pub accepted: Counter,
    /// Times the operating system could not accept a connection.
    pub accept_errors: Counter,
    /// Handshakes that failed for another reason than those below: no TLS, wrong version, garbage.
    pub handshakes_failed: Counter,
    /// Handshakes with a key that is not in the configuration.
    pub handshakes_unknown_key: Counter,
    /// Handshakes that took too long.
    pub handshakes_timed_out: Counter,
    /// Handshakes closed to make room for newer ones.
    pub handshakes_evicted: Counter,
    /// Known keys turned away: wrong kind of link for this key, or a limit of connections.
    pub connections_refused: Counter,
}

impl NetMetrics {
    /// Zeroes, with a place for each of the given peers.
    pub fn new(peers: impl IntoIterator<Item = ReplicaId>) -> Self {
        Self {
            peers: peers.into_iter().map(|peer| (peer, Arc::default())).collect(),
            ..Self::default()
        }
    }
}
