//! Compares, branches, and what the steps of a transaction see of each other.

use quorate_services::store::{
    Compare, CompareResult, CompareTarget, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, Response, StoreError, TxnOperation, TxnRequest, TxnResponse,
};

use crate::replica::{Replica, To, compact, delete, get, put, txn, whether};

use CompareResult::{Equal, Greater, Less, NotEqual};

/// Makes a target of its operand.
type Target = fn(i64) -> CompareTarget;

/// The revision in the header of each step's response.
fn revisions(response: &TxnResponse, revision: i64) -> Vec<i64> {
    response.responses.iter().map(|step| revision - i64::from(step.behind)).collect()
}

fn range_count(response: &Response) -> i64 {
    let Response::Range(response) = response else { panic!("not a range") };
    response.count
}

fn deleted(response: &Response) -> i64 {
    let Response::DeleteRange(response) = response else { panic!("not a delete") };
    response.deleted
}

#[test]
fn all_writes_of_a_transaction_share_one_revision() {
    let mut replica = Replica::default();
    let request = txn([put("a", "1").into(), put("b", "2").into(), put("c", "3").into()]);
    assert_eq!(replica.execute(request).revision, 2);
    for key in ["a", "b", "c"] {
        assert_eq!(replica.key_value(key).unwrap().mod_revision, 2);
    }
}

#[test]
fn a_transaction_that_writes_nothing_makes_no_revision() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let steps: [TxnOperation; 2] = [delete("none").into(), get("a").into()];
    let outcome = replica.execute(txn(steps));
    assert_eq!(outcome.revision, 2);
    let Ok(Response::Txn(response)) = outcome.result else { panic!() };
    assert_eq!(revisions(&response, 2), [2, 2]);
}

#[test]
fn an_empty_transaction_succeeds() {
    let mut replica = Replica::default();
    assert_eq!(
        replica.txn(TxnRequest::default()),
        TxnResponse { succeeded: true, responses: vec![] }
    );
}

#[test]
fn the_branch_depends_on_whether_all_compares_hold() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let compare = |key: &str, version| Compare {
        key: key.into(),
        result: Equal,
        target: CompareTarget::Version(version),
    };
    let request = |compare| TxnRequest {
        compare,
        success: vec![put("r", "success").into()],
        failure: vec![put("r", "failure").into()],
    };
    assert!(replica.txn(request(vec![compare("a", 1), compare("b", 0)])).succeeded);
    assert_eq!(replica.value("r").as_deref(), Some("success"));
    assert!(!replica.txn(request(vec![compare("a", 1), compare("b", 1)])).succeeded);
    assert_eq!(replica.value("r").as_deref(), Some("failure"));
}

#[test]
fn compares_relate_what_the_key_has_to_the_operand() {
    let mut replica = Replica::default();
    replica.execute(put("a", "x"));
    replica.execute(put("k", "m"));
    replica.execute(put("k", "m"));
    // The key was created at 3, modified at 4, and has version 2 and no lease.
    let targets: [(Target, i64); 4] = [
        (CompareTarget::Create, 3),
        (CompareTarget::Mod, 4),
        (CompareTarget::Version, 2),
        (CompareTarget::Lease, 0),
    ];
    for (target, actual) in targets {
        for operand in [actual - 1, actual, actual + 1] {
            let mut holds = |result| replica.txn(whether("k", result, target(operand))).succeeded;
            assert_eq!(holds(Equal), actual == operand);
            assert_eq!(holds(NotEqual), actual != operand);
            assert_eq!(holds(Greater), actual > operand);
            assert_eq!(holds(Less), actual < operand);
        }
    }
    for operand in ["", "l", "m", "m\0", "n"] {
        let target = CompareTarget::Value(operand.into());
        let mut holds = |result| replica.txn(whether("k", result, target.clone())).succeeded;
        assert_eq!(holds(Equal), "m" == operand);
        assert_eq!(holds(NotEqual), "m" != operand);
        assert_eq!(holds(Greater), "m" > operand);
        assert_eq!(holds(Less), "m" < operand);
    }
}

#[test]
fn an_absent_key_compares_as_all_zero() {
    let mut replica = Replica::default();
    replica.execute(put("k", "v"));
    replica.execute(delete("k"));
    let targets: [Target; 4] =
        [CompareTarget::Create, CompareTarget::Mod, CompareTarget::Version, CompareTarget::Lease];
    for target in targets {
        assert!(replica.txn(whether("k", Equal, target(0))).succeeded);
        assert!(replica.txn(whether("k", Less, target(1))).succeeded);
        assert!(replica.txn(whether("k", Greater, target(-1))).succeeded);
        assert!(!replica.txn(whether("k", NotEqual, target(0))).succeeded);
    }
}

#[test]
fn no_compare_of_the_value_of_an_absent_key_holds() {
    let mut replica = Replica::default();
    for result in [Equal, NotEqual, Greater, Less] {
        let target = CompareTarget::Value(vec![]);
        assert!(!replica.txn(whether("k", result, target)).succeeded);
    }
}

#[test]
fn a_step_sees_what_the_steps_before_it_wrote() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let response = replica.txn(txn([
        get("b").into(),
        put("b", "2").into(),
        get("b").into(),
        delete("a").to("\0").into(),
        get("a").to("\0").into(),
    ]));
    let [before, _, between, removal, after] = &response.responses[..] else { panic!() };
    assert_eq!(range_count(&before.response), 0);
    assert_eq!(range_count(&between.response), 1);
    assert_eq!(deleted(&removal.response), 2);
    assert_eq!(range_count(&after.response), 0);
}

#[test]
fn a_key_deleted_and_put_in_one_transaction_is_created_there() {
    let mut replica = Replica::default();
    replica.execute(put("b", "1"));
    replica.execute(put("b", "2"));
    // etcd does not see the conflict because the deletion has no end.
    replica.txn(txn([delete("a").to("\0").into(), put("b", "3").into()]));
    let kv = replica.key_value("b").unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (4, 4, 1));
    assert_eq!(kv.value, b"3");
}

#[test]
fn a_step_before_the_first_write_has_the_older_revision_in_its_header() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let outcome = replica.execute(txn([
        get("a").into(),
        delete("none").into(),
        put("b", "1").into(),
        delete("none").into(),
        get("a").into(),
    ]));
    assert_eq!(outcome.revision, 3);
    let Ok(Response::Txn(response)) = outcome.result else { panic!() };
    assert_eq!(revisions(&response, 3), [2, 2, 3, 3, 3]);
}

#[test]
fn a_transaction_answers_each_step_in_order() {
    let mut replica = Replica::default();
    let asking = PutRequest { prev_kv: true, ..put("a", "1") };
    let response = replica.txn(txn([asking.into(), delete("b").into()]));
    let responses: Vec<_> = response.responses.into_iter().map(|step| step.response).collect();
    let nothing = DeleteRangeResponse { deleted: 0, prev_kvs: vec![] };
    assert_eq!(
        responses,
        [Response::Put(PutResponse { prev_kv: None }), Response::DeleteRange(nothing)]
    );
}

#[test]
fn a_read_in_a_transaction_can_be_at_an_older_revision() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("b", "1"));
    let older = RangeRequest { revision: 2, ..get("a").to("\0") };
    let response = replica.txn(txn([put("c", "1").into(), older.into()]));
    assert_eq!(range_count(&response.responses[1].response), 1);
}

#[test]
fn the_revision_a_transaction_makes_is_a_future_one_to_its_reads() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let ahead = RangeRequest { revision: 3, ..get("a") };
    let request = txn([put("b", "1").into(), ahead.into()]);
    assert_eq!(replica.refusal(request), StoreError::FutureRevision);
    assert_eq!((replica.revision(), replica.value("b")), (2, None));
}

#[test]
fn a_negative_revision_in_a_transaction_is_below_every_compaction() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let at = |revision| txn([RangeRequest { revision, ..get("a") }.into()]);
    assert_eq!(replica.refusal(at(-2)), StoreError::Compacted);
    assert_eq!(range_count(&replica.txn(at(-1)).responses[0].response), 1);
    replica.execute(compact(0));
    assert_eq!(replica.refusal(at(-1)), StoreError::Compacted);
}

#[test]
fn a_refused_lease_comes_before_a_refused_revision() {
    let mut replica = Replica::default();
    let ahead = RangeRequest { revision: 9, ..get("a") };
    let leased = PutRequest { lease: 1, ..put("a", "1") };
    let request = txn([ahead.into(), leased.into()]);
    assert_eq!(replica.refusal(request), StoreError::LeaseNotFound);
}

#[test]
fn only_the_branch_that_is_done_can_be_refused_for_a_lease_or_a_revision() {
    let mut replica = Replica::default();
    let ahead = RangeRequest { revision: 9, ..get("a") };
    let leased = PutRequest { lease: 1, ..put("a", "1") };
    let request = TxnRequest { failure: vec![ahead.into(), leased.into()], ..txn([]) };
    assert!(replica.txn(request).succeeded);
}

#[test]
fn two_puts_of_one_key_in_a_branch_are_refused() {
    let mut replica = Replica::default();
    let twice = vec![put("a", "1").into(), put("a", "2").into()];
    assert_eq!(replica.refusal(txn(twice.clone())), StoreError::DuplicateKey);
    let in_failure = TxnRequest { failure: twice, ..txn([]) };
    assert_eq!(replica.refusal(in_failure), StoreError::DuplicateKey);
    let one_each =
        TxnRequest { failure: vec![put("a", "2").into()], ..txn([put("a", "1").into()]) };
    assert!(replica.txn(one_each).succeeded);
}

#[test]
fn a_put_that_a_deletion_of_the_same_branch_covers_is_refused() {
    let mut replica = Replica::default();
    for deletion in [delete("b"), delete("a").to("c"), delete("b").to("c")] {
        for request in [
            txn([deletion.clone().into(), put("b", "1").into()]),
            txn([put("b", "1").into(), deletion.into()]),
        ] {
            assert_eq!(replica.refusal(request), StoreError::DuplicateKey);
        }
    }
    for deletion in [delete("c"), delete("c").to("d"), delete("a").to("b"), delete("z").to("a")] {
        let request = txn([deletion.into(), put("b", "1").into()]);
        assert!(replica.txn(request).succeeded);
    }
}

#[test]
fn deletions_of_one_branch_may_overlap() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let response = replica.txn(txn([delete("a").into(), delete("a").to("\0").into()]));
    assert_eq!(deleted(&response.responses[0].response), 1);
    assert_eq!(deleted(&response.responses[1].response), 0);
}

#[test]
fn an_unset_step_is_refused_in_its_turn() {
    let mut replica = Replica::default();
    assert_eq!(replica.refusal(txn([TxnOperation::Unset])), StoreError::KeyNotFound);
    let request = txn([put("", "1").into(), TxnOperation::Unset]);
    assert_eq!(replica.refusal(request), StoreError::EmptyKey);
    let empty_compare = whether("", Equal, CompareTarget::Version(0));
    let request = TxnRequest { success: vec![TxnOperation::Unset], ..empty_compare };
    assert_eq!(replica.refusal(request), StoreError::EmptyKey);
}

#[test]
fn a_transaction_of_reads_is_answered_by_a_query_as_by_execution() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("b", "1"));
    for version in [1, 2] {
        let request = TxnRequest {
            success: vec![get("a").to("\0").into(), get("b").into()],
            failure: vec![RangeRequest { revision: 2, ..get("a").to("\0") }.into()],
            ..whether("a", Equal, CompareTarget::Version(version))
        };
        assert_eq!(replica.query(request.clone()), Some(replica.execute(request)));
    }
    let writes_if_it_fails = TxnRequest { failure: vec![delete("none").into()], ..txn([]) };
    assert_eq!(replica.query(writes_if_it_fails), None);
}
