//! Reads: which keys, in which order, at which revision.

use quorate_services::store::{Operation, RangeRequest, StoreError};

use crate::replica::{Replica, To, compact, delete, get, names, put};

/// Keys `a`, `aa`, `ab`, `b` and `c`, created at revisions 2 to 6 in another order.
fn five_keys() -> Replica {
    let mut replica = Replica::default();
    for key in ["c", "ab", "a", "b", "aa"] {
        replica.execute(put(key, key));
    }
    replica
}

#[test]
fn a_range_without_end_is_one_key() {
    let mut replica = five_keys();
    assert_eq!(names(&replica.range(get("a"))), ["a"]);
    assert_eq!(replica.range(get("x")).count, 0);
}

#[test]
fn a_range_ends_before_its_end_and_is_ascending() {
    let mut replica = five_keys();
    assert_eq!(names(&replica.range(get("a").to("b"))), ["a", "aa", "ab"]);
    assert_eq!(names(&replica.range(get("aa").to("c"))), ["aa", "ab", "b"]);
}

#[test]
fn an_end_of_one_zero_byte_means_every_key_from_here_on() {
    let mut replica = five_keys();
    assert_eq!(names(&replica.range(get("ab").to("\0"))), ["ab", "b", "c"]);
    assert_eq!(replica.range(get("\0").to("\0")).count, 5);
}

#[test]
fn an_end_of_two_zero_bytes_is_an_end() {
    let mut replica = five_keys();
    replica.execute(put("\0", "zero"));
    assert_eq!(names(&replica.range(get("\0").to("\0\0"))), ["\0"]);
}

#[test]
fn a_range_that_ends_where_it_begins_or_earlier_is_empty() {
    let mut replica = five_keys();
    assert_eq!(replica.range(get("b").to("b")).count, 0);
    assert_eq!(replica.range(get("c").to("a")).count, 0);
}

#[test]
fn a_limit_cuts_the_keys_but_not_the_count() {
    let mut replica = five_keys();
    let limited = |limit| RangeRequest { limit, ..get("a").to("\0") };
    let response = replica.range(limited(2));
    assert_eq!((names(&response), response.more, response.count), (vec!["a", "aa"], true, 5));
    let response = replica.range(limited(5));
    assert_eq!((response.kvs.len(), response.more, response.count), (5, false, 5));
    for unlimited in [0, -1, i64::MIN, i64::MAX] {
        let response = replica.range(limited(unlimited));
        assert_eq!((response.kvs.len(), response.more), (5, false));
    }
}

#[test]
fn keys_only_leaves_nothing_out_but_the_value() {
    let mut replica = five_keys();
    let response = replica.range(RangeRequest { keys_only: true, ..get("a") });
    assert_eq!(response.kvs[0].value, b"");
    assert_eq!((response.kvs[0].mod_revision, response.kvs[0].version), (4, 1));
}

#[test]
fn count_only_returns_no_key_and_never_more() {
    let mut replica = five_keys();
    let response = replica.range(RangeRequest { count_only: true, limit: 1, ..get("a").to("\0") });
    assert_eq!((response.kvs.len(), response.more, response.count), (0, false, 5));
}

#[test]
fn an_older_revision_shows_what_there_was() {
    let mut replica = Replica::default();
    replica.execute(put("a", "1"));
    replica.execute(put("a", "2"));
    replica.execute(delete("a"));
    replica.execute(put("a", "3"));
    let mut value_at = |revision| {
        let response = replica.range(RangeRequest { revision, ..get("a") });
        response.kvs.into_iter().next().map(|kv| (kv.value, kv.version))
    };
    assert_eq!(value_at(1), None);
    assert_eq!(value_at(2), Some((b"1".to_vec(), 1)));
    assert_eq!(value_at(3), Some((b"2".to_vec(), 2)));
    assert_eq!(value_at(4), None);
    assert_eq!(value_at(5), Some((b"3".to_vec(), 1)));
}

#[test]
fn a_read_at_an_older_revision_has_the_current_one_in_its_header() {
    let mut replica = five_keys();
    assert_eq!(replica.execute(RangeRequest { revision: 3, ..get("a") }).revision, 6);
}

#[test]
fn zero_and_negative_revisions_mean_the_current_one() {
    let mut replica = five_keys();
    replica.execute(compact(6));
    for revision in [0, -1, i64::MIN] {
        assert_eq!(replica.range(RangeRequest { revision, ..get("a") }).count, 1);
    }
}

#[test]
fn a_revision_not_reached_yet_is_refused() {
    let mut replica = five_keys();
    let ahead = RangeRequest { revision: 7, ..get("a") };
    assert_eq!(replica.refusal(ahead), StoreError::FutureRevision);
}

#[test]
fn reads_make_no_revision_and_write_nothing() {
    let mut replica = five_keys();
    let before = replica.state.clone();
    replica.range(get("a").to("\0"));
    replica.execute(Operation::Status);
    assert_eq!(replica.revision(), 6);
    assert_eq!(replica.state, before);
}

#[test]
fn a_query_answers_what_only_reads_and_nothing_else() {
    let mut replica = five_keys();
    let range = get("a").to("c");
    assert_eq!(replica.query(range.clone()), Some(replica.execute(range)));
    assert_eq!(replica.query(Operation::Status), Some(replica.execute(Operation::Status)));
    assert_eq!(replica.query(put("a", "1")), None);
    assert_eq!(replica.query(delete("none")), None);
    assert_eq!(replica.query(compact(2)), None);
    let refused = replica.query(put("", "1")).unwrap();
    assert_eq!(refused.result, Err(StoreError::EmptyKey));
}
