//! The bytes that are ordered, answered and stored, held against files: whoever changes one of
//! them changes what replicas of different versions must agree on, and so the version.

use std::fmt::Write;

use quorate_services::store::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, Operation, Outcome, PutRequest,
    RangeRequest, StoreError, TxnOperation, TxnRequest,
};

use crate::replica::{Replica, To, compact, delete, get, put};

/// One operation of each kind, with every field set to something.
fn operations() -> Vec<(&'static str, Operation)> {
    let range = RangeRequest {
        limit: 3,
        revision: 2,
        keys_only: true,
        count_only: false,
        ..get("k").to("l")
    };
    let compare = |result, target| Compare { key: b"k".to_vec(), result, target };
    let txn = TxnRequest {
        compare: vec![
            compare(CompareResult::Equal, CompareTarget::Version(1)),
            compare(CompareResult::Greater, CompareTarget::Create(2)),
            compare(CompareResult::Less, CompareTarget::Mod(3)),
            compare(CompareResult::NotEqual, CompareTarget::Value(b"v".to_vec())),
            compare(CompareResult::Equal, CompareTarget::Lease(4)),
        ],
        success: vec![get("k").into(), put("k", "w").into(), delete("m").into()],
        failure: vec![TxnOperation::Unset],
    };
    vec![
        ("range", range.into()),
        ("put", PutRequest { lease: -2, prev_kv: true, ..put("k", "v") }.into()),
        ("delete_range", DeleteRangeRequest { prev_kv: true, ..delete("k").to("l") }.into()),
        ("txn", txn.into()),
        ("compact", compact(7).into()),
        ("status", Operation::Status),
    ]
}

/// Operations whose answers are of every kind.
fn history() -> Vec<(&'static str, Operation)> {
    let success = vec![get("k").into(), put("k", "w").into(), delete("m").into()];
    vec![
        ("put", put("k", "v").into()),
        ("put_update", PutRequest { prev_kv: true, ..put("k", "v2") }.into()),
        ("range", RangeRequest { limit: 1, ..get("k").to("\0") }.into()),
        ("txn", TxnRequest { success, ..TxnRequest::default() }.into()),
        ("put_other", put("m", "").into()),
        ("delete_range", DeleteRangeRequest { prev_kv: true, ..delete("k").to("l") }.into()),
        ("compact", compact(3).into()),
        ("status", Operation::Status),
    ]
}

fn line(text: &mut String, name: &str, bytes: &[u8]) {
    write!(text, "{name} ").unwrap();
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
    text.push('\n');
}

#[test]
fn operations_are_encoded_as_written_down() {
    let mut text = String::new();
    for (name, operation) in operations() {
        line(&mut text, name, &operation.encode());
        assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
    }
    assert_eq!(text, include_str!("../golden/operations.txt"), "{text}");
}

#[test]
fn outcomes_are_encoded_as_written_down() {
    let mut replica = Replica::default();
    let mut text = String::new();
    for (name, operation) in history() {
        let outcome = replica.execute(operation);
        line(&mut text, name, &outcome.encode());
        assert_eq!(Outcome::decode(&outcome.encode()), Some(outcome));
    }
    let errors = [
        StoreError::EmptyKey,
        StoreError::KeyNotFound,
        StoreError::TooManyOperations,
        StoreError::DuplicateKey,
        StoreError::RequestTooLarge,
        StoreError::LeaseNotFound,
        StoreError::Compacted,
        StoreError::FutureRevision,
        StoreError::ResponseTooLarge,
        StoreError::Malformed,
        StoreError::TooMuchWork,
        StoreError::TooManyRequests,
    ];
    for error in errors {
        let outcome = Outcome { revision: 5, result: Err(error) };
        line(&mut text, &format!("{error:?}"), &outcome.encode());
    }
    assert_eq!(text, include_str!("../golden/outcomes.txt"), "{text}");
}

#[test]
fn the_state_is_as_written_down() {
    let mut replica = Replica::default();
    // Records above what one step of a compaction looks at, so that its progress is there too.
    for _ in 0..70 {
        replica.execute(put("a", ""));
    }
    for (_, operation) in history() {
        replica.execute(operation);
    }
    replica.execute(compact(73));
    let mut text = String::new();
    for (key, value) in &replica.state.0 {
        let mut name = String::new();
        key.iter().for_each(|byte| write!(name, "{byte:02x}").unwrap());
        line(&mut text, &name, value);
    }
    assert_eq!(text, include_str!("../golden/state.txt"), "{text}");
}
