//! Proofs of lies, kept as files that anybody with the cluster's public file can check.

use crate::durable_file;
use crate::work_queue::WorkQueue;
use pbft::{Config, Conviction, Digest, Evidence};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Files in one folder; a liar must not fill the disk, and one proof is enough.
const FILE_COUNT_MAX: usize = 1024;

/// Proofs that wait to be written.
const QUEUE_COUNT_MAX: usize = 64;

/// Every file begins with this, whose last byte is the version of the format.
const HEADER: &[u8; 16] = b"quorate evid\0\0\0\x01";

/// No piece of evidence is longer, in bytes: two VIEW-CHANGEs of the longest window.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The protocol thread's side: writes proofs on a thread of its own.
pub(super) struct Archive {
    queue: Arc<WorkQueue<Evidence>>,
    thread: JoinHandle<()>,
}

impl Archive {
    pub(super) fn start(folder: PathBuf, config: Arc<Config>) -> io::Result<Self> {
        let queue = Arc::new(WorkQueue::new(QUEUE_COUNT_MAX));
        let taken = Arc::clone(&queue);
        let thread = super::disk::spawn("evidence", move || {
            while let Some(evidence) = taken.take() {
                match write(&folder, &config, &evidence) {
                    Ok(Some(path)) => tracing::warn!(path = %path.display(), "evidence kept"),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(%error, folder = %folder.display(), "evidence not kept");
                    }
                }
            }
        })?;
        Ok(Self { queue, thread })
    }

    pub(super) fn keep(&self, evidence: Evidence) {
        if self.queue.is_full() {
            tracing::warn!(kind = evidence.kind(), "too much evidence at once; this is not kept");
        } else {
            self.queue.push(evidence, 1);
        }
    }

    pub(super) fn finish(self) {
        self.queue.close();
        if self.thread.join().is_err() {
            tracing::error!("the thread that keeps evidence panicked");
        }
    }
}

/// Writes one proof, named by whom it convicts; `None` if it is there already, or there are
/// enough.
fn write(folder: &Path, config: &Config, evidence: &Evidence) -> io::Result<Option<PathBuf>> {
    let Some(Conviction { replica, view, .. }) = evidence.verify(config) else {
        return Err(io::Error::other("the evidence proves nothing"));
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut bytes = HEADER.to_vec();
    bytes.extend(borsh::to_vec(evidence).expect("bounded evidence encodes into memory"));
    let digest = Digest::of("quorate 2026-11-22 evidence file name", &[&bytes]);
    let name = format!("replica-{replica}-view-{view}-{}-{digest}", evidence.kind());
    let path = folder.join(name);
    if path.exists() || fs::read_dir(folder)?.count() >= FILE_COUNT_MAX {
        return Ok(None);
    }
    durable_file::write(&path, &bytes)?;
    Ok(Some(path))
}

/// Why a file is not evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no such file, or one that was changed.
    #[error("{path} is not a file of evidence of version 1")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file of evidence. What it proves, if anything, [`Evidence::verify`] says.
///
/// # Errors
/// If it cannot be read or is something else.
pub fn read_evidence(path: &Path) -> Result<Evidence, EvidenceError> {
    let read_error = |source| EvidenceError::Read { path: path.to_owned(), source };
    let malformed = || EvidenceError::Malformed { path: path.to_owned() };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(read_error)?;
    let mut limited = io::Read::take(file, FILE_BYTES_MAX + 1);
    io::Read::read_to_end(&mut limited, &mut bytes).map_err(read_error)?;
    let body = bytes.strip_prefix(HEADER).ok_or_else(malformed)?;
    borsh::from_slice(body).map_err(|_| malformed())
}

#[cfg(test)]
mod tests;
