//! Whom the protocol itself suspects of a vice, from what it saw.

use super::{backups, named, pass, primaries, world};
use pbft::ReplicaId;
use quorate_adversary::Behaviour;
use std::collections::BTreeSet;

fn suspects(replica_count: u32, liars: &[u32], vice: &str) -> BTreeSet<ReplicaId> {
    let outcome = pass(14, &world(replica_count, liars, vice));
    outcome.culprits.iter().map(|culprit| culprit.replica).collect()
}

/// Whatever the liars do, and wherever they stand.
#[test]
fn no_correct_replica_is_suspected() {
    for mut vice in Behaviour::vices() {
        if let Behaviour::DosAttacker { factor } | Behaviour::Flooding { factor } = &mut vice {
            *factor = 3;
        }
        for replica_count in [4, 7] {
            for liars in [primaries(replica_count), backups(replica_count)] {
                let suspects = suspects(replica_count, &liars, &vice.to_string());
                assert!(suspects.is_subset(&named(&liars)), "{vice}: {suspects:?}");
            }
        }
    }
}

#[test]
fn what_is_seen_by_f_plus_1_or_by_a_client_makes_suspect_wherever_the_liar_stands() {
    let vices = [
        "non_responding_node",
        "faulty_replies_node",
        "byzantine_node",
        "forging_node",
        "garbage_node",
        "mutant",
    ];
    for vice in vices {
        for replica_count in [4, 7] {
            for liars in [primaries(replica_count), backups(replica_count)] {
                assert_eq!(suspects(replica_count, &liars, vice), named(&liars), "{vice}");
            }
        }
    }
    for phase in ["prepare", "commit"] {
        for replica_count in [4, 7] {
            let (liars, vice) = (backups(replica_count), format!("faulty_node:phase={phase}"));
            assert_eq!(suspects(replica_count, &liars, &vice), named(&liars), "{vice}");
        }
    }
}

#[test]
fn a_primary_that_is_replaced_is_suspected() {
    for vice in ["slow_nodes:delay=2s", "faulty_primary", "starving_primary:client=0"] {
        for replica_count in [4, 7] {
            let liars = primaries(replica_count);
            assert_eq!(suspects(replica_count, &liars, vice), named(&liars), "{vice}");
        }
    }
    for vice in [
        "jumping_primary",
        "repeating_primary:where=same",
        "equivocating_primary",
        "slow_primary:percent=80",
    ] {
        for replica_count in [4, 7] {
            assert_eq!(suspects(replica_count, &[0], vice), named(&[0]), "{vice}");
        }
    }
}

/// Nothing in this version is held against who breaks no rule, or breaks one that nobody sees.
#[test]
fn what_breaks_no_rule_makes_nobody_suspect() {
    for vice in ["isolating_primary", "repeating_primary:where=later"] {
        for replica_count in [4, 7] {
            assert_eq!(suspects(replica_count, &[0], vice), named(&[]), "{vice}");
        }
    }
}
