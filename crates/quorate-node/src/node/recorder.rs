//! Writes a recording of this start of the replica. The protocol thread says what to write and
//! never waits: what cannot be written in time ends the recording, and nothing else.

use crate::work_queue::WorkQueue;
use pbft::{Config, Now};
use quorate_replica::recording::{Entry, OutputMark, RecordedInput, RecordingWriter, write_start};
use quorate_replica::{Effect, HostInput, Start};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The longest recording of one start, in bytes.
const RECORDING_BYTES_MAX: u64 = 4 << 30;

/// Entries that wait to be written, in bytes.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// The protocol thread's side.
pub(super) struct Recorder {
    config: Arc<Config>,
    queue: Arc<WorkQueue<Vec<u8>>>,
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins a new recording in `folder`, with what the replica is about to start from.
    pub(super) fn start(folder: &Path, start: &Start, now: Now) -> io::Result<Self> {
        let (file, path) = create(folder)?;
        let mut writer = RecordingWriter::new(BufWriter::new(file), RECORDING_BYTES_MAX)?;
        write_start(&mut writer, start, now)?;
        writer.flush()?;
        tracing::warn!(
            path = %path.display(),
            "every input is recorded, with what clients write in it"
        );
        Self::spawn(Arc::clone(&start.config), writer, path)
    }

    fn spawn<W: io::Write + Send + 'static>(
        config: Arc<Config>,
        mut writer: RecordingWriter<W>,
        path: PathBuf,
    ) -> io::Result<Self> {
        let queue = Arc::new(WorkQueue::new(QUEUE_BYTES_MAX));
        let has_ended = Arc::new(AtomicBool::new(false));
        let (taken, ended) = (Arc::clone(&queue), Arc::clone(&has_ended));
        let thread = super::disk::spawn("record", move || {
            while let Some(entries) = taken.take_all() {
                let written = write_all(&mut writer, &entries);
                if let Err(error) = written {
                    ended.store(true, Ordering::Relaxed);
                    tracing::error!(
                        %error, path = %path.display(),
                        "the recording ends here; the replica goes on without it"
                    );
                    return;
                }
            }
        })?;
        Ok(Self { config, queue, has_ended, thread: Some(thread) })
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

    fn goes_on(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed)
    }

    fn write(&self, entry: &Entry) {
        if self.queue.is_full() {
            // With a gap it would be of no use.
            self.has_ended.store(true, Ordering::Relaxed);
            self.queue.close();
            tracing::error!(
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
    /// Waits until everything is written, also when the protocol thread has panicked.
    fn drop(&mut self) {
        self.queue.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that records panicked");
        }
    }
}

fn write_all<W: io::Write>(writer: &mut RecordingWriter<W>, entries: &[Vec<u8>]) -> io::Result<()> {
    entries.iter().try_for_each(|entry| writer.write(entry))?;
    writer.flush()
}

/// Makes the first file `inputs-0`, `inputs-1` and so on that is not there yet, mode 0600.
fn create(folder: &Path) -> io::Result<(File, PathBuf)> {
    let named = |error: io::Error, path: &Path| {
        io::Error::new(error.kind(), format!("cannot record into {}: {error}", path.display()))
    };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| named(error, folder))?;
    let mut number = 0_u64;
    loop {
        let path = folder.join(format!("inputs-{number}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(named(error, &path)),
            Ok(file) => return Ok((file, path)),
        }
    }
}

#[cfg(test)]
mod tests;
