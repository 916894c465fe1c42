//! The primary fails; each test asserts the view that follows.

use super::{pass, replica};
use core::time::Duration;
use quorate_lab::world::{CrashKind, Fault, Options};

#[test]
fn a_crashed_primary_is_replaced_by_the_next_replica() {
    for replica_count in [4, 5, 7, 8] {
        let mut options = Options::calm(replica_count);
        options.heals_at = Duration::from_secs(6);
        options.timeline =
            vec![(Duration::from_millis(200), Fault::Crash(replica(0), CrashKind::Power))];
        let outcome = pass(1, &options);
        assert_eq!(outcome.counts.view.get(), 1, "{replica_count} replicas");
    }
}

#[test]
fn as_many_dead_primaries_as_are_tolerated_are_passed_over() {
    for (replica_count, dead) in [(7, 2), (10, 3), (13, 4)] {
        let mut options = Options::calm(replica_count);
        options.heals_at = Duration::from_secs(30);
        options.timeline = (0..dead)
            .map(|id| (Duration::from_millis(200), Fault::Crash(replica(id), CrashKind::Power)))
            .collect();
        let outcome = pass(2, &options);
        assert_eq!(outcome.counts.view.get(), u64::from(dead), "{replica_count} replicas");
    }
}

#[test]
fn every_primary_in_turn_is_cut_off_and_the_committed_prefix_survives() {
    for replica_count in [4, 7] {
        let mut options = Options::calm(replica_count);
        options.workload.operations = 800;
        options.workload.think_max = Duration::from_millis(400);
        options.heals_at = Duration::from_secs(40);
        for turn in 0..12u32 {
            let primary = vec![replica(turn % replica_count)];
            let all = super::replicas(0..replica_count);
            let at = Duration::from_millis(u64::from(turn) * 3_000 + 100);
            options.timeline.push((at, Fault::Mend));
            options.timeline.push((at, Fault::Cut(primary.clone(), all.clone())));
            options.timeline.push((at, Fault::Cut(all, primary)));
        }
        let outcome = pass(3, &options);
        assert!(outcome.counts.view.get() >= 2);
    }
}
