//! The checker against an exhaustive one on small histories, and on large ones by itself.

mod exhaustive;

use super::*;
use proptest::prelude::*;

fn get(history: &mut History, key: &[u8]) -> OperationId {
    history.invoke(0, key, Call::Get)
}

fn put(history: &mut History, key: &[u8], value: &[u8]) -> OperationId {
    history.invoke(1, key, Call::Put(value.to_vec()))
}

fn done(history: &mut History, operation: OperationId, revision: u64) {
    history.complete(operation, Answer { revision, response: Response::Put });
}

fn got(history: &mut History, operation: OperationId, revision: u64, found: Option<(&[u8], u64)>) {
    let found = found.map(|(value, mod_revision)| Found { value: value.to_vec(), mod_revision });
    history.complete(operation, Answer { revision, response: Response::Got(found) });
}

fn refuted(history: &History) -> Violation {
    match check(history) {
        Ok(Verdict::Violation(violation)) => *violation,
        other => panic!("not refuted: {other:?}"),
    }
}

#[test]
fn an_empty_history_is_linearizable() {
    assert_eq!(check(&History::default()), Ok(Verdict::Linearizable));
}

#[test]
fn a_stale_read_is_a_violation_that_names_both_operations() {
    let mut history = History::default();
    let write = put(&mut history, b"k", b"new");
    done(&mut history, write, 2);
    let read = get(&mut history, b"k");
    got(&mut history, read, 1, None);
    let Ok(Verdict::Violation(violation)) = check(&history) else { panic!("accepted") };
    let text = violation.to_string();
    assert!(text.contains("put \"k\" = \"new\"") && text.contains("get \"k\" -> absent"), "{text}");
}

#[test]
fn a_stale_read_under_a_fresh_revision_is_a_violation() {
    let mut history = History::default();
    let write = put(&mut history, b"k", b"new");
    done(&mut history, write, 2);
    let read = get(&mut history, b"k");
    got(&mut history, read, 2, None);
    let Violation::Impossible { operation, possible, .. } = refuted(&history) else {
        panic!("refuted for another reason")
    };
    assert_eq!(operation.call, Call::Get);
    assert_eq!(
        possible[0].to_string(),
        "\"new\" modified at 2, the store being at revision 2 or later"
    );
}

#[test]
fn a_read_that_overlaps_a_write_may_see_either_side_of_it() {
    for found in [None, Some((b"v".as_slice(), 2))] {
        let mut history = History::default();
        let write = put(&mut history, b"k", b"v");
        let read = get(&mut history, b"k");
        got(&mut history, read, if found.is_some() { 2 } else { 1 }, found);
        done(&mut history, write, 2);
        assert_eq!(check(&history), Ok(Verdict::Linearizable));
    }
}

#[test]
fn an_unknown_write_may_take_effect_late_but_not_twice() {
    let mut history = History::default();
    put(&mut history, b"k", b"lost");
    for (revision, found) in [(1, None), (4, Some((b"lost".as_slice(), 4)))] {
        let read = get(&mut history, b"k");
        got(&mut history, read, revision, found);
    }
    assert_eq!(check(&history), Ok(Verdict::Linearizable));
    let write = put(&mut history, b"k", b"other");
    done(&mut history, write, 5);
    let read = get(&mut history, b"k");
    got(&mut history, read, 6, Some((b"lost", 6)));
    assert!(matches!(refuted(&history), Violation::Impossible { .. }));
}

#[test]
fn two_writes_cannot_have_the_same_revision_even_on_two_keys() {
    let mut history = History::default();
    let first = put(&mut history, b"a", b"1");
    let second = put(&mut history, b"b", b"2");
    done(&mut history, first, 7);
    done(&mut history, second, 7);
    assert!(matches!(refuted(&history), Violation::RevisionNamedTwice { revision: 7, .. }));
}

#[test]
fn an_unknown_write_needs_a_revision_of_its_own() {
    let history = |last: u64| {
        let mut history = History::default();
        let first = put(&mut history, b"k", b"1");
        done(&mut history, first, 2);
        history.invoke(2, b"k", Call::Delete);
        let swap = history.invoke(
            3,
            b"k",
            Call::CompareAndSwap { expected: Expected::ModRevision(0), value: b"2".to_vec() },
        );
        history.complete(swap, Answer { revision: last, response: Response::Swapped(true) });
        history
    };
    assert_eq!(check(&history(4)), Ok(Verdict::Linearizable));
    refuted(&history(3));
}

#[test]
fn an_answer_of_another_kind_is_the_recorders_fault() {
    let mut history = History::default();
    let read = get(&mut history, b"k");
    done(&mut history, read, 1);
    assert!(matches!(check(&history), Err(CheckError::AnswerOfAnotherKind(_))));
}

#[test]
fn a_thousand_operations_are_accepted_and_one_corrupted_read_among_them_refuted() {
    for seed in 0..20 {
        let options =
            exhaustive::Options { clients: 8, keys: 1, operations: 1_000, gap: 0, unknown: 10 };
        let history = exhaustive::generate(seed, &options);
        assert_eq!(check(&history), Ok(Verdict::Linearizable), "seed {seed}");
        let corrupted = exhaustive::corrupt_a_read(&history, seed);
        assert!(matches!(check(&corrupted), Ok(Verdict::Violation(_))), "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_of_a_real_store_are_linearizable(seed: u64, keys in 1u32..4, gap in 0u64..3) {
        let options = exhaustive::Options { clients: 4, keys, operations: 40, gap, unknown: 20 };
        let history = exhaustive::generate(seed, &options);
        prop_assert_eq!(check(&history), Ok(Verdict::Linearizable));
    }

    #[test]
    fn on_one_key_the_verdict_is_that_of_the_exhaustive_search(seed: u64, changes in 0u32..3) {
        let options =
            exhaustive::Options { clients: 4, keys: 1, operations: 7, gap: 0, unknown: 35 };
        let history = exhaustive::spoil(exhaustive::generate(seed, &options), seed, changes);
        let verdict = check(&history).unwrap();
        prop_assert_eq!(verdict == Verdict::Linearizable, exhaustive::is_linearizable(&history));
    }

    #[test]
    fn on_two_keys_the_verdict_is_that_of_the_exhaustive_search(seed: u64, changes in 0u32..3) {
        let options =
            exhaustive::Options { clients: 4, keys: 2, operations: 7, gap: 0, unknown: 35 };
        // Room for every unknown operation: the one corner in which the check is lenient.
        let history = exhaustive::spread(&exhaustive::spoil(exhaustive::generate(seed, &options), seed, changes));
        let verdict = check(&history).unwrap();
        prop_assert_eq!(verdict == Verdict::Linearizable, exhaustive::is_linearizable(&history));
    }
}
