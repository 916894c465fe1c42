//! What is refused for its size or form, and that refusing leaves no trace.

use proptest::prelude::*;
use quorate_services::store::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, ErrorCode, OPERATION_BYTES_MAX,
    Operation, Outcome, PutRequest, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, RangeRequest,
    StoreError, TXN_OPERATIONS_MAX, TxnOperation, TxnRequest,
};

use crate::replica::{Replica, To, delete, get, put, txn};

/// Four keys of a million bytes each: more than a response may hold.
fn four_large_keys() -> Replica {
    let mut replica = Replica::default();
    for key in ["a", "b", "c", "d"] {
        replica.execute(put(key, &key.repeat(1_000_000)));
    }
    replica
}

#[test]
fn errors_have_etcds_codes_and_texts() {
    let expected = [
        (StoreError::EmptyKey, 3, "etcdserver: key is not provided"),
        (StoreError::KeyNotFound, 3, "etcdserver: key not found"),
        (StoreError::TooManyOperations, 3, "etcdserver: too many operations in txn request"),
        (StoreError::DuplicateKey, 3, "etcdserver: duplicate key given in txn request"),
        (StoreError::RequestTooLarge, 3, "etcdserver: request is too large"),
        (StoreError::LeaseNotFound, 5, "etcdserver: requested lease not found"),
        (StoreError::Compacted, 11, "etcdserver: mvcc: required revision has been compacted"),
        (
            StoreError::FutureRevision,
            11,
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (StoreError::TooManyRequests, 8, "etcdserver: too many requests"),
    ];
    for (error, code, text) in expected {
        assert_eq!((error.code() as i32, error.to_string().as_str()), (code, text));
    }
    assert_eq!(StoreError::ResponseTooLarge.code(), ErrorCode::ResourceExhausted);
    assert_eq!(StoreError::TooMuchWork.code(), ErrorCode::ResourceExhausted);
    assert_eq!(StoreError::Malformed.code(), ErrorCode::InvalidArgument);
}

#[test]
fn an_operation_above_the_limit_is_refused_unread() {
    let mut replica = Replica::default();
    let overhead = Operation::from(put("a", "")).encode().len();
    let largest = put("a", &"x".repeat(OPERATION_BYTES_MAX - overhead));
    let mut too_large = largest.clone();
    too_large.value.push(b'x');
    assert_eq!(replica.refusal(too_large), StoreError::RequestTooLarge);
    assert_eq!(replica.execute(largest).revision, 2);
}

#[test]
fn every_request_within_etcds_limit_fits_the_encoding() {
    let wide = |key: usize| [key as u8; REQUEST_BYTES_MAX / (3 * TXN_OPERATIONS_MAX) - 16];
    let request = TxnRequest {
        compare: (0..TXN_OPERATIONS_MAX)
            .map(|key| Compare {
                key: wide(key).to_vec(),
                result: CompareResult::Equal,
                target: CompareTarget::Value(vec![]),
            })
            .collect(),
        success: (0..TXN_OPERATIONS_MAX)
            .map(|key| PutRequest { key: wide(key).to_vec(), ..PutRequest::default() }.into())
            .collect(),
        failure: (0..TXN_OPERATIONS_MAX)
            .map(|key| RangeRequest { key: wide(key).to_vec(), ..RangeRequest::default() }.into())
            .collect(),
    };
    assert!(Operation::from(request).encode().len() <= OPERATION_BYTES_MAX);
}

#[test]
fn a_long_key_is_a_key_like_any_other() {
    let mut replica = Replica::default();
    let key = "k".repeat(1 << 20);
    replica.execute(put(&key, "1"));
    assert_eq!(replica.value(&key).as_deref(), Some("1"));
}

#[test]
fn a_transaction_has_at_most_128_compares_and_steps_in_each_branch() {
    let mut replica = Replica::default();
    let steps = |count: usize| -> Vec<TxnOperation> {
        (0..count).map(|index| get(&index.to_string()).into()).collect()
    };
    let compares = |count: usize| -> Vec<Compare> {
        let target = CompareTarget::Version(0);
        vec![Compare { key: b"a".to_vec(), result: CompareResult::Equal, target }; count]
    };
    let request = |compare, success, failure| TxnRequest {
        compare: compares(compare),
        success: steps(success),
        failure: steps(failure),
    };
    assert!(replica.txn(request(128, 128, 128)).succeeded);
    for (compare, success, failure) in [(129, 0, 0), (0, 129, 0), (0, 0, 129)] {
        let operation = Operation::from(request(compare, success, failure));
        assert_eq!(operation.check(), Err(StoreError::TooManyOperations));
        assert_eq!(replica.refusal(operation), StoreError::TooManyOperations);
    }
}

#[test]
fn too_many_operations_are_refused_before_a_bad_key() {
    let operation = Operation::from(txn(vec![TxnOperation::Unset; 129]));
    assert_eq!(operation.check(), Err(StoreError::TooManyOperations));
}

#[test]
fn a_response_above_the_limit_is_refused() {
    let mut replica = four_large_keys();
    let all = get("a").to("\0");
    assert_eq!(replica.refusal(all.clone()), StoreError::ResponseTooLarge);
    assert_eq!(replica.query(all.clone()).unwrap().result, Err(StoreError::ResponseTooLarge));
    let narrower = [
        RangeRequest { limit: 3, ..all.clone() },
        RangeRequest { keys_only: true, ..all.clone() },
        RangeRequest { count_only: true, ..all },
    ];
    for request in narrower {
        assert_eq!(replica.range(request).count, 4);
    }
}

#[test]
fn responses_up_to_the_limit_fit_it_encoded() {
    let mut replica = Replica::default();
    for index in 0..3000 {
        replica.execute(put(&format!("{index:04}"), &"v".repeat(2000)));
    }
    // Bisects for the longest range that is answered.
    let (mut fits, mut too_long) = (0, 3000);
    while too_long - fits > 1 {
        let middle = (fits + too_long) / 2;
        let outcome = replica.execute(get("0000").to(&format!("{middle:04}")));
        assert!(outcome.encode().len() <= RESPONSE_BYTES_MAX);
        if outcome.result.is_ok() { fits = middle } else { too_long = middle }
    }
    let longest = replica.execute(get("0000").to(&format!("{fits:04}")));
    assert!(longest.encode().len() > RESPONSE_BYTES_MAX - (16 << 10));
}

#[test]
fn transactions_of_many_steps_up_to_the_limit_fit_it_encoded() {
    let mut replica = Replica::default();
    for key in ["a", "b"] {
        replica.execute(put(key, &"v".repeat(1 << 20)));
    }
    let steps = ["a", "b", "c"].into_iter().chain(["none"; 125]);
    let request = txn(steps.map(|key| get(key).into()));
    // Bisects for the longest value that is answered.
    let (mut fits, mut too_long) = (1 << 19, 3 << 19);
    while too_long - fits > 1 {
        let middle = (fits + too_long) / 2;
        replica.execute(put("c", &"v".repeat(middle)));
        let outcome = replica.execute(request.clone());
        assert!(outcome.encode().len() <= RESPONSE_BYTES_MAX);
        if outcome.result.is_ok() {
            fits = middle;
        } else {
            too_long = middle;
        }
    }
    assert!(fits > (1 << 20) - (16 << 10));
}

#[test]
fn any_pair_of_key_and_value_can_be_read() {
    let mut replica = Replica::default();
    replica.execute(put(&"k".repeat(700 << 10), &"v".repeat(800 << 10)));
    assert_eq!(replica.range(get("k").to("\0")).kvs.len(), 1);
}

#[test]
fn a_refused_deletion_removes_nothing() {
    let mut replica = four_large_keys();
    let before = replica.state.clone();
    let request = DeleteRangeRequest { prev_kv: true, ..delete("a").to("\0") };
    assert_eq!(replica.refusal(request), StoreError::ResponseTooLarge);
    assert_eq!(replica.state, before);
    assert_eq!(replica.deleted(delete("a").to("\0")), 4);
}

#[test]
fn a_transaction_refused_midway_is_undone() {
    let mut replica = four_large_keys();
    replica.execute(put("new", "then"));
    replica.execute(delete("new"));
    let before = replica.state.clone();
    let request = txn([
        put("new", "now").into(),
        put("a", "changed").into(),
        delete("b").into(),
        put("e", &"e".repeat(1_000_000)).into(),
        get("a").to("\0").into(),
        get("c").into(),
    ]);
    assert_eq!(replica.refusal(request), StoreError::ResponseTooLarge);
    assert_eq!(replica.state, before);
    replica.assert_same(&mut Replica::restored_from(&before));
    assert_eq!(replica.key_value("a").unwrap().version, 1);
}

#[test]
fn malformed_operations_are_refused() {
    let mut replica = Replica::default();
    let good = Operation::from(put("a", "1")).encode();
    let mut other_version = good.clone();
    other_version[0] += 1;
    let mut unknown_kind = good.clone();
    unknown_kind[1] = 99;
    let mut trailing = good.clone();
    trailing.push(0);
    let mut bad_flag = good.clone();
    *bad_flag.last_mut().unwrap() = 2;
    let truncated = (0..good.len()).map(|length| good[..length].to_vec());
    for bytes in truncated.chain([other_version, unknown_kind, trailing, bad_flag]) {
        assert_eq!(Operation::decode(&bytes), Err(StoreError::Malformed));
        let answer = replica.execute_bytes(&bytes);
        let reading = replica.query_bytes(&bytes).unwrap();
        assert_eq!(Outcome::from_reading(&reading), Outcome::decode(&answer));
    }
    assert!(replica.state.0.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_the_store_panic_or_write_unasked(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0_u8..7,
    ) {
        let mut replica = Replica::default();
        let bytes = [&[1, kind], &bytes[..]].concat();
        let decoded = Operation::decode(&bytes);
        replica.execute_bytes(&bytes);
        match decoded {
            Ok(operation) => prop_assert_eq!(operation.encode(), bytes),
            Err(_) => prop_assert!(replica.state.0.is_empty()),
        }
    }
}
