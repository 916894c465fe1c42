//! Writing: puts, deletions and transactions, each at one revision, all or nothing.

use pbft::State;

use super::budget::Budget;
use super::index::Index;
use super::operation::{DeleteRangeRequest, PutRequest, TxnOperation, TxnRequest};
use super::outcome::{DeleteRangeResponse, PutResponse, Response};
use super::outcome::{TxnOperationResponse, TxnResponse};
use super::read::View;
use super::record::{Body, Counters, Origin, Point, Record};
use super::{Operation, StoreError, Totals};

/// One ordered operation at work. Every record it makes is of the next revision, which becomes
/// the store's only when all of the operation is done.
pub(super) struct Writer<'a> {
    pub state: &'a mut dyn State,
    pub index: &'a mut Index,
    pub totals: &'a mut Totals,
    pub counters: &'a mut Counters,
    /// The records made so far.
    pub written: Vec<Written>,
}

/// A record just made, in as much as is needed to take it back.
pub(super) struct Written {
    pub key: Box<[u8]>,
    point: Point,
    record_bytes: usize,
}

impl Writer<'_> {
    /// Does `operation` and says what records it wrote. A refused one wrote none.
    pub(super) fn apply(
        mut self,
        operation: &Operation,
        budget: &mut Budget,
    ) -> (Result<Response, StoreError>, Vec<Written>) {
        let result = match operation {
            Operation::Range(range) => self.view().range(range, budget).map(Response::Range),
            Operation::Put(put) => self.put(put, budget).map(Response::Put),
            Operation::DeleteRange(delete) => {
                self.delete_range(delete, budget).map(Response::DeleteRange)
            }
            Operation::Txn(txn) => self.txn(txn, budget).map(Response::Txn),
            Operation::Compact(compact) => {
                self.counters.compact(compact.revision).map(|()| Response::Compact)
            }
            Operation::Status => Ok(Response::Status(self.view().status())),
        };
        if result.is_err() {
            self.undo();
        }
        if !self.written.is_empty() {
            self.counters.revision = self.next_revision();
        }
        (result, self.written)
    }

    fn put(&mut self, put: &PutRequest, budget: &mut Budget) -> Result<PutResponse, StoreError> {
        put.check_lease()?;
        let view = self.view();
        let previous = view.index.at(&put.key, view.revision);
        let mut prev_kv = None;
        let mut origin = None;
        if let Some(point) = previous {
            if put.prev_kv {
                prev_kv = Some(view.key_value(&put.key, point, budget)?);
            }
            origin = Some(view.successor_origin(point));
        }
        let body = Body { origin, value: &put.value };
        let point = Point::put(self.next_revision(), self.written.len());
        self.write(point, put.key.as_slice().into(), Some(body));
        Ok(PutResponse { prev_kv })
    }

    fn delete_range(
        &mut self,
        delete: &DeleteRangeRequest,
        budget: &mut Budget,
    ) -> Result<DeleteRangeResponse, StoreError> {
        let view = self.view();
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        let mut prev_kvs = Vec::new();
        for (key, point) in view.index.range(&delete.key, &delete.range_end, view.revision) {
            budget.step()?;
            let Some(point) = point else {
                continue;
            };
            budget.record(key.len())?;
            if delete.prev_kv {
                prev_kvs.push(view.key_value(key, point, budget)?);
            }
            keys.push(key.into());
        }
        let deleted = i64::try_from(keys.len()).expect("a length in memory is below 2^63");
        for key in keys {
            let point = Point::tombstone(self.next_revision(), self.written.len());
            self.write(point, key, None);
        }
        Ok(DeleteRangeResponse { deleted, prev_kvs })
    }

    fn txn(&mut self, txn: &TxnRequest, budget: &mut Budget) -> Result<TxnResponse, StoreError> {
        let (succeeded, branch) = self.view().branch(txn)?;
        let mut responses = Vec::with_capacity(branch.len());
        for operation in branch {
            let response = match operation {
                TxnOperation::Unset => return Err(StoreError::KeyNotFound),
                TxnOperation::Range(range) => Response::Range(self.view().range(range, budget)?),
                TxnOperation::Put(put) => Response::Put(self.put(put, budget)?),
                TxnOperation::DeleteRange(delete) => {
                    Response::DeleteRange(self.delete_range(delete, budget)?)
                }
            };
            // A step is behind if a later one makes the revision that this one does not see yet.
            let behind = u8::from(self.written.is_empty());
            responses.push(TxnOperationResponse { behind, response });
        }
        if self.written.is_empty() {
            responses.iter_mut().for_each(|response| response.behind = 0);
        }
        Ok(TxnResponse { succeeded, responses })
    }

    /// The store with what this operation has written so far.
    fn view(&self) -> View<'_> {
        let revision =
            if self.written.is_empty() { self.counters.revision } else { self.next_revision() };
        View {
            state: &*self.state,
            index: self.index,
            totals: *self.totals,
            revision,
            compact_revision: self.counters.compact_revision,
        }
    }

    fn next_revision(&self) -> i64 {
        self.counters.revision.checked_add(1).expect("2^63 revisions take longer than anybody has")
    }

    fn write(&mut self, point: Point, key: Box<[u8]>, body: Option<Body<'_>>) {
        let record = Record { key: &key, body }.encode();
        self.totals.add(record.len());
        self.index.append(&key, point);
        self.written.push(Written { key, point, record_bytes: record.len() });
        self.state.put(&point.state_key(), record);
    }

    fn undo(&mut self) {
        while let Some(written) = self.written.pop() {
            self.state.delete(&written.point.state_key());
            self.index.take_back(&written.key);
            self.totals.subtract(written.record_bytes);
        }
    }
}

impl View<'_> {
    /// What the next put of a key records of its past, if the key now has the record at `point`.
    fn successor_origin(&self, point: Point) -> Origin {
        self.look_at(point, |body| Origin {
            create_revision: body.create_revision(point),
            version: body.version() + 1,
        })
    }
}
