//! Networks that lose, repeat, reorder and split.

use super::{pass, replica, replicas};
use core::time::Duration;
use quorate_lab::network::{Delay, NetworkOptions};
use quorate_lab::world::{Fault, Options};

#[test]
fn duplication_and_reordering_alone_cause_no_view_change() {
    for replica_count in [4, 7] {
        let mut options = Options::calm(replica_count);
        options.heals_at = Duration::from_secs(4);
        options.network = NetworkOptions {
            delay: Delay { max: Duration::from_millis(10), ..NetworkOptions::LOCAL.delay },
            duplicate_per_million: 300_000,
            reorders: true,
            ..NetworkOptions::LOCAL
        };
        assert_eq!(pass(1, &options).counts.view.get(), 0);
    }
}

#[test]
fn a_wide_and_lossy_network_is_survived() {
    for replica_count in [4, 5, 7, 10] {
        let mut options = Options::calm(replica_count);
        options.network = NetworkOptions::WIDE_AND_LOSSY;
        options.heals_at = Duration::from_secs(20);
        pass(u64::from(replica_count), &options);
    }
}

#[test]
fn a_replica_that_hears_nothing_for_a_while_catches_up() {
    for replica_count in [4, 7] {
        let mut options = Options::calm(replica_count);
        options.heals_at = Duration::from_secs(12);
        options.workload.think_max = Duration::from_millis(300);
        options.timeline = vec![
            (Duration::from_millis(100), Fault::Cut(replicas(0..replica_count), vec![replica(2)])),
            (Duration::from_secs(10), Fault::Mend),
        ];
        let outcome = pass(3, &options);
        assert!(outcome.counts.recovery < Duration::from_secs(5));
    }
}

#[test]
fn a_cluster_split_into_two_halves_stands_still_and_then_goes_on() {
    for replica_count in [4, 6, 8] {
        let mut options = Options::calm(replica_count);
        let (one, other) =
            (replicas(0..replica_count / 2), replicas(replica_count / 2..replica_count));
        options.heals_at = Duration::from_secs(10);
        options.timeline = vec![
            (Duration::from_millis(150), Fault::Cut(one.clone(), other.clone())),
            (Duration::from_millis(150), Fault::Cut(other, one)),
        ];
        let outcome = pass(u64::from(replica_count), &options);
        assert!(outcome.counts.recovery < Duration::from_secs(30), "{:?}", outcome.counts.recovery);
    }
}

#[test]
fn backups_that_reach_only_the_primary_resume_when_the_network_heals_without_a_new_request() {
    let mut options = Options::calm(4);
    options.workload.operations = 6;
    options.heals_at = Duration::from_secs(8);
    for backup in 1..4 {
        let others = (1..4).filter(|other| *other != backup).map(replica).collect();
        options.timeline.push((Duration::ZERO, Fault::Cut(vec![replica(backup)], others)));
    }
    pass(5, &options);
}
