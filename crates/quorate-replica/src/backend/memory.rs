//! A [`Backend`] in memory that fails on demand: it crashes at the chosen operation, loses or
//! tears what was not synced, fails syncs, fills up and rots. Deterministic: every choice is made
//! by whoever tests.

mod disk;

use super::{Backend, BackendError, BackendFile, Operation, check_name};
use disk::{Disk, InodeId, InodeUse};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A simulated machine's disk and page cache. Clones are handles to the same machine.
///
/// Each file has durable content and the content reads see. A write reaches the page cache at
/// once and the disk when the file is synced; what happens to it in between is decided by
/// [`MemoryBackend::restart`], sector by sector of [`SECTOR_BYTES`](crate::SECTOR_BYTES), each sector surviving in any
/// one of the versions it had since the last sync. Names behave likewise: every change of a name
/// since the last [`Backend::sync_directory`] survives or is lost on its own.
#[derive(Clone)]
pub struct MemoryBackend {
    disk: Arc<Mutex<Disk>>,
}

/// How a simulated machine goes down, and so what it finds when it is up again.
pub enum Crash<'a> {
    /// Only the process died: the page cache lives on, and what was not synced still is not.
    Process,
    /// Power was lost, and with it everything that was not synced.
    PowerLosingAll,
    /// Power was lost, but everything written had reached the disk by chance.
    PowerKeepingAll,
    /// Power was lost, and of each sector, each length and each name some version survived. The
    /// function is asked with a number of unsynced versions and answers how many of them, oldest
    /// first, reached the disk (more counts as all).
    PowerTearing(&'a mut dyn FnMut(usize) -> usize),
}

/// How many operations of each kind have been attempted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationCounts(BTreeMap<Operation, u64>);

impl OperationCounts {
    /// How many of this kind.
    pub fn of(&self, operation: Operation) -> u64 {
        self.0.get(&operation).copied().unwrap_or(0)
    }

    /// How many that change anything: those a crash can be placed at.
    pub fn mutations(&self) -> u64 {
        self.0.iter().filter(|(operation, _)| is_mutation(**operation)).map(|(_, n)| n).sum()
    }

    fn count(&mut self, operation: Operation) {
        *self.0.entry(operation).or_default() += 1;
    }
}

fn is_mutation(operation: Operation) -> bool {
    match operation {
        Operation::Create
        | Operation::Rename
        | Operation::Remove
        | Operation::SyncDirectory
        | Operation::Write
        | Operation::Preallocate
        | Operation::Resize
        | Operation::Sync => true,
        Operation::Open | Operation::List | Operation::Measure | Operation::Read => false,
    }
}

impl MemoryBackend {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::default())) }
    }

    /// Crashes at the `number`th operation that changes anything, counted from 1 since the
    /// machine came up. That operation is under way when the machine goes down: what it writes is
    /// unsynced, what it syncs is not durable. It and everything after it fails with
    /// [`Cause::Crashed`](super::Cause::Crashed).
    pub fn crash_at(&self, number: u64) {
        self.lock().crash_at = Some(number);
    }

    /// Crashes now, between two operations.
    pub fn crash(&self) {
        self.lock().has_crashed = true;
    }

    /// Whether the machine is down.
    pub fn has_crashed(&self) -> bool {
        self.lock().has_crashed
    }

    /// Brings the machine up again, crashed or not, on what survived; counters and faults start
    /// anew. Handles and files of the time before are dead from now on.
    pub fn restart(&self, crash: Crash<'_>) -> Self {
        let mut disk = self.lock();
        disk.has_crashed = true;
        Self { disk: Arc::new(Mutex::new(disk.after(crash))) }
    }

    /// Makes the `number`th sync of a file, counted from 1 since the machine came up, fail with
    /// EIO. As on real systems the data it should have written counts as clean afterwards: reads
    /// still show it, a later sync succeeds, and a power cut loses it.
    pub fn fail_sync_at(&self, number: u64) {
        self.lock().fail_sync_at = Some(number);
    }

    /// Lets all files together have at most this many bytes; growing beyond fails with ENOSPC.
    pub fn limit_bytes(&self, byte_count_max: u64) {
        self.lock().byte_count_max = Some(byte_count_max);
    }

    /// Flips the bits of `mask` in one byte of a file, on the disk and in the cache.
    pub fn rot(&self, name: &str, offset: u64, mask: u8) -> Result<(), BackendError> {
        self.lock().rot(name, offset, mask)
    }

    /// The operations attempted since the machine came up.
    pub fn operations(&self) -> OperationCounts {
        self.lock().counts.clone()
    }

    /// A panic while the lock was held was a failed test; the disk itself is still in order.
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str, (inode, in_use): (InodeId, InodeUse)) -> Arc<dyn BackendFile> {
        let name = name.to_owned();
        Arc::new(MemoryFile { name, backend: self.clone(), inode, _in_use: in_use })
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBackend {
    /// Without the contents, which would be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn create(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError> {
        check_name(Operation::Create, name)?;
        let opened = self.lock().create(name)?;
        Ok(self.file(name, opened))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError> {
        check_name(Operation::Open, name)?;
        let opened = self.lock().open(name)?;
        Ok(self.file(name, opened))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), BackendError> {
        check_name(Operation::Rename, from)?;
        check_name(Operation::Rename, to)?;
        self.lock().rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), BackendError> {
        check_name(Operation::Remove, name)?;
        self.lock().remove(name)
    }

    fn list(&self) -> Result<Vec<String>, BackendError> {
        self.lock().list()
    }

    fn sync_directory(&self) -> Result<(), BackendError> {
        self.lock().sync_directory()
    }
}

struct MemoryFile {
    name: String,
    backend: MemoryBackend,
    inode: InodeId,
    /// Keeps the content alive after the name is gone.
    _in_use: InodeUse,
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl BackendFile for MemoryFile {
    fn byte_count(&self) -> Result<u64, BackendError> {
        self.backend.lock().byte_count(self.inode, &self.name)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), BackendError> {
        self.backend.lock().read(self.inode, &self.name, offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), BackendError> {
        self.backend.lock().write(self.inode, &self.name, offset, bytes)
    }

    fn preallocate(&self, byte_count: u64) -> Result<(), BackendError> {
        self.backend.lock().preallocate(self.inode, &self.name, byte_count)
    }

    fn set_byte_count(&self, byte_count: u64) -> Result<(), BackendError> {
        self.backend.lock().resize(self.inode, &self.name, byte_count)
    }

    fn sync(&self) -> Result<(), BackendError> {
        self.backend.lock().sync(self.inode, &self.name)
    }
}

#[cfg(test)]
mod tests;
