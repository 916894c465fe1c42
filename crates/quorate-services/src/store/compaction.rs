//! Forgetting history, in two steps.
//!
//! *Compacting* at a revision is one assignment: from then on nothing below it can be read.
//! *Sweeping* then removes the records that this made unreadable. To remove millions in one
//! operation or batch would stop every replica at the same moment, so each operation from the
//! compaction on, whatever it is, looks at a bounded number of records in the order in which they
//! were written, as long as its batch has not looked at too many, and how far it came is replicated
//! state. All replicas therefore hold the same records after the same operations, also one that
//! restarted or was brought up by state transfer in between. An idle store sweeps nothing; nothing
//! but its size tells.

use pbft::{State, StateRead};

use super::budget::BatchBudget;
use super::index::Index;
use super::record::{Counters, Point, Record, Sweep, scan_records};
use super::undo::Undo;
use super::{StoreError, Totals};

/// The least number of records looked at after one operation, until its batch has had its share.
const RECORDS_MIN: usize = 64;

/// The most, whatever the operation wrote.
const RECORDS_MAX: usize = 512;

/// No further record is looked at after so many bytes of records.
const RECORD_BYTES_MAX: usize = 1 << 20;

impl Counters {
    /// Makes `revision` the oldest readable one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] if it, or a later one, already is; [`StoreError::FutureRevision`]
    /// if it has not been reached.
    pub(super) fn compact(&mut self, revision: i64) -> Result<(), StoreError> {
        if revision <= self.compact_revision {
            return Err(StoreError::Compacted);
        }
        if revision > self.revision {
            return Err(StoreError::FutureRevision);
        }
        self.compact_revision = revision;
        // A sweep under way is finished first: if each compaction started over, frequent ones
        // would never reach the later records.
        if self.sweep.is_none() {
            self.sweep = Some(Sweep::new(revision));
        }
        Ok(())
    }
}

impl Sweep {
    fn new(target: i64) -> Self {
        Self { target, next: Point::first(0) }
    }
}

/// Looks at the next records on behalf of a compaction, if there is one to finish, after an
/// operation that wrote `written` records: at twice as many at least, so that no load writes faster
/// than this sweeps, and at some more as long as the batch allows it.
pub(super) fn sweep(
    counters: &mut Counters,
    index: &mut Index,
    totals: &mut Totals,
    state: &mut dyn State,
    batch: &mut BatchBudget,
    undo: &mut Undo,
    written: usize,
) {
    let Some(sweep) = counters.sweep else { return };
    let twice_written = written.saturating_mul(2);
    let count_max = batch.take_sweep(RECORDS_MIN).max(twice_written).min(RECORDS_MAX);
    let step = look(sweep, index, &*state, count_max);
    for doomed in step.doomed {
        state.delete(&doomed.point.state_key());
        index.forget_oldest(&doomed.key);
        totals.subtract(doomed.record_bytes);
        undo.note_forgotten(doomed.key, doomed.point);
    }
    counters.sweep = match step.next {
        Some(next) => Some(Sweep { next, ..sweep }),
        None if sweep.target < counters.compact_revision => {
            Some(Sweep::new(counters.compact_revision))
        }
        None => None,
    };
}

/// What looking at some records found.
struct Step {
    doomed: Vec<Doomed>,
    /// The record to go on with; `None` if there is none up to the target.
    next: Option<Point>,
}

/// A record that no readable revision shows.
struct Doomed {
    key: Box<[u8]>,
    point: Point,
    record_bytes: usize,
}

fn look(sweep: Sweep, index: &Index, state: &dyn StateRead, count_max: usize) -> Step {
    let mut step = Step { doomed: Vec::new(), next: None };
    let (mut count, mut bytes) = (0, 0);
    let end = sweep.target.checked_add(1).map(Point::first);
    scan_records(state, sweep.next, end, &mut |point, value| {
        if count == count_max || bytes > RECORD_BYTES_MAX {
            step.next = Some(point);
            return false;
        }
        count += 1;
        bytes += value.len();
        let key = Record::decode(point, value).key;
        let newest = index.newest_at(key, sweep.target);
        if point.is_tombstone() || newest != Some(point) {
            step.doomed.push(Doomed { key: key.into(), point, record_bytes: value.len() });
        }
        true
    });
    step
}
