//! When the stable checkpoint becomes a durable snapshot. Checkpoints are frequent and certified
//! in memory; snapshots are rare, because writing them competes with the journal for the disk.
//! The journal is kept back to the last durable one.

use pbft::{Replica, SeqNum, Time};
use std::time::Duration;

/// When a stable checkpoint is written to disk: as soon as either limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After so many bytes of journal.
    pub journal_bytes: u64,
    /// After so long.
    pub interval: Duration,
}

impl Default for SnapshotPolicy {
    /// 64 MB or 60 s.
    fn default() -> Self {
        Self { journal_bytes: 64 << 20, interval: Duration::from_secs(60) }
    }
}

/// A base is not longer than this, in bytes, lest it not fit one frame of the journal.
const BASE_BYTES_MAX: usize = 512 << 20;

/// The snapshots of one replica. One is written at a time.
#[derive(Debug)]
pub(super) struct Snapshots {
    policy: SnapshotPolicy,
    /// The checkpoint of the last durable one.
    durable: SeqNum,
    /// The checkpoint of the one being written.
    writing: Option<SeqNum>,
    /// When the last one was begun, or the replica.
    begun: Time,
    /// Bytes of journal since then.
    journal_bytes: u64,
}

impl Snapshots {
    pub(super) fn new(
        policy: SnapshotPolicy,
        durable: SeqNum,
        journal_bytes: u64,
        now: Time,
    ) -> Self {
        Self { policy, durable, writing: None, begun: now, journal_bytes }
    }

    /// The checkpoint of the last durable snapshot.
    pub(super) fn durable(&self) -> SeqNum {
        self.durable
    }

    pub(super) fn note_written(&mut self, journal_bytes: u64) {
        self.journal_bytes += journal_bytes;
    }

    /// Whether it is time to make a snapshot of the stable checkpoint.
    pub(super) fn is_due(&self, stable: SeqNum, now: Time) -> bool {
        let is_time = self.journal_bytes >= self.policy.journal_bytes
            || now.since(self.begun) >= self.policy.interval;
        self.writing.is_none() && stable > self.durable && is_time
    }

    /// Begins to write a snapshot, unless one is being written.
    pub(super) fn try_start(&mut self, seq: SeqNum, now: Time) -> bool {
        if self.writing.is_some() {
            return false;
        }
        (self.writing, self.begun, self.journal_bytes) = (Some(seq), now, 0);
        true
    }

    pub(super) fn on_durable(&mut self, seq: SeqNum) {
        assert_eq!(self.writing, Some(seq), "the snapshot being written becomes durable");
        (self.writing, self.durable) = (None, self.durable.max(seq));
    }
}

/// The encoded records that restate everything the core has made durable and still needs; `None`
/// if they are too long.
pub(super) fn base(core: &Replica) -> Option<Vec<Vec<u8>>> {
    let records: Vec<Vec<u8>> = core.durable_records().iter().map(pbft::Record::encode).collect();
    let bytes: usize = records.iter().map(Vec::len).sum();
    (bytes <= BASE_BYTES_MAX).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: SnapshotPolicy =
        SnapshotPolicy { journal_bytes: 1000, interval: Duration::from_secs(60) };

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn snapshot_is_due_after_enough_journal_or_time_and_only_of_something_new() {
        let (old, new) = (SeqNum::new(128), SeqNum::new(256));
        let mut snapshots = Snapshots::new(POLICY, old, 0, at(5));
        assert!(!snapshots.is_due(new, at(64)));
        assert!(snapshots.is_due(new, at(65)));
        assert!(!snapshots.is_due(old, at(65)));
        snapshots.note_written(999);
        assert!(!snapshots.is_due(new, at(6)));
        snapshots.note_written(1);
        assert!(snapshots.is_due(new, at(6)));
    }

    #[test]
    fn one_snapshot_is_written_at_a_time() {
        let mut snapshots = Snapshots::new(POLICY, SeqNum::ZERO, 5000, at(0));
        assert!(snapshots.try_start(SeqNum::new(128), at(1)));
        snapshots.note_written(5000);
        assert!(!snapshots.is_due(SeqNum::new(256), at(100)));
        assert!(!snapshots.try_start(SeqNum::new(256), at(100)));
        snapshots.on_durable(SeqNum::new(128));
        assert_eq!(snapshots.durable(), SeqNum::new(128));
        assert!(snapshots.is_due(SeqNum::new(256), at(100)));
    }
}
