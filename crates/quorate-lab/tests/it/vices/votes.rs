//! Wrong votes and wrong replies.

use super::{backups, masked, named, pass, primaries, world};

#[test]
fn another_digest_in_votes_and_claims_is_masked() {
    for phase in ["prepare", "commit", "committed"] {
        for replica_count in [4, 7] {
            let behaviour = format!("faulty_node:phase={phase}");
            masked(&world(replica_count, &primaries(replica_count), &behaviour));
            masked(&world(replica_count, &backups(replica_count), &behaviour));
        }
    }
}

#[test]
fn wrong_replies_of_f_replicas_are_masked() {
    for lie in ["changed", "withheld", "contradicted", "lost"] {
        for replica_count in [4, 7] {
            for liars in [primaries(replica_count), backups(replica_count)] {
                let mut options =
                    world(replica_count, &liars, &format!("faulty_replies_node:lie={lie}"));
                masked(&options);
                options.workload.value_bytes = 600;
                assert!(masked(&options).counts.digest_replies > 0);
            }
        }
    }
}

#[test]
fn a_node_that_is_byzantine_at_random_is_masked_as_a_backup() {
    for replica_count in [4, 7] {
        masked(&world(replica_count, &backups(replica_count), "byzantine_node"));
    }
}

#[test]
fn a_primary_that_is_byzantine_at_random_is_masked_and_not_convicted() {
    for replica_count in [4, 7] {
        let outcome = pass(5, &world(replica_count, &primaries(replica_count), "byzantine_node"));
        assert_eq!(outcome.counts.convicted, named(&[]));
        assert_eq!(outcome.counts.operations, 60);
    }
}
