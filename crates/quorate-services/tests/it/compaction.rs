//! What a compaction forgets, when, and that replicas forget alike.

use quorate_services::store::{RangeRequest, StatusResponse, StoreError};

use crate::replica::{Replica, To, compact, delete, get, put};

fn at(key: &str, revision: i64) -> RangeRequest {
    RangeRequest { revision, ..get(key) }
}

/// `count` puts of the same ten keys in turn.
fn put_ten_keys(replica: &mut Replica, count: usize) {
    for index in 0..count {
        replica.execute(put(&format!("k{}", index % 10), &format!("v{index}")));
    }
}

/// Executes reads until nothing is left to be removed; says how many it took.
fn sweep(replica: &mut Replica) -> usize {
    for count in 0.. {
        let before = replica.state.clone();
        replica.execute(get("none"));
        if replica.state == before {
            return count;
        }
    }
    unreachable!("each operation sweeps on")
}

#[test]
fn reads_below_the_compacted_revision_are_refused_at_once() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 1000);
    replica.execute(compact(900));
    assert_eq!(replica.refusal(at("k0", 899)), StoreError::Compacted);
    assert_eq!(replica.refusal(at("none", 2)), StoreError::Compacted);
}

#[test]
fn reads_at_the_compacted_revision_and_above_answer_as_before() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 30);
    replica.execute(delete("k3"));
    let revisions = 20..=32;
    let ranges = revisions.map(|revision| RangeRequest { revision, ..get("k").to("l") });
    let before: Vec<_> = ranges.clone().map(|range| replica.range(range)).collect();
    replica.execute(compact(20));
    let right_after: Vec<_> = ranges.clone().map(|range| replica.range(range)).collect();
    sweep(&mut replica);
    let swept: Vec<_> = ranges.map(|range| replica.range(range)).collect();
    assert_eq!(right_after, before);
    assert_eq!(swept, before);
}

#[test]
fn a_compaction_makes_no_revision() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    assert_eq!(replica.execute(compact(2)).revision, 2);
}

#[test]
fn the_current_revision_can_be_compacted_and_stays_readable() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("a", "2"));
    replica.execute(compact(3));
    assert_eq!(replica.range(at("a", 3)).count, 1);
    assert_eq!(replica.value("a").as_deref(), Some("2"));
}

#[test]
fn a_compaction_at_a_revision_already_compacted_is_refused() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 10);
    replica.execute(compact(5));
    for revision in [5, 4, 0, -1, i64::MIN] {
        assert_eq!(replica.refusal(compact(revision)), StoreError::Compacted);
    }
}

#[test]
fn a_compaction_at_a_future_revision_is_refused() {
    let mut replica = Replica::default();
    assert_eq!(replica.refusal(compact(2)), StoreError::FutureRevision);
    assert_eq!(replica.refusal(compact(i64::MAX)), StoreError::FutureRevision);
}

#[test]
fn a_new_store_can_be_compacted_at_0_but_not_below() {
    let mut replica = Replica::default();
    assert_eq!(replica.refusal(compact(-1)), StoreError::Compacted);
    replica.response(compact(0));
    assert_eq!(replica.refusal(compact(0)), StoreError::Compacted);
    replica.response(compact(1));
}

#[test]
fn superseded_versions_and_tombstones_are_removed() {
    let mut replica = Replica::default();
    for value in ["1", "2", "3"] {
        replica.execute(put("kept", value));
        replica.execute(put("gone", value));
    }
    replica.execute(delete("gone"));
    replica.execute(put("later", "1"));
    replica.execute(compact(8));
    sweep(&mut replica);
    let records = replica.status();
    assert_eq!((records.record_count, records.compact_revision), (2, 8));
    assert_eq!(replica.keys(), ["kept", "later"]);
    assert_eq!(replica.key_value("kept").unwrap().version, 3);
}

#[test]
fn a_store_whose_every_key_was_deleted_is_empty_after_its_compaction() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 25);
    replica.execute(delete("k").to("l"));
    replica.execute(compact(27));
    sweep(&mut replica);
    let empty = StatusResponse { compact_revision: 27, record_count: 0, record_bytes: 0 };
    assert_eq!(replica.status(), empty);
    assert_eq!(replica.execute(put("a", "1")).revision, 28);
}

#[test]
fn each_operation_removes_a_bounded_number_of_records() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 1000);
    let mut count = replica.status().record_count;
    replica.execute(compact(1001));
    while replica.status().record_count > 10 {
        let removed = count - replica.status().record_count;
        assert!((1..=64).contains(&removed), "{removed}");
        count = replica.status().record_count;
        replica.execute(get("none"));
    }
}

#[test]
fn a_batch_of_many_operations_removes_a_bounded_number_of_records() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 20_000);
    let mut count = replica.status().record_count;
    for _ in 0..2 {
        let reads = vec![get("none").into(); 1000];
        replica.batch([compact(20_001).into()].into_iter().chain(reads));
        let removed = count - replica.status().record_count;
        assert_eq!(removed, 8192);
        count = replica.status().record_count;
    }
    // What was written is kept up with all the same.
    let writes = (0..200).flat_map(|_| (0..10).map(|key| put(&format!("k{key}"), "v").into()));
    replica.batch(vec![get("none").into(); 200].into_iter().chain(writes));
    assert_eq!(replica.status().record_count, 10 + 2000);
}

#[test]
fn a_refused_operation_carries_the_removal_on() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 500);
    replica.execute(compact(501));
    let before = replica.status().record_count;
    replica.refusal(put("", "1"));
    replica.execute_bytes(b"garbage");
    assert_eq!(replica.status().record_count, before - 128);
}

#[test]
fn a_few_large_records_are_a_step_of_their_own() {
    let mut replica = Replica::default();
    let large = "x".repeat(600 << 10);
    for _ in 0..5 {
        replica.execute(put("a", &large));
    }
    replica.execute(compact(6));
    assert_eq!(replica.status().record_count, 3);
    sweep(&mut replica);
    assert_eq!(replica.status().record_count, 1);
}

#[test]
fn a_compaction_during_another_is_honoured_after_it() {
    let mut replica = Replica::default();
    put_ten_keys(&mut replica, 500);
    replica.execute(compact(300));
    replica.execute(compact(400));
    assert_eq!(replica.refusal(at("k0", 399)), StoreError::Compacted);
    sweep(&mut replica);
    // Ten records are as of revision 400, and a hundred later.
    assert_eq!(replica.status().record_count, 10 + 101);
}

#[test]
fn frequent_compactions_of_large_transactions_keep_the_history_short() {
    let mut replica = Replica::default();
    for round in 0..300_i64 {
        let puts = (0..128).map(|key| put(&format!("k{key}"), "v").into());
        let revision = replica.execute(crate::replica::txn(puts)).revision;
        if round % 2 == 0 {
            replica.execute(compact(revision));
        }
    }
    assert!(replica.status().record_count < 10 * 128, "{:?}", replica.status());
}

#[test]
fn compactions_after_every_write_still_reach_the_later_records() {
    let mut replica = Replica::default();
    for index in 0..200 {
        replica.execute(put(&format!("k{index}"), "v"));
    }
    for _ in 0..500 {
        let revision = replica.execute(put("hot", "v")).revision;
        replica.response(compact(revision));
    }
    assert!(replica.status().record_count < 210);
}

#[test]
fn a_replica_restored_in_the_middle_goes_on_as_the_others_do() {
    let mut running = Replica::default();
    put_ten_keys(&mut running, 1000);
    running.execute(delete("k1").to("k4"));
    running.execute(compact(900));
    running.execute(compact(1000));
    loop {
        let mut restored = Replica::restored_from(&running.state);
        running.assert_same(&mut restored);
        let before = running.state.clone();
        let outcome = running.execute(get("k").to("l"));
        assert_eq!(restored.execute(get("k").to("l")), outcome);
        assert_eq!(restored.state, running.state);
        if running.state == before {
            break;
        }
    }
}
