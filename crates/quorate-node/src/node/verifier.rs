//! Where the time of signature checks goes: a few threads that decode messages and let them
//! through the door.
//!
//! Each sender has a lane of its own; see [`lanes`]. Whoever takes messages from links asks
//! [`Verifier::has_room`] first and leaves those of a full lane where they are, so that the link
//! of that sender is not read, and no other one waits.

mod lanes;

use super::checker::Checker;
use bytes::Bytes;
use lanes::{Lanes, Place};
use pbft::{Reject, Sender, Verified};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;

/// A frame up to this long is checked at once when it comes alone, in bytes: handing it to another
/// thread would cost more than the few signatures it can hold.
const INLINE_BYTES_MAX: usize = 2 << 10;

/// Threads of one pool.
const THREAD_COUNT_MAX: usize = 4;

/// A pool of threads.
pub(super) struct Verifier {
    checker: Arc<Checker>,
    lanes: Arc<Lanes>,
    results: mpsc::UnboundedSender<Checked>,
    threads: Vec<JoinHandle<()>>,
}

/// A message that was checked.
pub(super) struct Checked {
    pub(super) sender: Sender,
    /// The message as it came.
    pub(super) frame: Bytes,
    pub(super) result: Result<Verified, Reject>,
    /// Its place in its lane, free once this is dropped.
    pub(super) _place: Place,
}

/// Whether more than one message waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Nothing else waits, so that a short message is best checked here and now.
    Alone,
    /// Others wait: the work is best shared among the threads.
    Among,
}

impl Verifier {
    pub(super) fn start(
        checker: Arc<Checker>,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Checked>)> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(checker, processors.min(THREAD_COUNT_MAX))
    }

    fn with_threads(
        checker: Arc<Checker>,
        count: usize,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Checked>)> {
        // Bounded by the lanes: each result holds its place there until it is taken.
        let (results, received) = mpsc::unbounded_channel();
        let lanes = Arc::new(Lanes::default());
        let start_thread = |_| {
            let (checker, lanes) = (Arc::clone(&checker), Arc::clone(&lanes));
            let results = results.clone();
            super::disk::spawn("verify", move || work(&checker, &lanes, &results))
        };
        let threads = (0..count).map(start_thread);
        let threads = threads.collect::<io::Result<_>>()?;
        Ok((Self { checker, lanes, results, threads }, received))
    }

    /// Whether a message of this sender should be taken in now.
    pub(super) fn has_room(&self, sender: Sender) -> bool {
        self.lanes.has_room(sender)
    }

    /// Returns when [`Verifier::has_room`] may hold where it did not.
    pub(super) async fn emptied(&self) {
        self.lanes.emptied().await;
    }

    /// Takes a message. If it is not checked at once, the result comes through the channel.
    pub(super) fn take(&self, sender: Sender, frame: Bytes, company: Company) -> Option<Checked> {
        let is_short = frame.len() <= INLINE_BYTES_MAX;
        let here = is_short && company == Company::Alone && self.lanes.is_idle(sender);
        let place = self.lanes.enter(sender, frame.len());
        if here {
            let result = self.checker.check(sender, &frame);
            return Some(Checked { sender, frame, result, _place: place });
        }
        self.lanes.push(frame, place);
        None
    }

    /// As [`Verifier::take`], but every result comes through the channel.
    pub(super) fn take_for_channel(&self, sender: Sender, frame: Bytes, company: Company) {
        if let Some(checked) = self.take(sender, frame, company) {
            // Nobody takes results any more only when the replica has ended; so will this pool.
            let _ = self.results.send(checked);
        }
    }

    /// Drops what waits and ends the threads.
    pub(super) fn finish(self) {
        self.lanes.close();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that verifies panicked");
            }
        }
    }
}

fn work(checker: &Checker, lanes: &Lanes, results: &mpsc::UnboundedSender<Checked>) {
    while let Some((sender, frame, place)) = lanes.take() {
        let result = checker.check(sender, &frame);
        if results.send(Checked { sender, frame, result, _place: place }).is_err() {
            return;
        }
        lanes.finish_turn(sender);
    }
}

#[cfg(test)]
mod tests;
