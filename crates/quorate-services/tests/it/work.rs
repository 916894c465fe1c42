//! That no operation and no batch keeps a replica busy for long, whatever it asks for.

use std::cell::Cell;

use pbft::{Service, StateRead};
use quorate_services::store::{
    BATCH_WORK_MAX, Compare, CompareResult, CompareTarget, DeleteRangeRequest, OPERATION_WORK_MAX,
    Operation, Outcome, PutRequest, RangeRequest, SMALL_WORK_MAX, StoreError, TXN_OPERATIONS_MAX,
    TxnRequest,
};

use crate::replica::{MapState, Replica, To, compact, context, delete, get, put, txn};

/// So many keys that a transaction of as many counts as there can be is all the work allowed.
const KEYS: u64 = OPERATION_WORK_MAX / TXN_OPERATIONS_MAX as u64;

fn replica_of(keys: u64) -> Replica {
    let mut replica = Replica::default();
    let puts: Vec<_> = (0..keys).map(|key| put(&format!("{key:06}"), "").into()).collect();
    for puts in puts.chunks(TXN_OPERATIONS_MAX) {
        replica.txn(txn(puts.iter().cloned()));
    }
    replica
}

fn all() -> RangeRequest {
    get("\0").to("\0")
}

fn count() -> RangeRequest {
    RangeRequest { count_only: true, ..all() }
}

fn keys_only() -> RangeRequest {
    RangeRequest { keys_only: true, ..all() }
}

fn counts(steps: usize) -> TxnRequest {
    txn(vec![count().into(); steps])
}

/// State that counts the bytes copied out of it.
struct Watched<'a> {
    state: &'a MapState,
    copied: Cell<usize>,
}

impl StateRead for Watched<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.state.get(key)?;
        self.copied.update(|copied| copied + value.len());
        Some(value)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        self.state.scan(start, end, visit);
    }
}

#[test]
fn no_value_is_copied_that_is_not_in_the_answer() {
    let mut replica = Replica::default();
    for key in ["a", "b", "c", "d"] {
        replica.execute(put(key, &"v".repeat(1_000_000)));
    }
    let compare = |target| TxnRequest {
        compare: vec![Compare { key: b"a".to_vec(), result: CompareResult::Equal, target }],
        ..TxnRequest::default()
    };
    let operations: [Operation; 5] = [
        keys_only().into(),
        count().into(),
        compare(CompareTarget::Version(1)).into(),
        compare(CompareTarget::Value(b"v".to_vec())).into(),
        all().into(),
    ];
    for operation in operations {
        let state = Watched { state: &replica.state, copied: Cell::new(0) };
        replica.store.query(&context(9), &operation.encode(), &state).unwrap();
        assert_eq!(state.copied.get(), 0, "{operation:?}");
    }
}

#[test]
fn counts_are_done_up_to_the_work_of_an_operation_and_refused_beyond() {
    let mut replica = replica_of(KEYS);
    assert_eq!(replica.txn(counts(TXN_OPERATIONS_MAX)).responses.len(), TXN_OPERATIONS_MAX);
    replica.execute(put("one more", ""));
    let too_much = counts(TXN_OPERATIONS_MAX);
    assert_eq!(replica.refusal(too_much.clone()), StoreError::TooMuchWork);
    assert_eq!(replica.query(too_much).unwrap().result, Err(StoreError::TooMuchWork));
    assert_eq!(replica.range(count()).count as u64, KEYS + 1);
}

#[test]
fn keys_that_were_deleted_or_are_not_yet_there_are_work_too() {
    let mut replica = replica_of(KEYS + 1);
    let before_all = RangeRequest { revision: 1, ..count() };
    let request = txn(vec![before_all.into(); TXN_OPERATIONS_MAX]);
    assert_eq!(replica.refusal(request), StoreError::TooMuchWork);
    replica.deleted(delete("\0").to("\0"));
    assert_eq!(replica.refusal(counts(TXN_OPERATIONS_MAX)), StoreError::TooMuchWork);
}

#[test]
fn a_million_keys_are_little_enough_to_count_and_to_list_in_parts() {
    // Ten times a tenth of them, which are put sooner.
    let mut replica = replica_of(100_000);
    let listed = RangeRequest { limit: 49_000, ..keys_only() };
    let request = txn((0..9).map(|_| count().into()).chain([listed.into()]));
    assert_eq!(replica.txn(request).responses.len(), 10);
}

#[test]
fn a_deletion_of_too_many_keys_is_refused_and_removes_nothing() {
    let mut replica = replica_of(OPERATION_WORK_MAX / 64);
    let before = replica.state.clone();
    assert_eq!(replica.refusal(delete("\0").to("\0")), StoreError::TooMuchWork);
    assert_eq!(replica.state, before);
    assert_eq!(replica.deleted(delete("\0").to("06")), 60_000);
}

#[test]
fn a_transaction_that_runs_out_of_work_is_undone() {
    let mut replica = replica_of(KEYS);
    let before = replica.state.clone();
    let steps = [put("new", "1").into(), delete("0").to("01").into()];
    let counts = vec![count().into(); TXN_OPERATIONS_MAX - 2];
    assert_eq!(replica.refusal(txn(steps.into_iter().chain(counts))), StoreError::TooMuchWork);
    assert_eq!(replica.state, before);
    replica.assert_same(&mut Replica::restored_from(&before));
}

#[test]
fn a_batch_does_so_much_work_and_refuses_the_rest_until_the_next_one() {
    let mut replica = replica_of(KEYS);
    assert_eq!(2 * OPERATION_WORK_MAX, BATCH_WORK_MAX);
    let half = Operation::from(counts(TXN_OPERATIONS_MAX));
    let one = Operation::from(count());
    let outcomes = replica.batch([half.clone(), half, one.clone()]);
    let results: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result.err()).collect();
    assert_eq!(results, [None, None, Some(StoreError::TooManyRequests)]);
    assert_eq!(replica.query(one.clone()).unwrap().result.err(), None, "no batch, no limit of it");
    assert_eq!(replica.execute(one).result.err(), None);
}

#[test]
fn refused_work_is_work() {
    let mut replica = replica_of(KEYS + 1);
    let too_much = Operation::from(counts(TXN_OPERATIONS_MAX));
    let outcomes = replica.batch([too_much.clone(), too_much, count().into()]);
    let results: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result.unwrap_err()).collect();
    let (alone, shared) = (StoreError::TooMuchWork, StoreError::TooManyRequests);
    assert_eq!(results, [alone, alone, shared]);
}

#[test]
fn reading_many_records_uses_a_batch_up() {
    let mut replica = replica_of(KEYS);
    let listings = vec![Operation::from(keys_only()); 4];
    let outcomes = replica.batch(listings);
    let refused = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    assert_eq!(refused, 1);
}

#[test]
fn reading_long_records_uses_a_batch_up() {
    let mut replica = replica_of(KEYS - 1);
    replica.execute(put("long", &"v".repeat(1 << 20)));
    // What is left then is the work of copying 16 MiB.
    let before = [counts(128).into(), counts(120).into()];
    let outcomes = replica.batch(before.into_iter().chain(vec![get("long").into(); 17]));
    let is_refused = |outcome: &Outcome| outcome.result.is_err();
    assert_eq!(outcomes.iter().position(is_refused), Some(2 + 15));
}

#[test]
fn small_operations_are_done_in_any_batch() {
    let mut replica = replica_of(KEYS);
    replica.execute(put("value", &"v".repeat(12_000)));
    let small: [Operation; 6] = [
        get("value").into(),
        PutRequest { prev_kv: true, ..put("value", "2") }.into(),
        DeleteRangeRequest { prev_kv: true, ..delete("000000") }.into(),
        delete("000001").to("000004").into(),
        RangeRequest { count_only: true, ..get("001000").to("001256") }.into(),
        compact(2).into(),
    ];
    assert_eq!(SMALL_WORK_MAX, 256);
    let used_up = vec![Operation::from(counts(TXN_OPERATIONS_MAX)); 3];
    for outcome in replica.batch(used_up.into_iter().chain(small)).split_off(3) {
        assert_eq!(outcome.result.err(), None);
    }
    let one_key_more = RangeRequest { count_only: true, ..get("001000").to("001257") };
    let used_up = vec![Operation::from(counts(TXN_OPERATIONS_MAX)); 3];
    let outcomes = replica.batch(used_up.into_iter().chain([one_key_more.into()]));
    assert_eq!(outcomes[3].result, Err(StoreError::TooManyRequests));
}
