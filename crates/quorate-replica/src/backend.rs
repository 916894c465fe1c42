//! The storage seam: one directory of named files, and every operation on it that can fail.
//!
//! Whatever a replica makes durable goes through [`Backend`], so that the lab and the tests can
//! cut the power at any write or sync. The seam promises what POSIX promises and no more:
//!
//! - what was written is durable once [`BackendFile::sync`] returned `Ok`; until then any part of
//!   it may be lost, in any order;
//! - a created, renamed or removed name is durable once [`Backend::sync_directory`] returned `Ok`,
//!   and syncing the file alone does not make its name durable;
//! - after a failed sync what was written may be gone although reads still show it, so a sync
//!   must never be tried again.
//!
//! What the bytes mean belongs to the journal and to the snapshots, not here.

pub(crate) mod database;
pub(crate) mod file;
pub(crate) mod memory;

use rustix::io::Errno;
use std::fmt;
use std::io;
use std::sync::Arc;

/// One directory of named files. Shared between the journal and the snapshots of one replica.
///
/// A name has at most [`FILE_NAME_BYTES_MAX`] bytes: lower-case letters, digits, `-`, `_` and, not
/// in front, `.`. Any other is refused with [`Cause::BadName`].
pub trait Backend: fmt::Debug + Send + Sync {
    /// Creates an empty file; it is an error if the name exists. The name is durable only after
    /// [`Backend::sync_directory`].
    fn create(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError>;

    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError>;

    /// Gives the file `from` the name `to`, replacing what had that name, in one step. Durable
    /// only after [`Backend::sync_directory`].
    fn rename(&self, from: &str, to: &str) -> Result<(), BackendError>;

    /// Removes a file. Files already open stay usable. Durable only after
    /// [`Backend::sync_directory`].
    fn remove(&self, name: &str) -> Result<(), BackendError>;

    /// The names of all files, in ascending order.
    fn list(&self) -> Result<Vec<String>, BackendError>;

    /// Makes every creation, renaming and removal so far durable.
    fn sync_directory(&self) -> Result<(), BackendError>;
}

/// An open file of a [`Backend`]. Offsets and lengths are in bytes.
pub trait BackendFile: fmt::Debug + Send + Sync {
    /// The length of the file.
    fn byte_count(&self) -> Result<u64, BackendError>;

    /// Fills `out` from `offset` on; it is an error ([`Cause::EndOfFile`]) if the file ends first.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), BackendError>;

    /// Writes all of `bytes` at `offset`, making the file longer where needed. After an error any
    /// part of it may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), BackendError>;

    /// Makes the file at least `byte_count` long, new bytes being zero, and reserves the room, so
    /// that a full disk shows now and not at a later write.
    fn preallocate(&self, byte_count: u64) -> Result<(), BackendError>;

    /// Cuts or extends the file to `byte_count`; new bytes are zero.
    fn set_byte_count(&self, byte_count: u64) -> Result<(), BackendError>;

    /// Makes everything written to this file, and its length, durable. Never to be repeated after
    /// an error: the operating system may have dropped the data and forgotten about it.
    fn sync(&self) -> Result<(), BackendError>;
}

/// What survives a power cut whole or not at all, in bytes: the unit disks write. Whoever lays out
/// a file must expect that of one unsynced write any sectors are there and any are not.
pub const SECTOR_BYTES: usize = 512;

/// The longest name of a file, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 64;

/// Accepts names that mean the same on every file system and can never leave the directory.
pub(crate) fn check_name(operation: Operation, name: &str) -> Result<(), BackendError> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    let is_sound = !name.is_empty()
        && name.len() <= FILE_NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(allowed);
    if is_sound { Ok(()) } else { Err(BackendError::new(operation, name, Cause::BadName)) }
}

/// A failed operation: what was attempted, on which file, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} '{file}': {cause}")]
pub struct BackendError {
    /// What was attempted.
    pub operation: Operation,
    /// The name of the file; for operations on the directory its path, or `.` in memory.
    pub file: String,
    /// Why it failed.
    pub cause: Cause,
}

impl BackendError {
    /// An operation on `file` failed because of `cause`.
    pub fn new(operation: Operation, file: &str, cause: Cause) -> Self {
        Self { operation, file: file.to_owned(), cause }
    }

    /// Whether the file named does not exist.
    pub fn is_not_found(&self) -> bool {
        self.cause == Cause::Os(Errno::NOENT)
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.cause, Cause::Os(Errno::NOSPC | Errno::DQUOT))
    }
}

impl From<BackendError> for io::Error {
    fn from(error: BackendError) -> Self {
        let kind = match error.cause {
            Cause::Os(errno) => Self::from_raw_os_error(errno.raw_os_error()).kind(),
            Cause::EndOfFile => io::ErrorKind::UnexpectedEof,
            Cause::BadName => io::ErrorKind::InvalidInput,
            Cause::InUse { .. } => io::ErrorKind::ResourceBusy,
            Cause::Crashed => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The operating system said so.
    #[error("{0}")]
    Os(Errno),
    /// The file ends before the bytes asked for.
    #[error("the file is too short")]
    EndOfFile,
    /// The name is not one a backend accepts.
    #[error("not a valid file name")]
    BadName,
    /// Another process has the directory open.
    #[error("in use by {}", UserOfLock(*pid))]
    InUse {
        /// The process that holds the lock, if it could be found out.
        pid: Option<u32>,
    },
    /// The simulated machine has crashed; only a restart helps.
    #[error("the simulated machine has crashed")]
    Crashed,
}

impl From<io::Error> for Cause {
    /// Errors without a number come from the standard library: a write of no bytes, or the end of
    /// the file.
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self::Os(Errno::from_raw_os_error(number)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::EndOfFile,
            None => Self::Os(Errno::IO),
        }
    }
}

struct UserOfLock(Option<u32>);

impl fmt::Display for UserOfLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => write!(f, "another process"),
        }
    }
}

/// The operations of the seam, for messages and for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// [`Backend::create`].
    Create,
    /// [`Backend::open`], and opening the directory itself.
    Open,
    /// [`Backend::rename`].
    Rename,
    /// [`Backend::remove`].
    Remove,
    /// [`Backend::list`].
    List,
    /// [`Backend::sync_directory`].
    SyncDirectory,
    /// [`BackendFile::byte_count`].
    Measure,
    /// [`BackendFile::read_at`].
    Read,
    /// [`BackendFile::write_at`].
    Write,
    /// [`BackendFile::preallocate`].
    Preallocate,
    /// [`BackendFile::set_byte_count`].
    Resize,
    /// [`BackendFile::sync`].
    Sync,
}

impl fmt::Display for Operation {
    /// A verb that fits behind "cannot".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::SyncDirectory => "sync the directory",
            Self::Measure => "measure",
            Self::Read => "read",
            Self::Write => "write",
            Self::Preallocate => "reserve room for",
            Self::Resize => "resize",
            Self::Sync => "sync",
        })
    }
}
