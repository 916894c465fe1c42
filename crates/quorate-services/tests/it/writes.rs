//! Puts and deletions.

use quorate_services::store::{
    DeleteRangeRequest, KeyValue, Operation, PutRequest, Response, StoreError,
};

use crate::replica::{Replica, To, delete, get, put};

fn prev_kv(response: Response) -> Option<KeyValue> {
    let Response::Put(response) = response else { panic!("not a put") };
    response.prev_kv
}

#[test]
fn an_empty_store_is_at_revision_1_and_the_first_put_makes_2() {
    let mut replica = Replica::default();
    assert_eq!(replica.revision(), 1);
    assert_eq!(replica.execute(put("a", "1")).revision, 2);
}

#[test]
fn a_put_of_an_absent_key_creates_it_with_version_1() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    let expected = KeyValue {
        key: b"a".to_vec(),
        create_revision: 2,
        mod_revision: 2,
        version: 1,
        value: b"1".to_vec(),
        lease: 0,
    };
    assert_eq!(replica.key_value("a"), Some(expected));
}

#[test]
fn a_put_of_a_present_key_keeps_its_creation_and_counts_its_version() {
    let mut replica = Replica::default();
    for value in ["1", "2", "3"] {
        replica.execute(put("a", value));
    }
    let kv = replica.key_value("a").unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 4, 3));
    assert_eq!(kv.value, b"3");
}

#[test]
fn a_put_of_the_same_value_is_a_new_version() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    assert_eq!(replica.execute(put("a", "1")).revision, 3);
}

#[test]
fn a_key_created_again_after_its_deletion_starts_anew() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("a", "2"));
    replica.execute(delete("a"));
    replica.execute(put("a", "3"));
    let kv = replica.key_value("a").unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
}

#[test]
fn a_put_returns_the_previous_pair_only_if_asked_and_if_there_was_one() {
    let mut replica = Replica::default();
    let asking = |value: &str| PutRequest { prev_kv: true, ..put("a", value) };
    assert_eq!(prev_kv(replica.response(asking("1"))), None);
    assert_eq!(prev_kv(replica.response(asking("2"))).unwrap().value, b"1");
    assert_eq!(prev_kv(replica.response(put("a", "3"))), None);
}

#[test]
fn a_put_under_a_lease_is_refused_while_there_are_no_leases() {
    let mut replica = Replica::default();
    let leased = PutRequest { lease: 7, ..put("a", "1") };
    assert_eq!(replica.refusal(leased), StoreError::LeaseNotFound);
    assert_eq!(replica.revision(), 1);
}

#[test]
fn an_empty_value_is_a_value() {
    let mut replica = Replica::default();
    replica.execute(put("a", ""));
    assert_eq!(replica.value("a").as_deref(), Some(""));
}

#[test]
fn an_empty_key_is_refused_everywhere() {
    let mut replica = Replica::default();
    let requests: [Operation; 3] = [get("").into(), put("", "1").into(), delete("").into()];
    for request in requests {
        assert_eq!(replica.refusal(request), StoreError::EmptyKey);
    }
    assert_eq!(replica.refusal(get("").to("\0")), StoreError::EmptyKey);
}

#[test]
fn a_deletion_removes_what_its_range_holds() {
    let mut replica = Replica::default();
    for key in ["a", "b", "c", "d"] {
        replica.execute(put(key, "1"));
    }
    assert_eq!(replica.deleted(delete("a")), 1);
    assert_eq!(replica.keys(), ["b", "c", "d"]);
    assert_eq!(replica.deleted(delete("b").to("d")), 2);
    assert_eq!(replica.keys(), ["d"]);
    assert_eq!(replica.deleted(delete("a").to("\0")), 1);
    assert!(replica.keys().is_empty());
}

#[test]
fn a_deletion_of_several_keys_is_one_revision() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("b", "1"));
    assert_eq!(replica.execute(delete("a").to("\0")).revision, 4);
}

#[test]
fn a_deletion_of_nothing_makes_no_revision() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(delete("a"));
    assert_eq!(replica.deleted(delete("a")), 0);
    assert_eq!(replica.deleted(delete("z").to("b")), 0);
    assert_eq!(replica.revision(), 3);
}

#[test]
fn a_deletion_returns_the_previous_pairs_ascending_if_asked() {
    let mut replica = Replica::default();
    for key in ["b", "a", "c"] {
        replica.execute(put(key, key));
    }
    let request = DeleteRangeRequest { prev_kv: true, ..delete("a").to("c") };
    let Response::DeleteRange(response) = replica.response(request) else { panic!() };
    assert_eq!(response.deleted, 2);
    let held: Vec<_> = response.prev_kvs.iter().map(|kv| (&*kv.value, kv.mod_revision)).collect();
    assert_eq!(held, [(&b"a"[..], 3), (&b"b"[..], 2)]);
}
