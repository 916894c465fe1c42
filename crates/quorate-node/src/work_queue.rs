//! A queue between the protocol thread, which must never block, and a thread that may.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work for one thread, in order.
///
/// Putting something in never blocks, so the bound is kept by whoever fills the queue: it asks
/// [`WorkQueue::is_full`] before it takes on what leads to more work.
#[derive(Debug)]
pub(crate) struct WorkQueue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    weight_max: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    is_closed: bool,
}

impl<T> WorkQueue<T> {
    /// An empty queue, which is full once its items weigh `weight_max`.
    pub(crate) fn new(weight_max: usize) -> Self {
        let state = State { items: VecDeque::new(), weight: 0, is_closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), weight_max }
    }

    pub(crate) fn push(&self, item: T, weight: usize) {
        let mut state = self.lock();
        state.items.push_back((item, weight));
        state.weight += weight;
        drop(state);
        self.filled.notify_one();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().weight >= self.weight_max
    }

    /// Waits for work and takes the oldest item; `None` once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.wait();
        let (item, weight) = state.items.pop_front()?;
        state.weight -= weight;
        Some(item)
    }

    /// Waits for work and takes all of it; `None` once the queue is closed and empty.
    pub(crate) fn take_all(&self) -> Option<Vec<T>> {
        let mut state = self.wait();
        state.weight = 0;
        let items: Vec<T> = state.items.drain(..).map(|(item, _)| item).collect();
        if items.is_empty() { None } else { Some(items) }
    }

    /// Lets the thread at the other end finish what is there and end.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    fn wait(&self) -> MutexGuard<'_, State<T>> {
        let waiting = |state: &mut State<T>| state.items.is_empty() && !state.is_closed;
        self.filled.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_queue_gives_what_is_left_and_then_ends() {
        let queue = WorkQueue::new(3);
        queue.push('a', 1);
        queue.push('b', 1);
        queue.close();
        assert_eq!(queue.take(), Some('a'));
        assert_eq!(queue.take_all(), Some(vec!['b']));
        assert_eq!(queue.take_all(), None);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn queue_is_full_by_weight() {
        let queue = WorkQueue::new(10);
        queue.push('a', 9);
        assert!(!queue.is_full());
        queue.push('b', 100);
        assert!(queue.is_full());
        queue.take();
        assert!(queue.is_full());
        queue.take();
        assert!(!queue.is_full());
    }
}
