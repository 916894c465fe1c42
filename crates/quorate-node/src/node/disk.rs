//! The threads that write to the disk or take long: journal, snapshots, hashing.

use super::{JOURNAL_QUEUE_BYTES_MAX, Memory, WorkQueue};
use crate::cluster::Together;
use quorate_replica::{CheckpointState, Folder, HostInput, JournalTask};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;

/// Where these threads report what they have done. What waits there is bounded by what they were
/// given to do.
#[derive(Clone)]
pub(super) struct Done(mpsc::UnboundedSender<Option<HostInput>>);

impl Done {
    pub(super) fn new(reports: mpsc::UnboundedSender<Option<HostInput>>) -> Self {
        Self(reports)
    }

    /// False if nobody wants to know any more.
    fn send(&self, input: HostInput) -> bool {
        self.0.send(Some(input)).is_ok()
    }

    /// Reports work of which the host needs to know nothing. The protocol thread does: while the
    /// disk is behind it waits for reports and for nothing else. False as in [`Done::send`].
    fn send_nothing(&self) -> bool {
        self.0.send(None).is_ok()
    }
}

/// The protocol thread's side of them.
pub(super) struct Disk {
    done: Done,
    /// `None` if nothing is to be durable.
    durable: Option<Durable>,
    hashing: Arc<WorkQueue<CheckpointState>>,
    threads: Vec<JoinHandle<()>>,
}

struct Durable {
    journal: Arc<WorkQueue<JournalTask>>,
    syncs: Arc<AtomicU64>,
    snapshots: Arc<WorkQueue<CheckpointState>>,
}

/// Of snapshots and checkpoints so few are under way that their queues need no bound: one
/// snapshot, and as many checkpoints as the window has room for.
const UNBOUNDED: usize = usize::MAX;

impl Disk {
    pub(super) fn start(memory: Memory, done: Done, together: Together) -> io::Result<Self> {
        let hashing = Arc::new(WorkQueue::new(UNBOUNDED));
        let mut threads = vec![spawn("hash", {
            let (queue, done) = (Arc::clone(&hashing), done.clone());
            move || hash(&queue, &done)
        })?];
        let durable = match memory {
            Memory::Volatile => None,
            Memory::Durable(folder) => {
                let journal = Arc::new(WorkQueue::new(JOURNAL_QUEUE_BYTES_MAX));
                let snapshots = Arc::new(WorkQueue::new(UNBOUNDED));
                let Folder { journal: mut file, snapshots: mut store } = *folder;
                let (queue, journal_done) = (Arc::clone(&journal), done.clone());
                let syncs = Arc::new(AtomicU64::default());
                let counted = Arc::clone(&syncs);
                threads.push(spawn("journal", move || {
                    while let Some(tasks) = take_for_one_sync(&queue, together) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let goes_on = match Folder::perform(&mut file, tasks) {
                            Ok(Some(position)) => journal_done.send(HostInput::Durable(position)),
                            Ok(None) => journal_done.send_nothing(),
                            Err(error) => {
                                journal_done.send(HostInput::StorageFailed(error.to_string()));
                                false
                            }
                        };
                        if !goes_on {
                            return;
                        }
                    }
                })?);
                let (queue, snapshot_done) = (Arc::clone(&snapshots), done.clone());
                threads.push(spawn("snapshot", move || {
                    while let Some(state) = queue.take() {
                        let input = match Folder::save(&mut store, &state) {
                            Ok(()) => HostInput::SnapshotDurable { seq: state.seq() },
                            Err(error) => HostInput::StorageFailed(error.to_string()),
                        };
                        if !snapshot_done.send(input) {
                            return;
                        }
                    }
                })?);
                Some(Durable { journal, syncs, snapshots })
            }
        };
        Ok(Self { done, durable, hashing, threads })
    }

    /// Whether the journal is so far behind that nothing should be begun that adds to it.
    pub(super) fn is_behind(&self) -> bool {
        self.durable.as_ref().is_some_and(|durable| durable.journal.is_full())
    }

    /// How often records were written and synced, many or one at a time.
    pub(super) fn syncs(&self) -> u64 {
        self.durable.as_ref().map_or(0, |durable| durable.syncs.load(Ordering::Relaxed))
    }

    pub(super) fn journal(&self, task: JournalTask) {
        match (&self.durable, task) {
            (Some(durable), task) => {
                let bytes = match &task {
                    JournalTask::Append { records: list, .. }
                    | JournalTask::Rotate { base: list } => list.iter().map(Vec::len).sum(),
                    JournalTask::DropOldSegments => 0,
                };
                durable.journal.push(task, bytes);
            }
            // In memory, what was said is as durable as it will ever be.
            (None, JournalTask::Append { position, .. }) => {
                self.done.send(HostInput::Durable(position));
            }
            (None, JournalTask::Rotate { .. } | JournalTask::DropOldSegments) => {}
        }
    }

    pub(super) fn write_snapshot(&self, state: CheckpointState) {
        match &self.durable {
            Some(durable) => durable.snapshots.push(state, 1),
            None => {
                self.done.send(HostInput::SnapshotDurable { seq: state.seq() });
            }
        }
    }

    pub(super) fn hash(&self, state: CheckpointState) {
        self.hashing.push(state, 1);
    }

    /// Lets the threads finish what they have, and waits for them.
    pub(super) fn finish(self) {
        self.hashing.close();
        if let Some(durable) = &self.durable {
            durable.journal.close();
            durable.snapshots.close();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the disk panicked");
            }
        }
    }
}

/// What becomes durable with the next sync: all that waits, unless each task is to have its
/// own.
fn take_for_one_sync<T>(queue: &WorkQueue<T>, together: Together) -> Option<Vec<T>> {
    match together.sync {
        true => queue.take_all(),
        false => queue.take().map(|task| vec![task]),
    }
}

fn hash(queue: &WorkQueue<CheckpointState>, done: &Done) {
    while let Some(state) = queue.take() {
        let (seq, id) = (state.seq(), state.id());
        if !done.send(HostInput::CheckpointHashed { seq, id }) {
            return;
        }
    }
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbft::{Digest, ReplicaId};
    use quorate_replica::{JournalConfig, JournalIdentity, MemoryBackend};

    #[test]
    fn tasks_that_wait_share_a_sync_unless_each_is_to_have_its_own() {
        let taken = |sync| {
            let queue = WorkQueue::new(UNBOUNDED);
            (1..=3).for_each(|task| queue.push(task, 1));
            let together = Together { sync, ..Together::default() };
            take_for_one_sync(&queue, together).unwrap()
        };
        assert_eq!(taken(true), [1, 2, 3]);
        assert_eq!(taken(false), [1]);
    }

    #[test]
    fn journal_reports_even_what_makes_nothing_durable() {
        let cluster = Digest::of("test", &[]);
        let identity = JournalIdentity { cluster, replica: ReplicaId::new(0) };
        let backend = Arc::new(MemoryBackend::new());
        let folder = Folder::create(backend, identity, JournalConfig::default()).unwrap();
        // Bounded by the one task that the journal is given.
        let (done, mut reports) = mpsc::unbounded_channel();
        let disk =
            Disk::start(Memory::Durable(Box::new(folder)), Done::new(done), Together::default());
        let disk = disk.unwrap();
        disk.journal(JournalTask::Rotate { base: Vec::new() });
        disk.finish();
        assert!(matches!(reports.try_recv(), Ok(None)));
    }
}
