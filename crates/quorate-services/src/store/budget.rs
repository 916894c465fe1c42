//! What an operation may cost beyond what the length of its request bounds anyway: room in the
//! answer, and work.
//!
//! A few bytes can ask for every key there is, and every replica does the same work at the same
//! moment. So work is counted, in units that all replicas count alike and that take about as long
//! as stepping over one key of the index, some 50 ns: the limits are then times, though no clock
//! decides. What a put or a compare costs is not counted: its request is as long as it is costly.

use pbft::SeqNum;

use super::StoreError;
use super::outcome::RESPONSE_BYTES_MAX;

/// The most work of one operation: enough to count four million keys, or to list 49,000 of a
/// million, which is what an answer holds if a key has 23 bytes. Beyond it the operation is refused
/// with [`StoreError::TooMuchWork`].
pub const OPERATION_WORK_MAX: u64 = 4 << 20;

/// The most work of all operations of a batch that are not small. What is beyond is refused with
/// [`StoreError::TooManyRequests`], so that no batch keeps replicas from the next one for long.
pub const BATCH_WORK_MAX: u64 = 8 << 20;

/// An operation of so little work is done in any batch, and not counted there: reading a record of
/// 12 KB, say, or deleting a few keys. Whoever asks for much cannot have the others refused.
pub const SMALL_WORK_MAX: u64 = 256;

/// The most records that the operations of one batch look at on behalf of a compaction, besides
/// those that they look at because they wrote some.
const BATCH_SWEEP_MAX: usize = 8 << 10;

/// Reading or writing one record: finding it in the state takes so much longer than stepping over
/// a key.
const RECORD_WORK: u64 = 64;

/// The bytes of records that are copied in one unit of work.
const BYTES_OF_WORK: usize = 64;

/// What is left to the operations of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchBudget {
    seq: SeqNum,
    work: u64,
    /// In records, see [`BATCH_SWEEP_MAX`].
    sweep: usize,
}

impl BatchBudget {
    pub(super) fn new(seq: SeqNum) -> Self {
        Self { seq, work: BATCH_WORK_MAX, sweep: BATCH_SWEEP_MAX }
    }

    /// Whether it is that of the batch with number `seq`.
    pub(super) fn is_of(&self, seq: SeqNum) -> bool {
        self.seq == seq
    }

    /// What its next operation may use.
    pub(super) fn operation(self) -> Budget {
        Budget::of_work(self.work.clamp(SMALL_WORK_MAX, OPERATION_WORK_MAX))
    }

    /// Counts what the operation that was given `budget` has used of it.
    pub(super) fn settle(&mut self, budget: &Budget) {
        let used = budget.work_max - budget.work;
        if used > SMALL_WORK_MAX {
            self.work = self.work.saturating_sub(used);
        }
    }

    /// Takes `count` records to be looked at for a compaction, or as many as are left.
    pub(super) fn take_sweep(&mut self, count: usize) -> usize {
        let taken = count.min(self.sweep);
        self.sweep -= taken;
        taken
    }
}

/// What is left to one operation.
pub(super) struct Budget {
    /// Of [`RESPONSE_BYTES_MAX`].
    room_bytes: usize,
    work: u64,
    /// What `work` was at the start.
    work_max: u64,
}

impl Budget {
    /// What a response encodes to besides keys and values: at most 128 steps, a few dozen bytes
    /// each.
    const FRAME_BYTES: usize = 8 << 10;

    /// The numbers and lengths of an encoded [`KeyValue`](super::KeyValue), and the mark of an
    /// optional one.
    const KEY_VALUE_BYTES: usize = 41;

    /// For an operation that belongs to no batch.
    pub(super) fn full() -> Self {
        Self::of_work(OPERATION_WORK_MAX)
    }

    fn of_work(work: u64) -> Self {
        Self { room_bytes: RESPONSE_BYTES_MAX - Self::FRAME_BYTES, work, work_max: work }
    }

    /// Pays for stepping over one key of the index, whether it exists at the revision or not.
    pub(super) fn step(&mut self) -> Result<(), StoreError> {
        self.pay(1)
    }

    /// Pays for reading or writing so many bytes of one record.
    pub(super) fn record(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.pay(RECORD_WORK + (bytes / BYTES_OF_WORK) as u64)
    }

    /// Pays for a [`KeyValue`](super::KeyValue) with so many bytes of key and value: for reading
    /// it, and for its room in the answer.
    pub(super) fn key_value(&mut self, content_bytes: usize) -> Result<(), StoreError> {
        let left = self.room_bytes.checked_sub(content_bytes + Self::KEY_VALUE_BYTES);
        self.room_bytes = left.ok_or(StoreError::ResponseTooLarge)?;
        self.record(content_bytes)
    }

    fn pay(&mut self, work: u64) -> Result<(), StoreError> {
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None if self.work_max < OPERATION_WORK_MAX => Err(StoreError::TooManyRequests),
            None => Err(StoreError::TooMuchWork),
        }
    }
}
