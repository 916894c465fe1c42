//! What may be wrong with VIEW-CHANGE and NEW-VIEW.

use super::{backups, deposing, dropped, masked_in_view, named, pass};
use pbft::Reject;

/// The primaries of the first f new views.
fn new_primaries(replica_count: u32) -> Vec<u32> {
    (1..=(replica_count - 1) / 3).collect()
}

#[test]
fn a_deposed_primary_alone_costs_one_view() {
    for replica_count in [4, 7] {
        masked_in_view(&deposing(replica_count, &backups(replica_count), "honest_node"), 1);
    }
}

#[test]
fn what_f_replicas_make_up_in_their_view_changes_is_never_chosen() {
    for replica_count in [4, 7] {
        for part in ["p", "q", "pq", "c"] {
            let behaviour = format!("fabricating_node:in={part}");
            masked_in_view(&deposing(replica_count, &backups(replica_count), &behaviour), 1);
        }
    }
}

#[test]
fn an_unjustified_new_view_leads_to_the_next_view_at_once() {
    for replica_count in [4, 7] {
        let liars = new_primaries(replica_count);
        for lie in ["dropped", "null", "checkpoint"] {
            let options = deposing(replica_count, &liars, &format!("lying_new_primary:lie={lie}"));
            let outcome = masked_in_view(&options, 1 + liars.len() as u64);
            assert!(dropped(&outcome, &liars, Reject::Unjustified) > 0, "{lie}");
        }
    }
}

#[test]
fn a_new_view_with_an_invented_view_change_is_refused_at_the_door() {
    for replica_count in [4, 7] {
        let liars = new_primaries(replica_count);
        let options = deposing(replica_count, &liars, "lying_new_primary:lie=invented");
        let outcome = masked_in_view(&options, 1 + liars.len() as u64);
        assert!(dropped(&outcome, &liars, Reject::BadSignature) > 0);
    }
}

#[test]
fn two_new_views_for_one_view_convict() {
    for replica_count in [4, 7] {
        let outcome = pass(5, &deposing(replica_count, &[1], "lying_new_primary:lie=two"));
        assert_eq!(outcome.counts.convicted, named(&[1]));
    }
}
