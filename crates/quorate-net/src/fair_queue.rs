//! What was read from many senders and waits to be taken: one bounded lane per sender, emptied in
//! turn, so that a sender who floods fills its own lane and delays nobody else.

use crate::send_queue::QueueLimit;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Lanes of frames keyed by sender, with one reader.
#[derive(Debug)]
pub(crate) struct FairQueue<K> {
    limit: QueueLimit,
    lanes: Mutex<Lanes<K>>,
    /// Wakes the reader; several queues with the same reader share it.
    arrived: Arc<Notify>,
}

/// **Invariant:** `turns` holds the keys of the lanes that are not empty, each once.
#[derive(Debug)]
struct Lanes<K> {
    lanes: BTreeMap<K, Lane>,
    turns: VecDeque<K>,
}

/// **Invariant:** `bytes` is the sum of the lengths of `frames`.
#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Wakes those who wait to add to this lane.
    room: Arc<Notify>,
}

impl<K: Ord + Copy> FairQueue<K> {
    pub(crate) fn new(limit: QueueLimit, arrived: Arc<Notify>) -> Self {
        let lanes = Mutex::new(Lanes { lanes: BTreeMap::new(), turns: VecDeque::new() });
        Self { limit, lanes, arrived }
    }

    /// Adds a frame to its sender's lane, waiting while that lane is full.
    ///
    /// Cancellation safe: the frame is added only when this returns.
    pub(crate) async fn push(&self, sender: K, frame: Bytes) {
        loop {
            let Some(room) = self.try_push(sender, &frame) else {
                return;
            };
            room.notified().await;
        }
    }

    /// Adds the frame, or returns what to wait for.
    fn try_push(&self, sender: K, frame: &Bytes) -> Option<Arc<Notify>> {
        let mut guard = self.lock();
        let Lanes { lanes, turns } = &mut *guard;
        let lane = lanes.entry(sender).or_default();
        if !lane.has_room(frame.len(), self.limit) {
            return Some(Arc::clone(&lane.room));
        }
        if lane.frames.is_empty() {
            turns.push_back(sender);
        }
        lane.frames.push_back(frame.clone());
        lane.bytes += frame.len();
        // Several may wait for one lane, and one take may have made room for all of them.
        lane.room.notify_one();
        drop(guard);
        self.arrived.notify_one();
        None
    }

    /// Takes one frame from the lane whose turn it is. A sender of whom nothing is wanted now keeps
    /// its turn and holds nobody up.
    pub(crate) fn try_take(&self, is_wanted: impl Fn(K) -> bool) -> Option<(K, Bytes)> {
        let mut guard = self.lock();
        let Lanes { lanes, turns } = &mut *guard;
        let position = turns.iter().position(|sender| is_wanted(*sender))?;
        let sender = turns.remove(position).expect("a position that was just found");
        let lane = lanes.get_mut(&sender).expect("a lane with a turn exists");
        let frame = lane.frames.pop_front().expect("a lane with a turn is not empty");
        lane.bytes -= frame.len();
        if !lane.frames.is_empty() {
            turns.push_back(sender);
        }
        lane.room.notify_one();
        Some((sender, frame))
    }

    fn lock(&self) -> MutexGuard<'_, Lanes<K>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// An empty lane takes any frame, so that none waits for ever.
    fn has_room(&self, frame_bytes: usize, limit: QueueLimit) -> bool {
        self.frames.is_empty()
            || self.frames.len() < limit.count_max && self.bytes + frame_bytes <= limit.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(count_max: usize, bytes_max: usize) -> FairQueue<u32> {
        FairQueue::new(QueueLimit { count_max, bytes_max }, Arc::default())
    }

    fn frame(byte: u8, len: usize) -> Bytes {
        Bytes::from(vec![byte; len])
    }

    fn take(queue: &FairQueue<u32>) -> Option<(u32, u8)> {
        queue.try_take(|_| true).map(|(sender, frame)| (sender, frame[0]))
    }

    #[tokio::test]
    async fn senders_take_turns_and_each_keeps_its_order() {
        let queue = queue(10, 100);
        for n in 0..5 {
            queue.push(1, frame(n, 1)).await;
        }
        queue.push(2, frame(20, 1)).await;
        queue.push(3, frame(30, 1)).await;
        let taken: Vec<_> = std::iter::from_fn(|| take(&queue)).collect();
        assert_eq!(taken, [(1, 0), (2, 20), (3, 30), (1, 1), (1, 2), (1, 3), (1, 4)]);
    }

    #[tokio::test]
    async fn unwanted_sender_is_passed_over_and_keeps_its_turn() {
        let queue = queue(10, 100);
        queue.push(1, frame(10, 1)).await;
        for n in 20..22 {
            queue.push(2, frame(n, 1)).await;
        }
        assert_eq!(queue.try_take(|sender| sender != 1).map(|(sender, _)| sender), Some(2));
        assert_eq!(take(&queue), Some((1, 10)));
        assert_eq!(queue.try_take(|sender| sender != 2), None);
        assert_eq!(take(&queue), Some((2, 21)));
    }

    #[tokio::test(start_paused = true)]
    async fn full_lane_holds_up_its_own_sender_only() {
        let queue = Arc::new(queue(2, 100));
        let flood = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move {
                for n in 0..6 {
                    queue.push(1, frame(n, 1)).await;
                }
            }
        });
        tokio::task::yield_now().await;
        assert!(!flood.is_finished());
        queue.push(2, frame(20, 1)).await;
        assert_eq!(take(&queue), Some((1, 0)));
        assert_eq!(take(&queue), Some((2, 20)));
        let mut rest = Vec::new();
        while rest.len() < 5 {
            match take(&queue) {
                Some(next) => rest.push(next),
                None => tokio::task::yield_now().await,
            }
        }
        assert_eq!(rest, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn frame_larger_than_the_lane_passes_alone() {
        let queue = queue(2, 10);
        queue.push(1, frame(1, 50)).await;
        assert!(queue.try_push(1, &frame(2, 1)).is_some());
        assert_eq!(take(&queue), Some((1, 1)));
        assert!(queue.try_push(1, &frame(2, 1)).is_none());
    }

    #[tokio::test]
    async fn one_take_wakes_everybody_it_made_room_for() {
        let queue = queue(10, 10);
        queue.push(1, frame(0, 10)).await;
        let adders = async {
            tokio::join!(
                queue.push(1, frame(1, 2)),
                queue.push(1, frame(2, 2)),
                queue.push(1, frame(3, 2)),
            );
        };
        tokio::join!(adders, async { take(&queue) });
        assert_eq!(std::iter::from_fn(|| take(&queue)).count(), 3);
    }

    #[tokio::test]
    async fn reader_is_woken() {
        let arrived = Arc::new(Notify::new());
        let limit = QueueLimit { count_max: 1, bytes_max: 1 };
        let queue = FairQueue::new(limit, Arc::clone(&arrived));
        tokio::join!(arrived.notified(), queue.push(1, frame(1, 1)));
        assert!(take(&queue).is_some());
    }
}
