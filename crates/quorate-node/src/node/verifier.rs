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
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{io, iter};
use tokio::sync::mpsc;

/// A frame up to this long is checked at once when it comes alone, in bytes: handing it to another
/// thread would cost more than the few signatures it can hold.
const INLINE_BYTES_MAX: usize = 2 << 10;

/// So many messages that came together are checked at once, too.
const INLINE_COUNT_MAX: usize = 8;

/// Messages whose signatures are verified together, at most: more of them would gain little.
pub(super) const TOGETHER_COUNT_MAX: usize = 32;

/// Bytes of messages after which no more are added to those verified together, so that nobody
/// waits for many long ones of others.
pub(super) const TOGETHER_BYTES_MAX: usize = 8 << 10;

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
            return check(&self.checker, vec![((sender, frame), place)]).pop();
        }
        self.lanes.push(frame, place);
        None
    }

    /// Takes messages that arrived together; the results come through the channel. A few short ones
    /// are checked here and now.
    pub(super) fn take_group(&self, group: Vec<(Sender, Bytes)>) {
        let bytes: usize = group.iter().map(|(_, frame)| frame.len()).sum();
        let here = group.len() <= INLINE_COUNT_MAX
            && bytes <= INLINE_BYTES_MAX
            && group.iter().all(|(sender, _)| self.lanes.is_idle(*sender));
        let enter = |(sender, frame): (Sender, Bytes)| {
            let place = self.lanes.enter(sender, frame.len());
            ((sender, frame), place)
        };
        let placed = group.into_iter().map(enter);
        if here {
            for checked in check(&self.checker, placed.collect()) {
                // Nobody takes results any more only when the replica has ended; so will this pool.
                let _ = self.results.send(checked);
            }
        } else {
            placed.for_each(|((_, frame), place)| self.lanes.push(frame, place));
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
    while let Some(taken) = lanes.take(TOGETHER_COUNT_MAX, TOGETHER_BYTES_MAX) {
        for checked in check(checker, taken) {
            let sender = checked.sender;
            if results.send(checked).is_err() {
                return;
            }
            lanes.finish_turn(sender);
        }
    }
}

/// Checks messages together, except for those that are best checked alone.
fn check(checker: &Checker, messages: Vec<((Sender, Bytes), Place)>) -> Vec<Checked> {
    let (alone, others): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|((sender, _), _)| checker.checks_alone(*sender));
    let alone = alone.into_iter().map(|one| vec![one]);
    let check_together = |messages: Vec<_>| {
        let (frames, places): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let results = checker.check(&frames);
        let each = frames.into_iter().zip(places).zip(results);
        each.map(|(((sender, frame), _place), result)| Checked { sender, frame, result, _place })
    };
    iter::once(others).chain(alone).flat_map(check_together).collect()
}

#[cfg(test)]
mod tests;
