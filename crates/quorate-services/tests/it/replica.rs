//! A store with its replicated state in a map, and words to write requests with.

use std::collections::BTreeMap;
use std::ops::Bound;

use pbft::{
    ClientId, Context, KEY_BYTES_MAX, Reading, SeqNum, Service, State, StateRead, WallTime,
};
use quorate_services::store::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeyValue, Operation,
    Outcome, PutRequest, RangeRequest, RangeResponse, Response, StatusResponse, Store, StoreError,
    TxnOperation, TxnRequest, TxnResponse,
};

/// Replicated state without authentication.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct MapState(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl StateRead for MapState {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, value) in self.0.range::<[u8], _>((Bound::Included(start), end)) {
            if !visit(key, value) {
                return;
            }
        }
    }
}

impl State for MapState {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        assert!(key.len() <= KEY_BYTES_MAX);
        self.0.insert(key.to_vec(), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

#[derive(Default)]
pub(crate) struct Replica {
    pub(crate) store: Store,
    pub(crate) state: MapState,
    /// The number of the last batch.
    seq: u64,
}

impl Replica {
    /// Another replica that got its state by transfer.
    pub(crate) fn restored_from(state: &MapState) -> Self {
        let mut replica = Self { state: state.clone(), ..Self::default() };
        replica.store.restored(&replica.state);
        replica
    }

    /// That `restored` goes on as this replica does and holds the same in memory. What is left of
    /// a batch is forgotten at a restart, so both begin the next one.
    pub(crate) fn assert_same(&mut self, restored: &mut Self) {
        restored.seq = self.seq;
        let status = Operation::Status;
        assert_eq!(self.execute(status.clone()), restored.execute(status));
        assert_eq!(self.state, restored.state);
        assert_eq!(format!("{:?}", self.store), format!("{:?}", restored.store));
    }

    /// Undoes the last batch.
    pub(crate) fn roll_back(&mut self, before: MapState) {
        self.state = before;
        self.store.rolled_back(SeqNum::new(self.seq), &self.state);
        self.seq -= 1;
    }

    /// The outcomes of operations that share a batch.
    pub(crate) fn batch(
        &mut self,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Vec<Outcome> {
        self.seq += 1;
        let context = context(self.seq);
        let operations = operations.into_iter().map(|operation| operation.encode());
        let answers = operations.map(|bytes| self.store.execute(&context, &bytes, &mut self.state));
        answers.map(|bytes| Outcome::decode(&bytes).unwrap()).collect()
    }

    /// The answer to an operation in a batch of its own.
    pub(crate) fn execute_bytes(&mut self, operation: &[u8]) -> Vec<u8> {
        self.seq += 1;
        self.store.execute(&context(self.seq), operation, &mut self.state)
    }

    pub(crate) fn execute(&mut self, operation: impl Into<Operation>) -> Outcome {
        let bytes = self.execute_bytes(&operation.into().encode());
        Outcome::decode(&bytes).unwrap()
    }

    pub(crate) fn query_bytes(&self, operation: &[u8]) -> Option<Reading> {
        self.store.query(&context(self.seq), operation, &self.state)
    }

    pub(crate) fn query(&self, operation: impl Into<Operation>) -> Option<Outcome> {
        let reading = self.query_bytes(&operation.into().encode())?;
        Some(Outcome::from_reading(&reading).unwrap())
    }

    /// The response to an operation that must not be refused.
    pub(crate) fn response(&mut self, operation: impl Into<Operation>) -> Response {
        self.execute(operation).result.unwrap()
    }

    pub(crate) fn refusal(&mut self, operation: impl Into<Operation>) -> StoreError {
        self.execute(operation).result.unwrap_err()
    }

    pub(crate) fn range(&mut self, request: RangeRequest) -> RangeResponse {
        let Response::Range(response) = self.response(request) else { panic!("not a range") };
        response
    }

    pub(crate) fn txn(&mut self, request: TxnRequest) -> TxnResponse {
        let Response::Txn(response) = self.response(request) else { panic!("not a txn") };
        response
    }

    pub(crate) fn deleted(&mut self, request: DeleteRangeRequest) -> i64 {
        let Response::DeleteRange(response) = self.response(request) else {
            panic!("not a delete")
        };
        response.deleted
    }

    /// What `key` holds now.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        self.key_value(key).map(|kv| String::from_utf8(kv.value).unwrap())
    }

    pub(crate) fn key_value(&self, key: &str) -> Option<KeyValue> {
        let outcome = self.query(get(key)).unwrap();
        let Ok(Response::Range(response)) = outcome.result else { panic!("not a range") };
        response.kvs.into_iter().next()
    }

    /// All keys that exist now.
    pub(crate) fn keys(&self) -> Vec<String> {
        let outcome = self.query(get("\0").to("\0")).unwrap();
        let Ok(Response::Range(response)) = outcome.result else { panic!("not a range") };
        response.kvs.into_iter().map(|kv| String::from_utf8(kv.key).unwrap()).collect()
    }

    pub(crate) fn revision(&self) -> i64 {
        self.query(Operation::Status).unwrap().revision
    }

    pub(crate) fn status(&self) -> StatusResponse {
        let outcome = self.query(Operation::Status).unwrap();
        let Ok(Response::Status(status)) = outcome.result else { panic!("not a status") };
        status
    }
}

pub(crate) fn context(seq: u64) -> Context<'static> {
    let time = WallTime::from_millis(1);
    Context { client: ClientId::new(1), seq: SeqNum::new(seq), time, choice: &[] }
}

pub(crate) fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

pub(crate) fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
}

pub(crate) fn delete(key: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() }
}

pub(crate) fn compact(revision: i64) -> CompactRequest {
    CompactRequest { revision }
}

pub(crate) fn txn(operations: impl IntoIterator<Item = TxnOperation>) -> TxnRequest {
    TxnRequest { success: operations.into_iter().collect(), ..TxnRequest::default() }
}

/// A transaction that only tells whether `compare` holds.
pub(crate) fn whether(key: &str, result: CompareResult, target: CompareTarget) -> TxnRequest {
    let compare = vec![Compare { key: key.into(), result, target }];
    TxnRequest { compare, ..TxnRequest::default() }
}

/// Says where a range ends.
pub(crate) trait To: Sized {
    fn to(self, range_end: &str) -> Self;
}

impl To for RangeRequest {
    fn to(self, range_end: &str) -> Self {
        Self { range_end: range_end.into(), ..self }
    }
}

impl To for DeleteRangeRequest {
    fn to(self, range_end: &str) -> Self {
        Self { range_end: range_end.into(), ..self }
    }
}

/// The keys of a range as strings.
pub(crate) fn names(response: &RangeResponse) -> Vec<&str> {
    response.kvs.iter().map(|kv| str::from_utf8(&kv.key).unwrap()).collect()
}
