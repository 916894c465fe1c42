//! Where the time of signature checks goes: a few threads that decode messages and let them
//! through the door.
//!
//! Messages of one lane stay in order, because a lane has one thread. What a lane may hold is
//! counted in bytes; a permit travels with each message until the protocol thread has taken it,
//! so that the channel of results is bounded by the lanes.

use crate::work_queue::WorkQueue;
use bytes::Bytes;
use pbft::{Config, Message, Reject, Sender, Verified, wire};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of messages of one lane that are being checked or wait for the protocol thread.
const LANE_BYTES_MAX: usize = 32 << 20;

/// What even the shortest message counts for, in bytes, so that their number is bounded too.
const MESSAGE_BYTES_MIN: usize = 4 << 10;

/// A frame up to this long is checked at once when it comes alone, in bytes: handing it to another
/// thread would cost more than the few signatures it can hold.
const INLINE_BYTES_MAX: usize = 2 << 10;

/// Threads of one pool.
const THREAD_COUNT_MAX: usize = 4;

/// A pool of threads.
pub(super) struct Verifier {
    config: Arc<Config>,
    lanes: Vec<Arc<Semaphore>>,
    queues: Vec<Arc<WorkQueue<Job>>>,
    results: mpsc::UnboundedSender<Checked>,
    threads: Vec<JoinHandle<()>>,
}

/// A message that was checked.
pub(super) struct Checked {
    pub(super) sender: Sender,
    pub(super) result: Result<Verified, Reject>,
    /// Its place in its lane, free once this is dropped.
    pub(super) _place: OwnedSemaphorePermit,
}

/// A message as far as it is known.
pub(super) enum Content {
    Frame(Bytes),
    Message(Box<Message>, usize),
}

struct Job {
    sender: Sender,
    content: Content,
    place: OwnedSemaphorePermit,
}

impl Verifier {
    /// A pool with so many lanes; senders with the same number modulo that share one.
    pub(super) fn start(
        config: Arc<Config>,
        lane_count: usize,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Checked>)> {
        // Bounded by the lanes: each result holds its place there until it is taken.
        let (results, received) = mpsc::unbounded_channel();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let thread_count = processors.min(THREAD_COUNT_MAX).min(lane_count.max(1));
        let lanes = (0..lane_count.max(1)).map(|_| Arc::new(Semaphore::new(LANE_BYTES_MAX)));
        let lanes = lanes.collect();
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..thread_count {
            let queue = Arc::new(WorkQueue::new(usize::MAX));
            queues.push(Arc::clone(&queue));
            let (config, results) = (Arc::clone(&config), results.clone());
            threads.push(super::disk::spawn("verify", move || work(&config, &queue, &results))?);
        }
        Ok((Self { config, lanes, queues, results, threads }, received))
    }

    /// Takes a message if its lane has room; otherwise it is lost, as a network may lose it.
    /// `is_alone` says that nothing else waits, so that a short one is best checked here and now.
    pub(super) fn offer(
        &self,
        sender: Sender,
        content: Content,
        is_alone: bool,
    ) -> Result<Option<Checked>, Full> {
        let lane = self.lane(sender);
        let weight = content.weight();
        let is_idle = lane.available_permits() == LANE_BYTES_MAX;
        let place = Arc::clone(lane).try_acquire_many_owned(weight).map_err(|_| Full)?;
        Ok(self.begin(sender, content, place, is_alone && is_idle))
    }

    /// Takes a message, waiting while its lane is full. The result goes to the channel.
    pub(super) async fn take(&self, sender: Sender, content: Content, is_alone: bool) {
        let lane = self.lane(sender);
        let is_idle = lane.available_permits() == LANE_BYTES_MAX;
        let place = Arc::clone(lane).acquire_many_owned(content.weight()).await;
        let place = place.expect("the lanes are never closed");
        if let Some(checked) = self.begin(sender, content, place, is_alone && is_idle) {
            // The protocol thread has ended; so will this one.
            let _ = self.results.send(checked);
        }
    }

    /// Ends the threads once they have finished what they have.
    pub(super) fn finish(self) {
        self.queues.iter().for_each(|queue| queue.close());
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that verifies panicked");
            }
        }
    }

    fn begin(
        &self,
        sender: Sender,
        content: Content,
        place: OwnedSemaphorePermit,
        here: bool,
    ) -> Option<Checked> {
        if here && content.bytes() <= INLINE_BYTES_MAX {
            let result = check(&self.config, sender, content);
            return Some(Checked { sender, result, _place: place });
        }
        let queue = &self.queues[self.lane_index(sender) % self.queues.len()];
        queue.push(Job { sender, content, place }, 1);
        None
    }

    fn lane(&self, sender: Sender) -> &Arc<Semaphore> {
        &self.lanes[self.lane_index(sender)]
    }

    fn lane_index(&self, sender: Sender) -> usize {
        let number = match sender {
            Sender::Replica(id) => id.get(),
            Sender::Client(id) => id.get(),
        };
        number as usize % self.lanes.len()
    }
}

/// The lane has no room.
pub(super) struct Full;

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Message(_, bytes) => *bytes,
        }
    }

    fn weight(&self) -> u32 {
        let weight = self.bytes().clamp(MESSAGE_BYTES_MIN, LANE_BYTES_MAX);
        u32::try_from(weight).expect("a lane holds less than 4 GiB")
    }
}

fn work(config: &Config, queue: &WorkQueue<Job>, results: &mpsc::UnboundedSender<Checked>) {
    while let Some(Job { sender, content, place }) = queue.take() {
        let result = check(config, sender, content);
        if results.send(Checked { sender, result, _place: place }).is_err() {
            return;
        }
    }
}

fn check(config: &Config, sender: Sender, content: Content) -> Result<Verified, Reject> {
    let message = match content {
        Content::Frame(frame) => wire::decode(config.domain.epoch, &frame)?,
        Content::Message(message, _) => *message,
    };
    config.admit(sender, message)
}
