//! What waits for the threads of a pool: one lane per sender, served in turn.
//!
//! A lane is with one thread at a time, so that its messages stay in order, and of each lane one
//! message is taken before it is the turn of the next: a sender delays others by one of its
//! messages at most, whatever it sends.

use bytes::Bytes;
use pbft::Sender;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A lane has room until what it holds comes to so many bytes. A signature takes 64 bytes on the
/// wire and more with what it signs, so this bounds the checks too: a few hundred, and those of
/// the messages that came while there was room.
const LANE_BYTES_MAX: usize = 32 << 10;

/// The lanes of a pool.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Wakes a thread that has no work.
    filled: Condvar,
    /// Wakes whoever waits for room.
    emptied: Notify,
}

/// **Invariants:** `turns` holds each sender once whose lane has messages and is with no thread.
/// A lane without messages and places is not kept.
#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<Sender, Lane>,
    turns: VecDeque<Sender>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Bytes, Place)>,
    /// Bytes of the messages whose places are held.
    held_bytes: usize,
    /// How many places are held.
    held_count: usize,
    /// Whether a thread is at work on one of its messages.
    is_served: bool,
}

/// The place of a message in its lane, from its arrival until the protocol thread has taken it, so
/// that what waits there is bounded by the lanes as well.
#[derive(Debug)]
pub(in crate::node) struct Place {
    lanes: Arc<Lanes>,
    sender: Sender,
    bytes: usize,
}

impl Lanes {
    /// Whether another message of this sender should be taken in.
    pub(super) fn has_room(&self, sender: Sender) -> bool {
        self.lock().lanes.get(&sender).is_none_or(|lane| lane.held_bytes < LANE_BYTES_MAX)
    }

    /// Whether nothing of this sender is under way.
    pub(super) fn is_idle(&self, sender: Sender) -> bool {
        !self.lock().lanes.contains_key(&sender)
    }

    /// Returns when a lane has room again that had none, even if that was before the call.
    pub(super) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    /// A place for a message.
    pub(super) fn enter(self: &Arc<Self>, sender: Sender, bytes: usize) -> Place {
        let mut state = self.lock();
        let lane = state.lanes.entry(sender).or_default();
        lane.held_bytes += bytes;
        lane.held_count += 1;
        Place { lanes: Arc::clone(self), sender, bytes }
    }

    /// Hands a message to the threads.
    pub(super) fn push(&self, frame: Bytes, place: Place) {
        let sender = place.sender;
        let mut state = self.lock();
        let lane = state.lanes.get_mut(&sender).expect("a lane with a place exists");
        lane.waiting.push_back((frame, place));
        if lane.waiting.len() == 1 && !lane.is_served {
            state.turns.push_back(sender);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits until there are messages and takes at least one, and more of other lanes as long as
    /// there are fewer than `count_max` and less than `bytes_max`; `None` once the lanes are closed.
    /// Each of these lanes rests until [`Lanes::finish_turn`].
    pub(super) fn take(
        &self,
        count_max: usize,
        bytes_max: usize,
    ) -> Option<Vec<((Sender, Bytes), Place)>> {
        let idle = |state: &mut State| state.turns.is_empty() && !state.is_closed;
        let waited = self.filled.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < count_max
            && bytes < bytes_max
            && let Some(sender) = state.turns.pop_front()
        {
            let lane = state.lanes.get_mut(&sender).expect("a lane with a turn exists");
            let (frame, place) =
                lane.waiting.pop_front().expect("a lane with a turn has a message");
            lane.is_served = true;
            bytes += frame.len();
            taken.push(((sender, frame), place));
        }
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// The message taken from this lane was handed on.
    pub(super) fn finish_turn(&self, sender: Sender) {
        let mut state = self.lock();
        // The place of that message may be gone already, and the lane with it.
        let Some(lane) = state.lanes.get_mut(&sender) else { return };
        lane.is_served = false;
        if lane.waiting.is_empty() {
            state.forget_if_unused(sender);
        } else {
            state.turns.push_back(sender);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Drops what waits and lets the threads end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.turns.clear();
        let waiting: Vec<_> =
            state.lanes.values_mut().flat_map(|lane| std::mem::take(&mut lane.waiting)).collect();
        drop(state);
        // Places take the lock when they go.
        drop(waiting);
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_if_unused(&mut self, sender: Sender) {
        if self.lanes.get(&sender).is_some_and(|lane| lane.held_count == 0 && !lane.is_served) {
            self.lanes.remove(&sender);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        let lane = state.lanes.get_mut(&self.sender).expect("a lane with a place exists");
        let was_full = lane.held_bytes >= LANE_BYTES_MAX;
        lane.held_bytes -= self.bytes;
        lane.held_count -= 1;
        let is_relieved = was_full && lane.held_bytes < LANE_BYTES_MAX;
        state.forget_if_unused(self.sender);
        drop(state);
        if is_relieved {
            self.lanes.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbft::{ClientId, ReplicaId};

    const A: Sender = Sender::Replica(ReplicaId::new(0));
    const B: Sender = Sender::Replica(ReplicaId::new(1));
    const CLIENT: Sender = Sender::Client(ClientId::new(1));

    fn push(lanes: &Arc<Lanes>, sender: Sender, byte: u8, bytes: usize) {
        let place = lanes.enter(sender, bytes);
        lanes.push(Bytes::from(vec![byte; bytes]), place);
    }

    fn take_one(lanes: &Lanes) -> ((Sender, Bytes), Place) {
        lanes.take(1, 1).unwrap().pop().unwrap()
    }

    /// Takes a message whose turn does not end yet.
    fn take(lanes: &Lanes) -> (Sender, u8) {
        let ((sender, frame), _place) = take_one(lanes);
        (sender, frame[0])
    }

    #[test]
    fn several_messages_are_taken_from_as_many_lanes_up_to_a_limit() {
        let lanes = Arc::new(Lanes::default());
        for sender in [A, A, B, CLIENT] {
            push(&lanes, sender, 7, 10);
        }
        let senders = |count_max, bytes_max| {
            let taken = lanes.take(count_max, bytes_max).unwrap();
            let senders: Vec<Sender> = taken.iter().map(|((sender, _), _)| *sender).collect();
            senders.iter().for_each(|sender| lanes.finish_turn(*sender));
            senders
        };
        assert_eq!(senders(3, 11), [A, B]);
        assert_eq!(senders(1, 100), [CLIENT]);
        assert_eq!(senders(3, 100), [A]);
    }

    #[test]
    fn lanes_are_served_in_turn_and_each_keeps_its_order() {
        let lanes = Arc::new(Lanes::default());
        for byte in 0..3 {
            push(&lanes, A, byte, 1);
        }
        push(&lanes, B, 10, 1);
        push(&lanes, CLIENT, 20, 1);
        let mut taken = Vec::new();
        for _ in 0..5 {
            taken.push(take(&lanes));
            lanes.finish_turn(taken.last().unwrap().0);
        }
        assert_eq!(taken, [(A, 0), (B, 10), (CLIENT, 20), (A, 1), (A, 2)]);
        assert!(lanes.lock().lanes.is_empty());
    }

    #[test]
    fn lane_is_with_one_thread_at_a_time() {
        let lanes = Arc::new(Lanes::default());
        push(&lanes, A, 0, 1);
        push(&lanes, A, 1, 1);
        assert_eq!(take(&lanes), (A, 0));
        assert!(lanes.lock().turns.is_empty());
        push(&lanes, B, 10, 1);
        assert_eq!(take(&lanes), (B, 10));
        lanes.finish_turn(A);
        assert_eq!(take(&lanes), (A, 1));
    }

    #[test]
    fn full_lane_has_no_room_until_a_place_is_given_up_and_others_do() {
        let lanes = Arc::new(Lanes::default());
        push(&lanes, A, 0, LANE_BYTES_MAX - 1);
        assert!(lanes.has_room(A));
        push(&lanes, A, 1, LANE_BYTES_MAX);
        assert!(!lanes.has_room(A) && lanes.has_room(B));
        let ((sender, _), place) = take_one(&lanes);
        lanes.finish_turn(sender);
        assert!(!lanes.has_room(A));
        drop(place);
        assert!(!lanes.has_room(A));
        drop(take_one(&lanes));
        assert!(lanes.has_room(A));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_woken() {
        let lanes = Arc::new(Lanes::default());
        let place = lanes.enter(A, LANE_BYTES_MAX);
        tokio::join!(lanes.emptied(), async { drop(place) });
        assert!(lanes.has_room(A) && lanes.is_idle(A));
    }

    #[test]
    fn closing_drops_what_waits() {
        let lanes = Arc::new(Lanes::default());
        push(&lanes, A, 0, 1);
        let (_, place) = take_one(&lanes);
        push(&lanes, A, 1, 1);
        lanes.close();
        assert!(lanes.take(1, 1).is_none());
        drop(place);
        lanes.finish_turn(A);
        assert!(lanes.lock().lanes.is_empty());
        assert_eq!(Arc::strong_count(&lanes), 1);
    }
}
