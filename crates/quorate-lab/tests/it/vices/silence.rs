//! Saying too little or too late.

use super::{backups, masked, masked_in_view, pass, primaries, world};
use core::time::Duration;

#[test]
fn silence_to_some_replicas_is_masked_at_a_backup() {
    for replica_count in [4, 7] {
        for behaviour in ["selectively_silent_node", "selectively_silent_node:to=0+1"] {
            masked(&world(replica_count, &backups(replica_count), behaviour));
        }
    }
}

#[test]
fn silence_of_one_kind_is_masked_at_a_backup() {
    for replica_count in [4, 7] {
        for kinds in ["prepare", "commit", "checkpoint+status", "reply", "hello"] {
            let behaviour = format!("selectively_silent_node:kinds={kinds}");
            masked(&world(replica_count, &backups(replica_count), &behaviour));
        }
    }
}

#[test]
fn a_primary_that_sends_no_pre_prepare_to_anybody_is_replaced() {
    for replica_count in [4, 7] {
        let liars = primaries(replica_count);
        let behaviour = "selectively_silent_node:kinds=pre_prepare";
        masked_in_view(&world(replica_count, &liars, behaviour), liars.len() as u64);
    }
}

/// Work that goes on while it has time for many a REJOIN. Each liar has its way once; where they are
/// the first primaries, their views are left as well.
#[test]
fn a_replica_that_rejoins_again_and_again_has_its_view_left_once() {
    for replica_count in [4, 7] {
        for liars in [backups(replica_count), primaries(replica_count)] {
            let mut options = world(replica_count, &liars, "rejoining_node");
            options.workload.operations = 600;
            options.workload.think_max = Duration::from_millis(60);
            options.heals_at = Duration::from_secs(6);
            let outcome = pass(5, &options);
            let deposed = liars.iter().filter(|id| **id < 2).count();
            let views = outcome.counts.view.get();
            let (least, most) = (liars.len() as u64, (liars.len() + deposed) as u64);
            assert!((least..=most).contains(&views), "{liars:?}: {views}");
            assert!(outcome.counts.convicted.is_empty());
        }
    }
}

#[test]
fn slow_replies_and_slow_backups_are_masked() {
    for replica_count in [4, 7] {
        let liars = backups(replica_count);
        masked(&world(replica_count, &liars, "slow_nodes:delay=20s,where=reply"));
        masked(&world(replica_count, &liars, "slow_nodes:delay=20s,where=all"));
    }
}

#[test]
fn a_slow_primary_is_replaced() {
    for replica_count in [4, 7] {
        let liars = primaries(replica_count);
        masked_in_view(&world(replica_count, &liars, "slow_nodes:delay=2s"), liars.len() as u64);
    }
}

#[test]
fn a_primary_just_under_the_timeout_is_replaced_where_a_floor_is_asked_for() {
    for replica_count in [4, 7] {
        let mut options = world(replica_count, &[0], "slow_primary:percent=80");
        masked_in_view(&options, 1);
        let honest = masked(&world(replica_count, &[0], "honest_node"));
        options.parameters.throughput_floor = false;
        let slow = masked(&options);
        assert!(slow.ended.since(honest.ended) > Duration::from_secs(2), "{:?}", slow.ended);
    }
}
