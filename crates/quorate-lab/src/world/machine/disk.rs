//! What becomes of a machine's disk: crashes, disks that are lost or set back, that fail, fill up or
//! rot; and of its memory.

use super::{DiskCopy, Machine};
use crate::world::CrashKind;
use quorate_replica::{Backend, Crash, HaltCause, MemoryBackend, Operation};
use std::sync::atomic::Ordering;

impl Machine {
    /// The machine goes down now.
    pub(crate) fn crash(&mut self, kind: CrashKind) {
        self.process = None;
        self.memory_changed = true;
        let rng = &mut self.rng;
        let mut survivors = |versions: usize| rng.index(versions + 1);
        let crash = match kind {
            CrashKind::Process => Crash::Process,
            CrashKind::Power => Crash::PowerLosingAll,
            CrashKind::Torn => Crash::PowerTearing(&mut survivors),
        };
        self.disk = self.disk.restart(crash);
    }

    /// The machine will go down at the so-many-th write or sync from now on.
    pub(crate) fn crash_at(&mut self, operation: u64, kind: CrashKind) {
        self.crash_kind = kind;
        self.disk.crash_at(self.disk.operations().mutations() + operation);
    }

    /// How many writes and syncs the disk has seen since the machine came up.
    pub(crate) fn disk_operations(&self) -> u64 {
        self.disk.operations().mutations()
    }

    /// The machine goes down, and comes up with an empty disk.
    pub(crate) fn lose_disk(&mut self) {
        (self.process, self.halted) = (None, None);
        self.disk = MemoryBackend::new();
        (self.has_folder, self.is_lost, self.is_rolled_back) = (false, true, false);
    }

    /// The machine goes down, and somebody copies its disk.
    pub(crate) fn copy_disk(&mut self) {
        self.crash(CrashKind::Power);
        let disk = self.disk.restart(Crash::PowerKeepingAll);
        self.copy = Some(DiskCopy { disk, has_folder: self.has_folder, starts: self.starts });
        self.disk = self.disk.restart(Crash::PowerKeepingAll);
    }

    /// The machine goes down, and comes up with the disk as it was when it was copied. Returns
    /// whether that forgets anything: a replica that was not let in since has promised nothing.
    pub(crate) fn roll_back(&mut self) -> bool {
        let Some(copy) = &self.copy else { return false };
        self.process = None;
        self.disk = copy.disk.restart(Crash::PowerKeepingAll);
        self.has_folder = copy.has_folder;
        self.is_rolled_back = true;
        self.admitted_start > copy.starts
    }

    /// The machine goes down, and comes up with the copy of its disk, while the disk is put in the
    /// copy's place. Returns whether that forgets anything.
    pub(crate) fn swap_disks(&mut self) -> bool {
        let Some(copy) = self.copy.take() else { return self.has_forgotten };
        self.crash(CrashKind::Power);
        let disk = self.disk.restart(Crash::PowerKeepingAll);
        self.copy = Some(DiskCopy { disk, has_folder: self.has_folder, starts: self.starts });
        self.disk = copy.disk.restart(Crash::PowerKeepingAll);
        self.has_folder = copy.has_folder;
        (self.is_rolled_back, self.halted) = (true, None);
        self.admitted_start > copy.starts
    }

    /// The next sync fails.
    pub(crate) fn fail_next_sync(&mut self) {
        self.has_failing_disk = true;
        self.disk.fail_sync_at(self.disk.operations().of(Operation::Sync) + 1);
    }

    /// No file can grow any more, and none can be made.
    pub(crate) fn fill_disk(&mut self) {
        self.has_failing_disk = true;
        self.disk.limit_bytes(0);
    }

    /// The machine goes down, and a bit in one of its files flips, any as likely as any other.
    pub(crate) fn rot(&mut self) {
        self.crash(CrashKind::Power);
        let names = self.disk.list().unwrap_or_default();
        let size = |name: &str| self.disk.open(name).and_then(|file| file.byte_count());
        let files: Vec<(String, u64)> = names
            .into_iter()
            .filter_map(|name| size(&name).ok().map(|bytes| (name, bytes)))
            .collect();
        let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut offset = self.rng.below(total.max(1));
        let mask = 1 << self.rng.below(8);
        for (name, bytes) in files {
            if offset < bytes {
                // The file is there and as long as it was a moment ago.
                let _ = self.disk.rot(&name, offset, mask);
                (self.has_failing_disk, self.is_timely) = (true, false);
                return;
            }
            offset -= bytes;
        }
    }

    /// What was to happen to the disk does not happen, and there is room again.
    pub(crate) fn mend_disk(&mut self) {
        self.disk.crash_at(u64::MAX);
        self.disk.fail_sync_at(u64::MAX);
        self.disk.limit_bytes(u64::MAX);
    }

    /// A bit of the state flips in memory when the next operation is executed.
    pub(crate) fn flip_state(&self) {
        self.flip.store(true, Ordering::Relaxed);
    }

    /// Whether the replica stopped because of what was done to its disk.
    pub(super) fn has_stopped_for_its_disk(&self) -> bool {
        self.has_failing_disk && matches!(self.halted, Some(HaltCause::Storage(_)))
    }

    /// Whoever starts a replica that stopped because of its disk has looked after the disk first.
    pub(super) fn start_after_disk_failure(&mut self) {
        if self.has_stopped_for_its_disk() {
            self.halted = None;
            self.disk = self.disk.restart(Crash::Process);
        }
    }
}
