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
    for replica_count in [4, 7] {
        masked(&world(replica_count, &primaries(replica_count), "faulty_replies_node"));
        masked(&world(replica_count, &backups(replica_count), "faulty_replies_node"));
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
