//! Disks that fail, are full or rot.

use super::Machine;
use crate::world::CrashKind;
use quorate_replica::{Backend, Crash, HaltCause, Operation};

impl Machine {
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
