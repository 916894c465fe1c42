//! A deterministic multi-version key-value store with the semantics of etcd 3.4.
//!
//! # For a reader who knows etcd
//!
//! [`Store`] is what etcd calls applier and `mvcc` together: it takes a request in the agreed
//! order, checks it as `v3rpc` does, and answers with the response or the error, code and text
//! included, that etcd would give. Revisions count as in etcd: an empty store is at 1, every
//! operation that writes something makes the next one, and all writes of one transaction share it.
//!
//! What differs is where things are kept. All that replicas must agree on lies in the replicated
//! state, one record for each write of each key under its revision (module `record`), like etcd's
//! `key` bucket; so a digest of the state covers every readable revision, and history below the
//! compacted one in as far as it has not been removed yet. The tree of keys (module `index`) is
//! local and derived from the records, like etcd's `treeIndex`.
//!
//! Time, leases, watches, sorting, filters, nested transactions, compares of ranges, `ignore_value`
//! and `ignore_lease` are not here yet.
//!
//! # Determinism
//!
//! What an operation answers and writes depends on the state and the operation alone, neither on
//! the index's history nor on when a replica started: [`Store::restored`](Service::restored) gives
//! the very index that executing all operations would have given, and
//! [`Store::rolled_back`](Service::rolled_back) takes one batch out of it again. Malformed input is an
//! answer too.
//!
//! One thing more may count: how much work the operations before it in the same batch were (module
//! `budget`). All replicas execute the same batches, and none begins in the middle of one.

mod budget;
mod compaction;
mod error;
mod index;
mod operation;
mod outcome;
mod read;
mod record;
mod undo;
mod write;

use pbft::{Context, Reading, SeqNum, Service, State, StateRead};

use budget::BatchBudget;
pub use budget::{BATCH_WORK_MAX, OPERATION_WORK_MAX, SMALL_WORK_MAX};
pub use error::{ErrorCode, StoreError};
use index::Index;
pub use operation::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, OPERATION_BYTES_MAX,
    Operation, PutRequest, REQUEST_BYTES_MAX, RangeRequest, TXN_OPERATIONS_MAX, TxnOperation,
    TxnRequest,
};
pub use outcome::{
    DeleteRangeResponse, KeyValue, Outcome, PutResponse, RESPONSE_BYTES_MAX, RangeResponse,
    Response, StatusResponse, TxnOperationResponse, TxnResponse,
};
use read::View;
use record::{Counters, Point, Record, scan_records};
use undo::Undo;
use write::Writer;

/// The store as one replica runs it. Between two batches everything that matters in it is a
/// function of the replicated state.
#[derive(Debug)]
pub struct Store {
    /// The replicated counters, as last written.
    counters: Counters,
    index: Index,
    totals: Totals,
    /// What is left to the batch being executed, *(while it is)*.
    batch: BatchBudget,
    /// What that batch, or the last one, has changed of the index and the totals.
    undo: Undo,
}

/// The size of all records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Totals {
    record_count: u64,
    record_bytes: u64,
}

impl Store {
    /// An empty store, at revision 1.
    pub fn new() -> Self {
        Self {
            counters: Counters::INITIAL,
            index: Index::default(),
            totals: Totals::default(),
            batch: BatchBudget::new(SeqNum::ZERO),
            undo: Undo::default(),
        }
    }

    fn view<'a>(&'a self, state: &'a dyn StateRead) -> View<'a> {
        View {
            state,
            index: &self.index,
            totals: self.totals,
            revision: self.counters.revision,
            compact_revision: self.counters.compact_revision,
        }
    }

    /// Executes a checked operation, then goes on with a compaction under way.
    fn apply(
        &mut self,
        operation: Result<Operation, StoreError>,
        state: &mut dyn State,
    ) -> Result<Response, StoreError> {
        let (result, written) = match operation {
            Err(error) => (Err(error), Vec::new()),
            Ok(operation) => {
                let mut budget = self.batch.operation();
                let writer = Writer {
                    state: &mut *state,
                    index: &mut self.index,
                    totals: &mut self.totals,
                    counters: &mut self.counters,
                    written: Vec::new(),
                };
                let applied = writer.apply(&operation, &mut budget);
                self.batch.settle(&budget);
                applied
            }
        };
        let Self { counters, index, totals, batch, undo } = self;
        let written_count = written.len();
        undo.note_written(written);
        compaction::sweep(counters, index, totals, state, batch, undo, written_count);
        result
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Service for Store {
    /// `operation` is an encoded [`Operation`], the result an encoded [`Outcome`].
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        if !self.batch.is_of(context.seq) {
            self.batch = BatchBudget::new(context.seq);
            self.undo = Undo::begin(self.totals);
        }
        let counters_before = self.counters;
        let result = self.apply(checked(operation), state);
        if self.counters != counters_before {
            self.counters.save(state);
        }
        Outcome { revision: self.counters.revision, result }.encode()
    }

    /// Answers ranges, transactions of ranges alone, the status, and what is refused outright.
    fn query(
        &self,
        _context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading> {
        let result = match checked(operation) {
            Ok(operation) => self.view(state).answer(&operation)?,
            Err(error) => Err(error),
        };
        Some(Outcome { revision: self.counters.revision, result }.into())
    }

    fn restored(&mut self, state: &dyn StateRead) {
        *self = Self::new();
        self.counters = Counters::load(state);
        scan_records(state, Point::first(0), None, &mut |point, bytes| {
            self.totals.add(bytes.len());
            self.index.append(Record::decode(point, bytes).key, point);
            true
        });
    }

    fn rolled_back(&mut self, seq: SeqNum, state: &dyn StateRead) {
        if !self.batch.is_of(seq) {
            return;
        }
        std::mem::take(&mut self.undo).apply(&mut self.index, &mut self.totals);
        self.counters = Counters::load(state);
        // The next batch has the same number, and its own budget.
        self.batch = BatchBudget::new(SeqNum::ZERO);
    }
}

fn checked(operation: &[u8]) -> Result<Operation, StoreError> {
    let operation = Operation::decode(operation)?;
    operation.check()?;
    Ok(operation)
}

impl Totals {
    fn add(&mut self, record_bytes: usize) {
        self.record_count += 1;
        self.record_bytes += record_bytes as u64;
    }

    fn subtract(&mut self, record_bytes: usize) {
        self.record_count -= 1;
        self.record_bytes -= record_bytes as u64;
    }
}
