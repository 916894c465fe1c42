//! What arrives from the other replicas, in the order in which it is best taken: who came and
//! went, then votes, then bulk; each peer in turn.

use super::Class;
use crate::{
    fair_queue::FairQueue,
    limits::{
        BULK_LANE_BYTES_MAX, BULK_LANE_COUNT_MAX, VOTE_LANE_BYTES_MAX, VOTE_LANE_COUNT_MAX,
        VOTES_IN_A_ROW_MAX,
    },
    send_queue::QueueLimit,
};
use bytes::Bytes;
use pbft::ReplicaId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, task::JoinSet};

/// Something happened to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Both connections of the peer are up. What was sent before may have been lost.
    Connected(ReplicaId),
    /// At least one of its connections is down.
    Disconnected(ReplicaId),
    /// The peer sent this.
    Frame(ReplicaId, Class, Bytes),
}

/// Receives from all peers. Dropping it ends all links.
pub struct PeerInbox {
    inbox: Arc<Inbox>,
    votes_in_a_row: u32,
    /// Held so that the links end with it.
    _tasks: JoinSet<()>,
}

impl PeerInbox {
    pub(super) fn new(inbox: Arc<Inbox>, tasks: JoinSet<()>) -> Self {
        Self { inbox, votes_in_a_row: 0, _tasks: tasks }
    }

    /// Waits for the next event. Bulk comes only of peers for whom `takes_bulk` holds; that of the
    /// others stays where it is until a later call, and once their lanes are full their links are
    /// not read. Cancellation safe.
    pub async fn recv(&mut self, takes_bulk: impl Fn(ReplicaId) -> bool) -> PeerEvent {
        loop {
            // Links may share this thread: under load they get their turns here.
            tokio::task::coop::consume_budget().await;
            if let Some(event) = self.try_recv(&takes_bulk) {
                return event;
            }
            self.inbox.arrived.notified().await;
        }
    }

    /// The next event, if there is one; `takes_bulk` as in [`PeerInbox::recv`].
    pub fn try_recv(&mut self, takes_bulk: impl Fn(ReplicaId) -> bool) -> Option<PeerEvent> {
        if let Some(event) = self.inbox.take_change() {
            return Some(event);
        }
        if self.votes_in_a_row >= VOTES_IN_A_ROW_MAX {
            self.votes_in_a_row = 0;
            if let Some(bulk) = self.take(Class::Bulk, &takes_bulk) {
                return Some(bulk);
            }
        }
        let votes = self.take(Class::Votes, |_| true);
        if votes.is_some() {
            self.votes_in_a_row += 1;
            return votes;
        }
        self.votes_in_a_row = 0;
        self.take(Class::Bulk, takes_bulk)
    }

    fn take(&self, class: Class, is_wanted: impl Fn(ReplicaId) -> bool) -> Option<PeerEvent> {
        let (peer, frame) = self.inbox.class(class).try_take(is_wanted)?;
        Some(PeerEvent::Frame(peer, class, frame))
    }
}

/// The shared part, filled by the links.
pub(super) struct Inbox {
    arrived: Arc<Notify>,
    votes: FairQueue<ReplicaId>,
    bulk: FairQueue<ReplicaId>,
    presence: Mutex<BTreeMap<ReplicaId, Presence>>,
}

/// Whether a peer is there, and what the owner was told about it.
///
/// Changes are kept as a state and not as a queue of events, so that a peer that connects and
/// disconnects all day takes no memory.
#[derive(Default)]
struct Presence {
    votes_up: bool,
    bulk_up: bool,
    /// Grows with every time both connections are up.
    session: u64,
    /// The session the owner knows of *(while it believes the peer to be connected)*.
    reported: Option<u64>,
}

impl Presence {
    fn is_connected(&self) -> bool {
        self.votes_up && self.bulk_up
    }

    fn class(&mut self, class: Class) -> &mut bool {
        match class {
            Class::Votes => &mut self.votes_up,
            Class::Bulk => &mut self.bulk_up,
        }
    }
}

impl Inbox {
    pub(super) fn new(peers: impl Iterator<Item = ReplicaId>) -> Self {
        let arrived = Arc::new(Notify::new());
        let votes = QueueLimit { count_max: VOTE_LANE_COUNT_MAX, bytes_max: VOTE_LANE_BYTES_MAX };
        let bulk = QueueLimit { count_max: BULK_LANE_COUNT_MAX, bytes_max: BULK_LANE_BYTES_MAX };
        Self {
            votes: FairQueue::new(votes, Arc::clone(&arrived)),
            bulk: FairQueue::new(bulk, Arc::clone(&arrived)),
            arrived,
            presence: Mutex::new(peers.map(|peer| (peer, Presence::default())).collect()),
        }
    }

    /// Adds a frame, waiting while the peer's lane is full.
    pub(super) async fn push(&self, peer: ReplicaId, class: Class, frame: Bytes) {
        self.class(class).push(peer, frame).await;
    }

    pub(super) fn is_connected(&self, peer: ReplicaId) -> bool {
        self.lock().get(&peer).is_some_and(Presence::is_connected)
    }

    /// Marks a connection as up until the result is dropped.
    pub(super) fn enter(self: &Arc<Self>, peer: ReplicaId, class: Class) -> Entered {
        self.set(peer, class, true);
        Entered { inbox: Arc::clone(self), peer, class }
    }

    fn set(&self, peer: ReplicaId, class: Class, up: bool) {
        if let Some(presence) = self.lock().get_mut(&peer) {
            let was_connected = presence.is_connected();
            *presence.class(class) = up;
            if !was_connected && presence.is_connected() {
                presence.session += 1;
            }
        }
        self.arrived.notify_one();
    }

    /// The next change the owner does not know of. A peer that went and came back in between is
    /// reported as disconnected first.
    fn take_change(&self) -> Option<PeerEvent> {
        self.lock().iter_mut().find_map(|(peer, presence)| {
            let actual = presence.is_connected().then_some(presence.session);
            if presence.reported == actual {
                return None;
            }
            if presence.reported.take().is_some() {
                return Some(PeerEvent::Disconnected(*peer));
            }
            presence.reported = actual;
            Some(PeerEvent::Connected(*peer))
        })
    }

    fn class(&self, class: Class) -> &FairQueue<ReplicaId> {
        match class {
            Class::Votes => &self.votes,
            Class::Bulk => &self.bulk,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Presence>> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection is up.
pub(super) struct Entered {
    inbox: Arc<Inbox>,
    peer: ReplicaId,
    class: Class,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.inbox.set(self.peer, self.class, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId::new(1);
    const B: ReplicaId = ReplicaId::new(2);

    fn inbox() -> (Arc<Inbox>, PeerInbox) {
        let inbox = Arc::new(Inbox::new([A, B].into_iter()));
        (Arc::clone(&inbox), PeerInbox::new(inbox, JoinSet::new()))
    }

    #[tokio::test]
    async fn peer_is_connected_while_both_its_connections_are() {
        let (inbox, mut events) = inbox();
        let votes = inbox.enter(A, Class::Votes);
        assert_eq!(events.try_recv(|_| true), None);
        let bulk = inbox.enter(A, Class::Bulk);
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Connected(A)));
        assert!(inbox.is_connected(A) && !inbox.is_connected(B));
        drop(votes);
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Disconnected(A)));
        drop(bulk);
        assert_eq!(events.try_recv(|_| true), None);
    }

    #[tokio::test]
    async fn reconnection_between_two_looks_is_seen_as_such() {
        let (inbox, mut events) = inbox();
        let _bulk = inbox.enter(A, Class::Bulk);
        let votes = inbox.enter(A, Class::Votes);
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Connected(A)));
        drop(votes);
        let votes = inbox.enter(A, Class::Votes);
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Disconnected(A)));
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Connected(A)));
        assert_eq!(events.try_recv(|_| true), None);
        for _ in 0..1000 {
            drop(inbox.enter(B, Class::Votes));
        }
        drop(votes);
        assert_eq!(events.try_recv(|_| true), Some(PeerEvent::Disconnected(A)));
        assert_eq!(events.try_recv(|_| true), None);
    }

    #[tokio::test]
    async fn bulk_of_an_unwanted_peer_waits_and_its_votes_do_not() {
        let (inbox, mut events) = inbox();
        let frame = Bytes::from_static(b"x");
        for class in [Class::Bulk, Class::Votes] {
            inbox.push(A, class, frame.clone()).await;
        }
        inbox.push(B, Class::Bulk, frame.clone()).await;
        let not_a = |peer| peer != A;
        assert_eq!(events.recv(not_a).await, PeerEvent::Frame(A, Class::Votes, frame.clone()));
        assert_eq!(events.recv(not_a).await, PeerEvent::Frame(B, Class::Bulk, frame.clone()));
        assert_eq!(events.try_recv(not_a), None);
        assert_eq!(events.recv(|_| true).await, PeerEvent::Frame(A, Class::Bulk, frame));
    }

    #[tokio::test]
    async fn votes_overtake_bulk_but_never_lock_it_out() {
        let (inbox, mut events) = inbox();
        let frame = Bytes::from_static(b"x");
        inbox.push(A, Class::Bulk, frame.clone()).await;
        inbox.push(A, Class::Bulk, frame.clone()).await;
        for _ in 0..2 * VOTES_IN_A_ROW_MAX {
            inbox.push(B, Class::Votes, frame.clone()).await;
        }
        let bulk_positions: Vec<_> = std::iter::from_fn(|| events.try_recv(|_| true))
            .enumerate()
            .filter(|(_, event)| matches!(event, PeerEvent::Frame(_, Class::Bulk, _)))
            .map(|(position, _)| position)
            .collect();
        let turn = VOTES_IN_A_ROW_MAX as usize;
        assert_eq!(bulk_positions, [turn, 2 * turn + 1]);
    }
}
