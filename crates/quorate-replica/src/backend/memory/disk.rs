//! The simulated disk: names, inodes, and which of their versions are durable.

mod inode;

use super::super::{BackendError, Cause, Operation};
use super::{Crash, OperationCounts, is_mutation};
use inode::Inode;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a name stands for; never used again.
pub(super) type InodeId = u64;

/// Held by every open file of an inode, so that removing its name leaves the content in place.
pub(super) type InodeUse = Arc<()>;

#[derive(Default)]
pub(super) struct Disk {
    inodes: BTreeMap<InodeId, (Inode, InodeUse)>,
    inode_last: InodeId,
    /// The names as every operation sees them.
    names: BTreeMap<String, InodeId>,
    /// The names as of the last sync of the directory.
    durable_names: BTreeMap<String, InodeId>,
    /// The changes since then, oldest first.
    name_changes: Vec<NameChange>,
    pub(super) counts: OperationCounts,
    pub(super) has_crashed: bool,
    /// Among all mutations.
    pub(super) crash_at: Option<u64>,
    /// Among the syncs of files.
    pub(super) fail_sync_at: Option<u64>,
    pub(super) byte_count_max: Option<u64>,
}

#[derive(Clone)]
enum NameChange {
    Added { name: String, inode: InodeId },
    Moved { from: String, to: String, inode: InodeId },
    Removed { name: String },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, InodeId>) {
        match self {
            Self::Added { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Moved { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Removed { name } => {
                names.remove(name);
            }
        }
    }
}

impl Disk {
    /// What a machine finds after it went down like this.
    pub(super) fn after(&self, crash: Crash<'_>) -> Self {
        match crash {
            Crash::Process => Self {
                inodes: self
                    .inodes
                    .iter()
                    .map(|(id, (inode, _))| (*id, (inode.clone(), InodeUse::default())))
                    .collect(),
                inode_last: self.inode_last,
                names: self.names.clone(),
                durable_names: self.durable_names.clone(),
                name_changes: self.name_changes.clone(),
                ..Self::default()
            },
            Crash::PowerLosingAll => self.after_power_cut(&mut |_| 0),
            Crash::PowerKeepingAll => self.after_power_cut(&mut |versions| versions),
            Crash::PowerTearing(survivors) => self.after_power_cut(survivors),
        }
    }

    fn after_power_cut(&self, survivors: &mut dyn FnMut(usize) -> usize) -> Self {
        let mut names = self.durable_names.clone();
        for change in &self.name_changes {
            if survivors(1) > 0 {
                change.apply(&mut names);
            }
        }
        let linked: BTreeSet<InodeId> = names.values().copied().collect();
        let mut inodes = BTreeMap::new();
        for id in linked {
            let (inode, _) = self.inodes.get(&id).expect("a durable name keeps its inode");
            inodes.insert(id, (inode.after_power_cut(survivors), InodeUse::default()));
        }
        Self {
            inodes,
            inode_last: self.inode_last,
            durable_names: names.clone(),
            names,
            ..Self::default()
        }
    }

    pub(super) fn create(&mut self, name: &str) -> Result<(InodeId, InodeUse), BackendError> {
        let end = self.begin(Operation::Create, name)?;
        if self.names.contains_key(name) {
            return Err(failed(Operation::Create, name, Errno::EXIST));
        }
        self.inode_last += 1;
        let inode = self.inode_last;
        let in_use = InodeUse::default();
        self.inodes.insert(inode, (Inode::default(), Arc::clone(&in_use)));
        self.change_name(NameChange::Added { name: name.to_owned(), inode });
        end.map(|()| (inode, in_use))
    }

    pub(super) fn open(&mut self, name: &str) -> Result<(InodeId, InodeUse), BackendError> {
        self.begin(Operation::Open, name)??;
        let inode = self.named(Operation::Open, name)?;
        let (_, in_use) = self.inodes.get(&inode).expect("a name keeps its inode");
        Ok((inode, Arc::clone(in_use)))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), BackendError> {
        let end = self.begin(Operation::Rename, from)?;
        let inode = self.named(Operation::Rename, from)?;
        self.change_name(NameChange::Moved { from: from.to_owned(), to: to.to_owned(), inode });
        end
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), BackendError> {
        let end = self.begin(Operation::Remove, name)?;
        self.named(Operation::Remove, name)?;
        self.change_name(NameChange::Removed { name: name.to_owned() });
        end
    }

    pub(super) fn list(&mut self) -> Result<Vec<String>, BackendError> {
        self.begin(Operation::List, DIRECTORY)??;
        Ok(self.names.keys().cloned().collect())
    }

    pub(super) fn sync_directory(&mut self) -> Result<(), BackendError> {
        self.begin(Operation::SyncDirectory, DIRECTORY)??;
        self.durable_names = self.names.clone();
        self.name_changes.clear();
        let linked: BTreeSet<InodeId> = self.names.values().copied().collect();
        self.inodes.retain(|id, (_, in_use)| linked.contains(id) || Arc::strong_count(in_use) > 1);
        Ok(())
    }

    pub(super) fn byte_count(&mut self, inode: InodeId, name: &str) -> Result<u64, BackendError> {
        self.begin(Operation::Measure, name)??;
        Ok(self.inode(inode).byte_count())
    }

    pub(super) fn read(
        &mut self,
        inode: InodeId,
        name: &str,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(), BackendError> {
        self.begin(Operation::Read, name)??;
        let is_inside = self.inode(inode).read(offset, out);
        let too_short = || BackendError::new(Operation::Read, name, Cause::EndOfFile);
        is_inside.then_some(()).ok_or_else(too_short)
    }

    /// On a full disk the part that fits is written before the error, as real systems do.
    pub(super) fn write(
        &mut self,
        inode: InodeId,
        name: &str,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), BackendError> {
        let end = self.begin(Operation::Write, name)?;
        let room = self.byte_count_within_limit(inode).saturating_sub(offset);
        let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.inode(inode).write(offset, &bytes[..fitting]);
        if fitting < bytes.len() {
            return Err(failed(Operation::Write, name, Errno::NOSPC));
        }
        end
    }

    pub(super) fn preallocate(
        &mut self,
        inode: InodeId,
        name: &str,
        byte_count: u64,
    ) -> Result<(), BackendError> {
        let end = self.begin(Operation::Preallocate, name)?;
        if byte_count > self.byte_count_within_limit(inode) {
            return Err(failed(Operation::Preallocate, name, Errno::NOSPC));
        }
        let inode = self.inode(inode);
        if byte_count > inode.byte_count() {
            inode.resize(byte_count);
        }
        end
    }

    pub(super) fn resize(
        &mut self,
        inode: InodeId,
        name: &str,
        byte_count: u64,
    ) -> Result<(), BackendError> {
        let end = self.begin(Operation::Resize, name)?;
        if byte_count > self.byte_count_within_limit(inode) {
            return Err(failed(Operation::Resize, name, Errno::NOSPC));
        }
        self.inode(inode).resize(byte_count);
        end
    }

    pub(super) fn sync(&mut self, inode: InodeId, name: &str) -> Result<(), BackendError> {
        self.begin(Operation::Sync, name)??;
        if self.fail_sync_at == Some(self.counts.of(Operation::Sync)) {
            self.inode(inode).forget_unsynced();
            return Err(failed(Operation::Sync, name, Errno::IO));
        }
        self.inode(inode).sync();
        Ok(())
    }

    pub(super) fn rot(&mut self, name: &str, offset: u64, mask: u8) -> Result<(), BackendError> {
        let inode = self.named(Operation::Write, name)?;
        let is_inside = self.inode(inode).rot(offset, mask);
        let too_short = || BackendError::new(Operation::Write, name, Cause::EndOfFile);
        is_inside.then_some(()).ok_or_else(too_short)
    }

    /// Counts an operation. The outer error: the machine is down, do nothing. The inner one: it
    /// goes down during this operation, so whatever the operation changes is left unsynced.
    fn begin(
        &mut self,
        operation: Operation,
        name: &str,
    ) -> Result<Result<(), BackendError>, BackendError> {
        let crashed = || BackendError::new(operation, name, Cause::Crashed);
        if self.has_crashed {
            return Err(crashed());
        }
        self.counts.count(operation);
        if is_mutation(operation) && self.crash_at == Some(self.counts.mutations()) {
            self.has_crashed = true;
            return Ok(Err(crashed()));
        }
        Ok(Ok(()))
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn named(&self, operation: Operation, name: &str) -> Result<InodeId, BackendError> {
        self.names.get(name).copied().ok_or_else(|| failed(operation, name, Errno::NOENT))
    }

    fn inode(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes.get_mut(&id).expect("an open file keeps its inode").0
    }

    /// How long this file may become before the disk is full.
    fn byte_count_within_limit(&self, inode: InodeId) -> u64 {
        let Some(limit) = self.byte_count_max else {
            return u64::MAX;
        };
        let others = self.inodes.iter().filter(|(id, _)| **id != inode);
        let taken: u64 = others.map(|(_, (other, _))| other.byte_count()).sum();
        let own = self.inodes.get(&inode).map_or(0, |(own, _)| own.byte_count());
        limit.saturating_sub(taken).max(own)
    }
}

/// Stands for the directory in messages.
const DIRECTORY: &str = ".";

fn failed(operation: Operation, name: &str, errno: Errno) -> BackendError {
    BackendError::new(operation, name, Cause::Os(errno))
}
