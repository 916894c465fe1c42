//! Writes a recording of this start of the replica. A recording never stops a replica and never
//! holds it up for more than a few seconds: what cannot be written in time ends the recording, and
//! nothing else.

mod file;

use crate::work_queue::WorkQueue;
use pbft::{Config, Now};
use quorate_replica::recording::{Beginning, Entry, OutputMark, RecordedInput, RecordingWriter};
use quorate_replica::{Effect, HostInput, Start};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// Entries that wait to be written, in bytes.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// How long a replica waits for its recorder.
#[derive(Clone, Copy)]
struct Waits {
    /// At its start, until what it begins with is written, its whole state among it.
    beginning: Duration,
    /// At its end, for what is not written yet.
    end: Duration,
}

const WAITS: Waits = Waits { beginning: Duration::from_secs(10), end: Duration::from_secs(5) };

/// The protocol thread's side.
pub(super) struct Recorder {
    config: Arc<Config>,
    queue: Arc<WorkQueue<Vec<u8>>>,
    has_ended: Arc<AtomicBool>,
    waits: Waits,
    /// Says whether the recording has begun, and is closed when the thread that writes has ended.
    written: Receiver<io::Result<()>>,
}

impl Recorder {
    /// Begins a new recording in `folder`, with what the replica is about to start from.
    ///
    /// # Errors
    /// If it cannot be begun within ten seconds. Then no file of it stays.
    pub(super) fn start(folder: &Path, start: &Start, now: Now) -> io::Result<Self> {
        let beginning = Beginning::of(start, now);
        let folder = folder.to_owned();
        Self::spawn(Arc::clone(&start.config), WAITS, move || file::begin(&folder, beginning))
    }

    /// Starts the thread that writes: first `begin`, which makes the file, and then whatever comes.
    /// Waits for the beginning.
    fn spawn<W: io::Write + Send + 'static>(
        config: Arc<Config>,
        waits: Waits,
        begin: impl FnOnce() -> io::Result<(RecordingWriter<W>, PathBuf)> + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(WorkQueue::new(QUEUE_BYTES_MAX));
        let has_ended = Arc::new(AtomicBool::new(false));
        let (taken, ended) = (Arc::clone(&queue), Arc::clone(&has_ended));
        // Without room: a report has arrived, or nobody waits for it any more.
        let (report, written) = mpsc::sync_channel(0);
        super::disk::spawn("record", move || {
            let (mut writer, path) = match begin() {
                Ok(begun) => begun,
                Err(error) => {
                    // Who does not wait any more knows that there is no recording.
                    let _ = report.send(Err(error));
                    return;
                }
            };
            if report.send(Ok(())).is_err() {
                // Nobody is told if that fails: there is nobody to tell.
                let _ = fs::remove_file(&path);
                return;
            }
            while let Some(entries) = taken.take_all() {
                let written = write_all(&mut writer, &entries);
                if let Err(error) = written {
                    ended.store(true, Ordering::Relaxed);
                    tracing::warn!(
                        %error, path = %path.display(),
                        "the recording ends here; the replica goes on without it"
                    );
                    return;
                }
            }
        })?;
        let limit = waits.beginning;
        written.recv_timeout(limit).map_err(|_| {
            let late = format!("its beginning was not written within {} s", limit.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, late)
        })??;
        Ok(Self { config, queue, has_ended, waits, written })
    }

    /// Records an input that the replica is about to see.
    pub(super) fn input(&self, now: Now, input: &HostInput) {
        if self.goes_on() {
            let input = RecordedInput::of(&self.config, input);
            self.write(&Entry::Input { now, input });
        }
    }

    /// Records what the last input led to.
    pub(super) fn outputs(&self, effects: &[Effect]) {
        if self.goes_on() {
            let marks = effects.iter().map(|effect| OutputMark::of(&self.config, effect));
            self.write(&Entry::Outputs(marks.collect()));
        }
    }

    /// Records that the replica was stopped, and waits a little until everything is written.
    pub(super) fn finish(self) {
        if self.goes_on() {
            self.write(&Entry::End);
        }
    }

    fn goes_on(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed)
    }

    fn write(&self, entry: &Entry) {
        if self.queue.is_full() {
            // With a gap it would be of no use.
            self.has_ended.store(true, Ordering::Relaxed);
            self.queue.close();
            tracing::warn!(
                "the disk is too slow for a recording, which ends here; the replica goes on \
                 without it"
            );
            return;
        }
        let entry = entry.encode();
        let bytes = entry.len();
        self.queue.push(entry, bytes);
    }
}

impl Drop for Recorder {
    /// Waits until everything is written, also when the protocol thread has panicked; but not for
    /// ever.
    fn drop(&mut self) {
        self.queue.close();
        if let Err(RecvTimeoutError::Timeout) = self.written.recv_timeout(self.waits.end) {
            tracing::warn!("the end of the recording is not written yet and may be missing");
        }
    }
}

fn write_all<W: io::Write>(writer: &mut RecordingWriter<W>, entries: &[Vec<u8>]) -> io::Result<()> {
    entries.iter().try_for_each(|entry| writer.write(entry))?;
    writer.flush()
}

#[cfg(test)]
mod tests;
