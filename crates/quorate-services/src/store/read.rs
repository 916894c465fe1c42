//! Reading: ranges at any kept revision, compares, transactions that only read.

use std::cmp::Ordering;

use pbft::StateRead;

use super::budget::Budget;
use super::index::Index;
use super::operation::{Compare, CompareResult, CompareTarget, RangeRequest};
use super::operation::{TxnOperation, TxnRequest};
use super::outcome::{KeyValue, RangeResponse, Response};
use super::outcome::{TxnOperationResponse, TxnResponse};
use super::record::{Body, Point, read_record};
use super::{Operation, StatusResponse, StoreError, Totals};

/// The store as one operation, or one step of a transaction, finds it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub state: &'a dyn StateRead,
    pub index: &'a Index,
    pub totals: Totals,
    /// The revision that a read which names none is at.
    pub revision: i64,
    pub compact_revision: i64,
}

impl View<'_> {
    /// The answer to an operation that only reads; `None` if `operation` may write.
    pub(super) fn answer(&self, operation: &Operation) -> Option<Result<Response, StoreError>> {
        let mut budget = Budget::full();
        match operation {
            Operation::Range(range) => Some(self.range(range, &mut budget).map(Response::Range)),
            Operation::Txn(txn) if txn.is_read_only() => {
                Some(self.txn(txn, &mut budget).map(Response::Txn))
            }
            Operation::Status => Some(Ok(Response::Status(self.status()))),
            Operation::Txn(_)
            | Operation::Put(_)
            | Operation::DeleteRange(_)
            | Operation::Compact(_) => None,
        }
    }

    pub(super) fn range(
        &self,
        request: &RangeRequest,
        budget: &mut Budget,
    ) -> Result<RangeResponse, StoreError> {
        let revision = self.readable_revision(request.revision)?;
        let limit = match usize::try_from(request.limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let mut response = RangeResponse::default();
        for (key, point) in self.index.range(&request.key, &request.range_end, revision) {
            budget.step()?;
            let Some(point) = point else {
                continue;
            };
            response.count += 1;
            if request.count_only {
                continue;
            }
            if response.kvs.len() == limit {
                response.more = true;
            } else if request.keys_only {
                response.kvs.push(self.key_without_value(key, point, budget)?);
            } else {
                response.kvs.push(self.key_value(key, point, budget)?);
            }
        }
        Ok(response)
    }

    pub(super) fn status(&self) -> StatusResponse {
        StatusResponse {
            compact_revision: self.compact_revision,
            record_count: self.totals.record_count,
            record_bytes: self.totals.record_bytes,
        }
    }

    /// What `key` has in the record at `point`.
    pub(super) fn key_value(
        &self,
        key: &[u8],
        point: Point,
        budget: &mut Budget,
    ) -> Result<KeyValue, StoreError> {
        self.look_at(point, |body| {
            budget.key_value(key.len() + body.value.len())?;
            Ok(body.key_value(key, point))
        })
    }

    fn key_without_value(
        &self,
        key: &[u8],
        point: Point,
        budget: &mut Budget,
    ) -> Result<KeyValue, StoreError> {
        budget.key_value(key.len())?;
        Ok(self.look_at(point, |body| Body { value: &[], ..body }.key_value(key, point)))
    }

    /// What `look` finds in the record at `point`, one that the index gave.
    pub(super) fn look_at<T>(&self, point: Point, look: impl FnOnce(Body<'_>) -> T) -> T {
        read_record(self.state, point, |record| {
            look(record.body.expect("the index yields no tombstones"))
        })
    }

    fn txn(&self, txn: &TxnRequest, budget: &mut Budget) -> Result<TxnResponse, StoreError> {
        let (succeeded, branch) = self.branch(txn)?;
        let mut responses = Vec::with_capacity(branch.len());
        for operation in branch {
            let TxnOperation::Range(range) = operation else {
                continue;
            };
            let response = Response::Range(self.range(range, budget)?);
            responses.push(TxnOperationResponse { behind: 0, response });
        }
        Ok(TxnResponse { succeeded, responses })
    }

    /// Whether the compares of `txn` hold, and the branch to do, once it is sure that no step of
    /// it will be refused: etcd looks at all puts first, then at all ranges.
    pub(super) fn branch<'t>(
        &self,
        txn: &'t TxnRequest,
    ) -> Result<(bool, &'t [TxnOperation]), StoreError> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { &txn.success } else { &txn.failure };
        for operation in branch {
            if let TxnOperation::Put(put) = operation {
                put.check_lease()?;
            }
        }
        for operation in branch {
            let TxnOperation::Range(range) = operation else {
                continue;
            };
            // Unlike a range on its own, etcd takes a negative revision at its word here.
            match range.revision {
                0 => {}
                future if future > self.revision => return Err(StoreError::FutureRevision),
                past if past < self.compact_revision => return Err(StoreError::Compacted),
                _ => {}
            }
        }
        Ok((succeeded, branch))
    }

    fn readable_revision(&self, asked: i64) -> Result<i64, StoreError> {
        match asked {
            ..=0 => Ok(self.revision),
            future if future > self.revision => Err(StoreError::FutureRevision),
            past if past < self.compact_revision => Err(StoreError::Compacted),
            kept => Ok(kept),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let ordering = match (self.index.at(&compare.key, self.revision), &compare.target) {
            (None, CompareTarget::Value(_)) => return false,
            (
                None,
                CompareTarget::Version(operand)
                | CompareTarget::Create(operand)
                | CompareTarget::Mod(operand)
                | CompareTarget::Lease(operand),
            ) => 0.cmp(operand),
            (Some(point), target) => self.compare(point, target),
        };
        match compare.result {
            CompareResult::Equal => ordering == Ordering::Equal,
            CompareResult::NotEqual => ordering != Ordering::Equal,
            CompareResult::Greater => ordering == Ordering::Greater,
            CompareResult::Less => ordering == Ordering::Less,
        }
    }

    /// How what the record at `point` says relates to the operand of `target`.
    fn compare(&self, point: Point, target: &CompareTarget) -> Ordering {
        self.look_at(point, |body| match target {
            CompareTarget::Version(operand) => body.version().cmp(operand),
            CompareTarget::Create(operand) => body.create_revision(point).cmp(operand),
            CompareTarget::Mod(operand) => point.revision().cmp(operand),
            CompareTarget::Value(operand) => body.value.cmp(operand.as_slice()),
            CompareTarget::Lease(operand) => 0.cmp(operand),
        })
    }
}
