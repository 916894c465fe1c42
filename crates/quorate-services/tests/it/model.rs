//! The store again, as naively as possible: a full copy of all keys for every revision there ever
//! was. It shares the request and response types with the store and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use quorate_services::store::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, KeyValue,
    Operation, PutRequest, PutResponse, RangeRequest, RangeResponse, Response, StoreError,
    TxnOperation, TxnOperationResponse, TxnRequest, TxnResponse,
};

type Snapshot = BTreeMap<Vec<u8>, KeyValue>;

pub(crate) struct Model {
    /// What there was at revision 1, 2, and so on.
    history: Vec<Snapshot>,
    /// Every write ever made: its revision, its key, and whether it deleted.
    writes: Vec<(i64, Vec<u8>, bool)>,
    compacted: i64,
}

/// A transaction at work on a copy of the newest snapshot.
struct Draft {
    snapshot: Snapshot,
    writes: Vec<(i64, Vec<u8>, bool)>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { history: vec![Snapshot::new()], writes: vec![], compacted: -1 }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.history.len() as i64
    }

    /// The number of writes that can still be read, or are too young to have been compacted.
    pub(crate) fn record_count(&self) -> u64 {
        let mut kept =
            self.writes.iter().filter(|(revision, ..)| *revision > self.compacted).count();
        let readable_at =
            usize::try_from(self.compacted - 1).ok().and_then(|at| self.history.get(at));
        kept += readable_at.map_or(0, BTreeMap::len);
        kept as u64
    }

    /// Does `operation` and returns the response; the header's revision is then
    /// [`revision`](Self::revision).
    pub(crate) fn execute(&mut self, operation: &Operation) -> Result<Response, StoreError> {
        let steps = match operation {
            Operation::Txn(request) => return self.txn(request),
            Operation::Compact(request) => return self.compact(request.revision),
            Operation::Status => unreachable!("the model keeps no totals"),
            Operation::Range(request) => {
                // On its own, a range takes every revision up to 0 for the current one.
                let revision = request.revision.max(0);
                vec![RangeRequest { revision, ..request.clone() }.into()]
            }
            Operation::Put(request) => vec![request.clone().into()],
            Operation::DeleteRange(request) => vec![request.clone().into()],
        };
        let txn = TxnRequest { success: steps, ..TxnRequest::default() };
        match self.txn(&txn)? {
            Response::Txn(mut response) => Ok(response.responses.remove(0).response),
            _ => unreachable!("a transaction answers as one"),
        }
    }

    fn compact(&mut self, revision: i64) -> Result<Response, StoreError> {
        if revision <= self.compacted {
            Err(StoreError::Compacted)
        } else if revision > self.revision() {
            Err(StoreError::FutureRevision)
        } else {
            self.compacted = revision;
            Ok(Response::Compact)
        }
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<Response, StoreError> {
        check(request)?;
        let newest = self.history.last().unwrap();
        let succeeded = request.compare.iter().all(|compare| holds(newest, compare));
        let steps = if succeeded { &request.success } else { &request.failure };
        self.check_steps(steps)?;
        let mut draft = Draft { snapshot: newest.clone(), writes: vec![] };
        let mut responses = vec![];
        for step in steps {
            let response = match step {
                TxnOperation::Range(range) => Response::Range(self.range(&draft, range)),
                TxnOperation::Put(put) => Response::Put(draft.put(put, self.revision() + 1)),
                TxnOperation::DeleteRange(delete) => {
                    Response::DeleteRange(draft.delete(delete, self.revision() + 1))
                }
                TxnOperation::Unset => unreachable!("refused above"),
            };
            responses.push((draft.writes.len(), response));
        }
        let total = draft.writes.len();
        if total > 0 {
            self.history.push(draft.snapshot);
            self.writes.extend(draft.writes);
        }
        let responses = responses.into_iter().map(|(written, response)| {
            let behind = u8::from(written == 0 && total > 0);
            TxnOperationResponse { behind, response }
        });
        Ok(Response::Txn(TxnResponse { succeeded, responses: responses.collect() }))
    }

    fn check_steps(&self, steps: &[TxnOperation]) -> Result<(), StoreError> {
        let leased = |step: &TxnOperation| matches!(step, TxnOperation::Put(put) if put.lease != 0);
        if steps.iter().any(leased) {
            return Err(StoreError::LeaseNotFound);
        }
        for step in steps {
            let TxnOperation::Range(range) = step else {
                continue;
            };
            if range.revision > self.revision() {
                return Err(StoreError::FutureRevision);
            }
            if range.revision != 0 && range.revision < self.compacted {
                return Err(StoreError::Compacted);
            }
        }
        Ok(())
    }

    fn range(&self, draft: &Draft, request: &RangeRequest) -> RangeResponse {
        let snapshot = match request.revision {
            ..=0 => &draft.snapshot,
            revision => &self.history[revision as usize - 1],
        };
        let mut kvs = within(snapshot, &request.key, &request.range_end);
        let count = kvs.len() as i64;
        if request.count_only {
            kvs.clear();
        }
        let limited = request.limit > 0 && kvs.len() as i64 > request.limit;
        if limited {
            kvs.truncate(request.limit as usize);
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        RangeResponse { kvs, more: limited, count }
    }
}

impl Draft {
    fn put(&mut self, request: &PutRequest, revision: i64) -> PutResponse {
        let before = self.snapshot.get(&request.key).cloned();
        let after = KeyValue {
            key: request.key.clone(),
            create_revision: before.as_ref().map_or(revision, |kv| kv.create_revision),
            mod_revision: revision,
            version: before.as_ref().map_or(0, |kv| kv.version) + 1,
            value: request.value.clone(),
            lease: 0,
        };
        self.snapshot.insert(request.key.clone(), after);
        self.writes.push((revision, request.key.clone(), false));
        PutResponse { prev_kv: before.filter(|_| request.prev_kv) }
    }

    fn delete(&mut self, request: &DeleteRangeRequest, revision: i64) -> DeleteRangeResponse {
        let doomed = within(&self.snapshot, &request.key, &request.range_end);
        for kv in &doomed {
            self.snapshot.remove(&kv.key);
            self.writes.push((revision, kv.key.clone(), true));
        }
        let deleted = doomed.len() as i64;
        DeleteRangeResponse { deleted, prev_kvs: if request.prev_kv { doomed } else { vec![] } }
    }
}

fn within(snapshot: &Snapshot, key: &[u8], range_end: &[u8]) -> Vec<KeyValue> {
    let inside = |other: &[u8]| match range_end {
        b"" => other == key,
        b"\0" => other >= key,
        end => other >= key && other < end,
    };
    snapshot.values().filter(|kv| inside(&kv.key)).cloned().collect()
}

fn holds(snapshot: &Snapshot, compare: &Compare) -> bool {
    let present = snapshot.get(&compare.key);
    let kv = present.cloned().unwrap_or_default();
    fn relate<T: Ord + ?Sized>(result: CompareResult, has: &T, operand: &T) -> bool {
        match result {
            CompareResult::Equal => has == operand,
            CompareResult::NotEqual => has != operand,
            CompareResult::Greater => has > operand,
            CompareResult::Less => has < operand,
        }
    }
    match &compare.target {
        CompareTarget::Value(operand) => {
            present.is_some() && relate(compare.result, &kv.value, operand)
        }
        CompareTarget::Version(operand) => relate(compare.result, &kv.version, operand),
        CompareTarget::Create(operand) => relate(compare.result, &kv.create_revision, operand),
        CompareTarget::Mod(operand) => relate(compare.result, &kv.mod_revision, operand),
        CompareTarget::Lease(operand) => relate(compare.result, &kv.lease, operand),
    }
}

/// What etcd checks before it looks at the store.
fn check(request: &TxnRequest) -> Result<(), StoreError> {
    let branches = [&request.success, &request.failure];
    if request.compare.len() > 128 || branches.iter().any(|branch| branch.len() > 128) {
        return Err(StoreError::TooManyOperations);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(StoreError::EmptyKey);
    }
    for step in branches.into_iter().flatten() {
        let key = match step {
            TxnOperation::Unset => return Err(StoreError::KeyNotFound),
            TxnOperation::Range(range) => &range.key,
            TxnOperation::Put(put) => &put.key,
            TxnOperation::DeleteRange(delete) => &delete.key,
        };
        if key.is_empty() {
            return Err(StoreError::EmptyKey);
        }
    }
    for branch in branches {
        let mut put_keys = BTreeSet::new();
        for step in branch {
            let TxnOperation::Put(put) = step else {
                continue;
            };
            let deleted = branch.iter().any(|other| {
                let TxnOperation::DeleteRange(delete) = other else {
                    return false;
                };
                if delete.range_end.is_empty() {
                    return put.key == delete.key;
                }
                put.key >= delete.key && put.key < delete.range_end
            });
            if deleted || !put_keys.insert(&put.key) {
                return Err(StoreError::DuplicateKey);
            }
        }
    }
    Ok(())
}
