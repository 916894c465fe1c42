//! Messages with one field changed by one.

use super::{deposing, pass, world};
use quorate_adversary::{Field, Step};

/// Replica 1 is a backup, then the primary of the view that follows.
#[test]
fn every_field_may_be_off_by_one_through_a_view_change() {
    for field in Field::ALL {
        for by in Step::ALL {
            let behaviour = format!("mutant:field={},by={}", field.name(), by.name());
            pass(5, &deposing(4, &[1], &behaviour));
        }
    }
}

#[test]
fn every_field_of_a_primary_may_be_off_by_one() {
    for field in Field::ALL.iter().filter(|field| field.name().starts_with("pre_prepare.")) {
        for by in Step::ALL {
            let behaviour = format!("mutant:field={},by={}", field.name(), by.name());
            for replica_count in [4, 7] {
                pass(5, &world(replica_count, &[0], &behaviour));
            }
        }
    }
}

#[test]
fn mutants_at_random_are_masked() {
    for (replica_count, liars) in [(4, vec![0]), (4, vec![2]), (7, vec![0, 1]), (7, vec![3, 5])] {
        for seed in 0..5 {
            pass(seed, &deposing(replica_count, &liars, "mutant"));
        }
    }
}
