//! What a primary may do wrong in the normal case.

use super::{dropped, masked, masked_in_view, named, pass, primaries, world};
use pbft::Reject;

#[test]
fn an_equivocating_primary_is_convicted_and_replaced_however_it_splits_the_backups() {
    for (replica_count, seconds) in
        [(4, vec!["1", "2", "1+3", "2+3"]), (7, vec!["6", "2+3", "2+4+6", "3+4+5+6"])]
    {
        for second in seconds {
            let behaviour = format!("equivocating_primary:second={second}");
            let outcome = pass(5, &world(replica_count, &[0], &behaviour));
            assert_eq!(outcome.counts.convicted, named(&[0]), "{replica_count}: {second}");
            assert_eq!(outcome.counts.view.get(), 1, "{replica_count}: {second}");
        }
    }
    let outcome = pass(5, &world(7, &[0, 1], "equivocating_primary"));
    assert_eq!((outcome.counts.convicted, outcome.counts.view.get()), (named(&[0, 1]), 2));
}

#[test]
fn a_primary_with_wrong_digests_is_refused_at_the_door_and_replaced() {
    for replica_count in [4, 7] {
        let liars = primaries(replica_count);
        let options = world(replica_count, &liars, "faulty_primary");
        let outcome = masked_in_view(&options, liars.len() as u64);
        assert!(dropped(&outcome, &liars, Reject::WrongDigest) > 0);
    }
}

#[test]
fn backups_in_the_dark_execute_without_the_primary() {
    for (replica_count, dark) in [(4, "3"), (7, "5+6")] {
        masked(&world(replica_count, &[0], &format!("isolating_primary:dark={dark}")));
    }
}

#[test]
fn a_primary_that_keeps_more_than_f_in_the_dark_is_replaced() {
    for (replica_count, dark) in [(4, "2+3"), (7, "3+4+5+6")] {
        let behaviour = format!("isolating_primary:dark={dark}");
        masked_in_view(&world(replica_count, &[0], &behaviour), 1);
    }
}

#[test]
fn a_primary_that_starves_a_client_is_replaced() {
    for replica_count in [4, 7] {
        let liars = primaries(replica_count);
        for client in [0, 2] {
            let behaviour = format!("starving_primary:client={client}");
            masked_in_view(&world(replica_count, &liars, &behaviour), liars.len() as u64);
        }
    }
}

#[test]
fn a_gap_in_the_numbers_is_filled_by_the_next_view() {
    for replica_count in [4, 7] {
        masked_in_view(&world(replica_count, &[0], "jumping_primary:to=high"), 1);
        let outcome = masked_in_view(&world(replica_count, &[0], "jumping_primary:to=above"), 1);
        assert!(dropped(&outcome, &[0], Reject::OutsideWindow) > 0);
        let outcome = masked_in_view(&world(replica_count, &[0], "jumping_primary:to=max"), 1);
        assert!(dropped(&outcome, &[0], Reject::OutOfRange) > 0);
    }
}

#[test]
fn requests_ordered_again_and_in_another_order_are_executed_once() {
    for replica_count in [4, 7] {
        masked(&world(replica_count, &[0], "repeating_primary:where=later"));
        let outcome =
            masked_in_view(&world(replica_count, &[0], "repeating_primary:where=same"), 1);
        assert!(dropped(&outcome, &[0], Reject::MalformedBatch) > 0);
    }
}
