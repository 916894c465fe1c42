//! Random histories: the store against the model, replicas against each other.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quorate_services::store::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, Operation, Outcome,
    PutRequest, RangeRequest, TxnOperation, TxnRequest,
};

use crate::model::Model;
use crate::replica::Replica;

/// Few keys, so that they meet; near each other, so that the ends of ranges matter.
fn key() -> impl Strategy<Value = Vec<u8>> {
    const KEYS: [&[u8]; 9] = [b"a", b"a\0", b"aa", b"b", b"ba", b"c", b"\0", b"\xff", b""];
    prop_oneof![20 => select(&KEYS[..8]), 1 => Just(KEYS[8])].prop_map(<[u8]>::to_vec)
}

fn range_end() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec![0]),
        3 => key(),
        1 => Just(vec![0, 0]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(0_u8..3, 0..3)
}

fn revision() -> impl Strategy<Value = i64> {
    prop_oneof![5 => Just(0), 5 => 1_i64..40, 1 => select(vec![-1, -2, i64::MIN, i64::MAX])]
}

fn small_number() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0_i64..5, 5 => 5_i64..30, 1 => select(vec![-1, i64::MIN, i64::MAX])]
}

fn range() -> impl Strategy<Value = RangeRequest> {
    let limit = prop_oneof![3 => Just(0), 3 => 1_i64..5, 1 => select(vec![-1, i64::MAX])];
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (key(), range_end(), limit, revision(), flags).prop_map(
        |(key, range_end, limit, revision, (keys_only, count_only))| RangeRequest {
            key,
            range_end,
            limit,
            revision,
            keys_only,
            count_only,
        },
    )
}

fn put() -> impl Strategy<Value = PutRequest> {
    let lease = prop_oneof![20 => Just(0), 1 => Just(5)];
    (key(), value(), lease, any::<bool>()).prop_map(|(key, value, lease, prev_kv)| PutRequest {
        key,
        value,
        lease,
        prev_kv,
    })
}

fn delete_range() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

fn compare() -> impl Strategy<Value = Compare> {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    let target = prop_oneof![
        small_number().prop_map(CompareTarget::Version),
        small_number().prop_map(CompareTarget::Create),
        small_number().prop_map(CompareTarget::Mod),
        value().prop_map(CompareTarget::Value),
        small_number().prop_map(CompareTarget::Lease),
    ];
    let result = select(vec![Equal, Greater, Less, NotEqual]);
    (key(), result, target).prop_map(|(key, result, target)| Compare { key, result, target })
}

fn step() -> impl Strategy<Value = TxnOperation> {
    prop_oneof![
        20 => range().prop_map(TxnOperation::from),
        20 => put().prop_map(TxnOperation::from),
        10 => delete_range().prop_map(TxnOperation::from),
        1 => Just(TxnOperation::Unset),
    ]
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    (vec(compare(), 0..3), vec(step(), 0..4), vec(step(), 0..4))
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => range().prop_map(Operation::from),
        6 => put().prop_map(Operation::from),
        3 => delete_range().prop_map(Operation::from),
        6 => txn().prop_map(Operation::from),
        1 => revision().prop_map(|revision| CompactRequest { revision }.into()),
    ]
}

/// Writes many versions of the keys of [`key`], so that a compaction takes many operations.
fn long_past() -> impl Iterator<Item = Operation> {
    let keys: [&[u8]; 4] = [b"a", b"aa", b"b", b"old"];
    (0..40_u8).flat_map(move |round| {
        let puts = keys.map(|key| {
            let put = PutRequest { key: key.to_vec(), value: vec![round], ..PutRequest::default() };
            Operation::from(put)
        });
        let key = keys[usize::from(round) % 4].to_vec();
        let delete = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
        puts.into_iter().chain([Operation::from(delete)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_store_answers_as_the_model_does(operations in vec(operation(), 1..60)) {
        let mut replica = Replica::default();
        let mut model = Model::new();
        for operation in operations {
            let queried = replica.query(operation.clone());
            let outcome = replica.execute(operation.clone());
            let result = model.execute(&operation);
            let expected = Outcome { revision: model.revision(), result };
            prop_assert_eq!(&outcome, &expected, "{:?}", operation);
            // Few records, so a compaction is over within its own operation.
            prop_assert_eq!(replica.status().record_count, model.record_count());
            if operation.is_read_only() || operation.check().is_err() {
                prop_assert_eq!(queried, Some(expected));
            } else {
                prop_assert_eq!(queried, None);
            }
        }
    }

    #[test]
    fn the_store_answers_as_the_model_does_while_it_compacts_a_long_past(
        compacted in 100_i64..200,
        operations in vec(operation(), 1..12),
    ) {
        let mut replica = Replica::default();
        let mut model = Model::new();
        let compaction = CompactRequest { revision: compacted }.into();
        let again = CompactRequest { revision: 201 }.into();
        let past = long_past().chain([compaction]);
        let shift = |operation| later_by(operation, compacted);
        for operation in past.chain(operations.into_iter().map(shift)).chain([again]) {
            let outcome = replica.execute(operation.clone());
            let expected = Outcome {
                result: model.execute(&operation),
                revision: model.revision(),
            };
            prop_assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn a_restored_replica_is_the_running_one(
        compacted in 100_i64..200,
        operations in vec(operation(), 1..12),
        restart in 0_usize..12,
    ) {
        let mut running = Replica::default();
        let mut restarted = Replica::default();
        let mut never_told_to_restore = Replica::default();
        let compaction = CompactRequest { revision: compacted }.into();
        for operation in long_past().chain([compaction]) {
            for replica in [&mut running, &mut restarted, &mut never_told_to_restore] {
                replica.execute(operation.clone());
            }
        }
        for (index, operation) in operations.into_iter().enumerate() {
            if index == restart {
                restarted = Replica::restored_from(&restarted.state);
                never_told_to_restore.execute(Operation::Status);
                running.assert_same(&mut restarted);
            }
            let bytes = operation.encode();
            let answer = running.execute_bytes(&bytes);
            prop_assert_eq!(&restarted.execute_bytes(&bytes), &answer);
            prop_assert_eq!(&never_told_to_restore.execute_bytes(&bytes), &answer);
            prop_assert_eq!(&restarted.state, &running.state);
            prop_assert_eq!(&never_told_to_restore.state, &running.state);
        }
    }

    #[test]
    fn a_batch_that_is_rolled_back_leaves_no_trace(
        compacted in prop::option::of(100_i64..200),
        batches in vec((vec(operation(), 0..6), any::<bool>()), 1..8),
    ) {
        let mut replica = Replica::default();
        let compaction = compacted.map(|revision| CompactRequest { revision }.into());
        for operation in long_past().chain(compaction) {
            replica.execute(operation);
        }
        for (operations, is_lost) in batches {
            let before = replica.state.clone();
            replica.batch(operations.clone());
            if is_lost {
                replica.roll_back(before);
                let mut restored = Replica::restored_from(&replica.state);
                // They begin another batch with the same number.
                replica.assert_same(&mut restored);
                prop_assert_eq!(replica.batch(operations.clone()), restored.batch(operations));
                replica.assert_same(&mut restored);
            }
        }
    }

    #[test]
    fn an_operation_has_one_encoding(operation in operation()) {
        let bytes = operation.encode();
        prop_assert_eq!(Operation::decode(&bytes), Ok(operation));
    }
}

/// The same operation, asking for revisions that are still there.
fn later_by(mut operation: Operation, revisions: i64) -> Operation {
    let later = |range: &mut RangeRequest| {
        if range.revision > 0 {
            range.revision = range.revision.saturating_add(revisions - 20);
        }
    };
    match &mut operation {
        Operation::Range(range) => later(range),
        Operation::Txn(txn) => {
            for step in txn.success.iter_mut().chain(&mut txn.failure) {
                if let TxnOperation::Range(range) = step {
                    later(range);
                }
            }
        }
        _ => {}
    }
    operation
}
