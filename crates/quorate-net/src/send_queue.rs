//! What waits to be sent on one link: bounded, never blocking whoever sends.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimit {
    pub(crate) count_max: usize,
    pub(crate) bytes_max: usize,
}

/// A queue of frames with one reader.
///
/// When it is full the *oldest* frames give way: after a long outage the newest votes and
/// checkpoints are what helps a peer, and what it missed it asks for by STATUS.
#[derive(Debug)]
pub(crate) struct SendQueue {
    limit: QueueLimit,
    /// Frames leave together while they do not come to more.
    write_bytes_max: usize,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// **Invariant:** `bytes` is the sum of the lengths of `frames`.
#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl SendQueue {
    /// Of frames that wait, so many bytes leave together; if 0, each leaves by itself.
    pub(crate) fn new(limit: QueueLimit, write_bytes_max: usize) -> Self {
        Self { limit, write_bytes_max, waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Adds a frame and returns how many were dropped for it.
    pub(crate) fn push(&self, frame: Bytes) -> usize {
        let mut waiting = self.lock();
        let mut dropped = 0;
        while waiting.frames.len() >= self.limit.count_max
            || waiting.bytes + frame.len() > self.limit.bytes_max
        {
            let Some(oldest) = waiting.frames.pop_front() else {
                break;
            };
            waiting.bytes -= oldest.len();
            dropped += 1;
        }
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        drop(waiting);
        self.arrived.notify_one();
        dropped
    }

    /// Waits until there are frames and moves them into the empty `batch`: at least one, and more
    /// as long as together they fit into one write.
    ///
    /// Cancellation safe: frames are moved only when this returns.
    pub(crate) async fn take(&self, batch: &mut Vec<Bytes>) {
        loop {
            if self.try_take(batch) {
                return;
            }
            self.arrived.notified().await;
        }
    }

    fn try_take(&self, batch: &mut Vec<Bytes>) -> bool {
        let mut waiting = self.lock();
        let mut bytes = 0;
        while let Some(next) = waiting.frames.front() {
            if !batch.is_empty() && bytes + next.len() > self.write_bytes_max {
                break;
            }
            bytes += next.len();
            batch.extend(waiting.frames.pop_front());
        }
        waiting.bytes -= bytes;
        !batch.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::WRITE_BYTES_MAX;

    fn queue(count_max: usize, bytes_max: usize) -> SendQueue {
        SendQueue::new(QueueLimit { count_max, bytes_max }, WRITE_BYTES_MAX)
    }

    fn frame(byte: u8, len: usize) -> Bytes {
        Bytes::from(vec![byte; len])
    }

    fn taken(queue: &SendQueue) -> Vec<u8> {
        let mut batch = Vec::new();
        queue.try_take(&mut batch);
        batch.iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn full_queue_drops_the_oldest_frames_and_counts_them() {
        let by_count = queue(2, 1000);
        assert_eq!((1..=4).map(|n| by_count.push(frame(n, 1))).sum::<usize>(), 2);
        assert_eq!(taken(&by_count), [3, 4]);

        let by_bytes = queue(1000, 10);
        assert_eq!(by_bytes.push(frame(1, 4)) + by_bytes.push(frame(2, 4)), 0);
        assert_eq!(by_bytes.push(frame(3, 8)), 2);
        assert_eq!(taken(&by_bytes), [3]);
        assert_eq!(by_bytes.push(frame(4, 10)), 0);
    }

    #[test]
    fn many_small_frames_leave_together_and_a_large_one_alone() {
        let queue = queue(1000, 1 << 20);
        for n in 0..100 {
            queue.push(frame(n, 100));
        }
        queue.push(frame(200, WRITE_BYTES_MAX * 2));
        queue.push(frame(201, 1));
        assert_eq!(taken(&queue).len(), 100);
        assert_eq!(taken(&queue), [200]);
        assert_eq!(taken(&queue), [201]);
        assert!(taken(&queue).is_empty());
    }

    #[test]
    fn frames_leave_one_by_one_if_nothing_is_to_be_written_together() {
        let queue = SendQueue::new(QueueLimit { count_max: 10, bytes_max: 1000 }, 0);
        (1..=2).for_each(|n| assert_eq!(queue.push(frame(n, 1)), 0));
        assert_eq!((taken(&queue), taken(&queue)), (vec![1], vec![2]));
    }

    #[tokio::test]
    async fn waiting_reader_wakes_for_a_frame() {
        let queue = queue(10, 10);
        let mut batch = Vec::new();
        tokio::join!(queue.take(&mut batch), async { queue.push(frame(1, 1)) });
        assert_eq!(batch.len(), 1);
    }
}
