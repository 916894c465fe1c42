//! How long one short operation keeps a replica busy that asks for as much as it can:
//! `cargo bench -p quorate-services --bench work [-- KEYS]`.
//!
//! The times are times on a processor. The replicated state is a map here, in which a record is
//! found somewhat faster than in a replica's tree.
#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use std::collections::BTreeMap;
use std::time::Duration;

use pbft::{ClientId, Context, SeqNum, Service, State, StateRead, WallTime};
use quorate_services::store::{
    DeleteRangeRequest, Operation, Outcome, PutRequest, RangeRequest, Store, TXN_OPERATIONS_MAX,
    TxnOperation, TxnRequest,
};

const KEYS_DEFAULT: u64 = 1_000_000;
const LONG_VALUES: u64 = 400;
const LONG_VALUE_BYTES: usize = 1_000_000;

fn main() {
    // Cargo passes `--bench`; anything else that is a number is the number of keys.
    let keys = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(KEYS_DEFAULT);
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let count = RangeRequest { count_only: true, ..all.clone() };
    let keys_only = RangeRequest { keys_only: true, ..all };

    let mut replica = Replica::holding(keys, 0);
    println!("{keys} keys without a value:");
    replica.run("one count", count.clone());
    replica.run("128 counts", repeated(count));
    replica.run("30000 keys", RangeRequest { limit: 30_000, ..keys_only.clone() });
    let everything =
        DeleteRangeRequest { key: vec![0], range_end: vec![0], ..DeleteRangeRequest::default() };
    replica.run("delete everything", everything);

    let mut replica = Replica::holding(LONG_VALUES, LONG_VALUE_BYTES);
    println!("{LONG_VALUES} values of {LONG_VALUE_BYTES} bytes:");
    replica.run("the keys", keys_only.clone());
    replica.run("the keys 128 times", repeated(keys_only));
}

fn repeated(range: RangeRequest) -> TxnRequest {
    let success = vec![TxnOperation::Range(range); TXN_OPERATIONS_MAX];
    TxnRequest { success, ..TxnRequest::default() }
}

struct Replica {
    store: Store,
    state: Map,
    /// The number of the last batch.
    seq: u64,
}

impl Replica {
    fn holding(keys: u64, value_bytes: usize) -> Self {
        let mut replica = Self { store: Store::new(), state: Map::default(), seq: 0 };
        for key in 0..keys {
            let key = format!("{key:08}").into_bytes();
            let put = PutRequest { key, value: vec![1; value_bytes], ..PutRequest::default() };
            replica.execute(&Operation::from(put).encode());
        }
        replica
    }

    /// Executes a batch of one operation.
    fn execute(&mut self, operation: &[u8]) -> Vec<u8> {
        self.seq += 1;
        let (client, seq) = (ClientId::new(0), SeqNum::new(self.seq));
        let context = Context { client, seq, time: WallTime::default(), choice: &[] };
        self.store.execute(&context, operation, &mut self.state)
    }

    fn run(&mut self, name: &str, operation: impl Into<Operation>) {
        let bytes = operation.into().encode();
        let before = on_processor();
        let answer = self.execute(&bytes);
        let took = on_processor() - before;
        let end = match Outcome::decode(&answer).map(|outcome| outcome.result) {
            Some(Ok(_)) => "done".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "no outcome".to_owned(),
        };
        println!("  {name}, {} bytes: {took:.2?}, {end}", bytes.len());
    }
}

/// The time this thread was on a processor, as Linux counts it.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[derive(Default)]
struct Map(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateRead for Map {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        for (key, value) in self.0.range(start.to_vec()..) {
            if end.is_some_and(|end| key.as_slice() >= end) || !visit(key, value) {
                return;
            }
        }
    }
}

impl State for Map {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key.to_vec(), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}
