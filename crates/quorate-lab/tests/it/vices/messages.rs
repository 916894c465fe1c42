//! Messages that should not be: forged, replayed, from a far view, no messages at all, or too many.

use super::{backups, dropped, masked, primaries, world};
use core::time::Duration;
use pbft::Reject;

#[test]
fn forged_names_are_refused_at_the_door_and_convict_nobody() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            for behaviour in ["forging_node", "forging_node:victim=2"] {
                let outcome = masked(&world(replica_count, &liars, behaviour));
                assert!(dropped(&outcome, &liars, Reject::BadSignature) > 0);
                assert!(dropped(&outcome, &liars, Reject::ForgedSender) > 0);
            }
        }
    }
}

#[test]
fn replayed_messages_of_this_epoch_and_another_are_dropped() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            let mut options = world(replica_count, &liars, "replaying_node");
            // It signs few messages: enough for one of them to be replayed in another epoch.
            options.workload.operations = 300;
            let outcome = masked(&options);
            for reason in [Reject::Duplicate, Reject::WrongEpoch, Reject::BadSignature] {
                assert!(dropped(&outcome, &liars, reason) > 0, "{reason:?}");
            }
        }
    }
}

#[test]
fn nobody_follows_f_replicas_into_a_huge_view() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            masked(&world(replica_count, &liars, "huge_view_node"));
        }
        let liars = backups(replica_count);
        let beyond = format!("huge_view_node:view={}", u64::MAX);
        let outcome = masked(&world(replica_count, &liars, &beyond));
        assert!(dropped(&outcome, &liars, Reject::OutOfRange) > 0);
    }
}

#[test]
fn garbage_is_dropped() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            let outcome = masked(&world(replica_count, &liars, "garbage_node"));
            assert!(dropped(&outcome, &liars, Reject::Undecodable) > 0);
            assert!(dropped(&outcome, &liars, Reject::UnknownVersion) > 0);
        }
    }
}

#[test]
fn what_is_said_many_times_counts_once() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            let outcome = masked(&world(replica_count, &liars, "dos_attacker:factor=5"));
            assert!(dropped(&outcome, &liars, Reject::Duplicate) > 0);
        }
    }
}

#[test]
fn a_flood_of_questions_is_answered_seldom_and_delays_nothing() {
    for replica_count in [4, 7] {
        let quiet = masked(&world(replica_count, &[], "honest_node"));
        for liars in [primaries(replica_count), backups(replica_count)] {
            let outcome = masked(&world(replica_count, &liars, "flooding_node:factor=4"));
            assert!(dropped(&outcome, &liars, Reject::TooOften) > 0);
            // No request waited for as long as the timeout.
            assert!(outcome.ended.since(quiet.ended) < Duration::from_millis(500));
        }
    }
}
