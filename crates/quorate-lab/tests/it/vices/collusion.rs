//! An equivocating primary and its accomplices, who vote for both of its batches.

use super::{backups, masked, named, pass, primaries, replica, world};
use core::time::Duration;
use quorate_adversary::Behaviour;
use quorate_lab::rng::Seed;
use quorate_lab::world::{Fault, Options, Verdict, run};

fn colluding(replica_count: u32, second: &str, accomplices: &[u32]) -> Options {
    let principal = format!("equivocating_primary:second={second}");
    let mut options = world(replica_count, &[0], &principal);
    for id in accomplices {
        let behaviour = Fault::Behave(replica(*id), Behaviour::Accomplice);
        options.timeline.push((Duration::ZERO, behaviour));
    }
    options
}

#[test]
fn an_accomplice_without_a_principal_is_masked() {
    for replica_count in [4, 7] {
        masked(&world(replica_count, &primaries(replica_count), "accomplice_node"));
        masked(&world(replica_count, &backups(replica_count), "accomplice_node"));
    }
}

#[test]
fn f_colluders_are_masked_and_the_primary_is_convicted() {
    for second in ["6", "5+6", "4+5+6", "3+4+5+6"] {
        let outcome = pass(5, &colluding(7, second, &[1]));
        assert_eq!(outcome.counts.convicted, named(&[0]), "{second}");
    }
}

/// The test of the tests: beyond the budget two digests commit at one number, and that is seen.
#[test]
fn f_plus_1_colluders_break_agreement_and_are_seen() {
    for (replica_count, second, accomplices) in [(4, "3", vec![1]), (7, "5+6", vec![1, 2])] {
        let options = colluding(replica_count, second, &accomplices);
        let outcome = run(Seed::new(5), &options);
        let Verdict::Violation(violation) = &outcome.verdict else {
            panic!("{replica_count} replicas: {}", outcome.verdict)
        };
        assert_eq!(violation.property, "agreement", "{violation}");
    }
}
