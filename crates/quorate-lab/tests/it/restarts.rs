//! Crashes at every write and every sync, and restarts of everybody at once.

use super::{pass, replica};
use core::time::Duration;
use quorate_lab::world::{CrashKind, Fault, Options};

/// Another way to go down for each number.
fn kind(number: u64) -> CrashKind {
    match number % 3 {
        0 => CrashKind::Process,
        1 => CrashKind::Power,
        _ => CrashKind::Torn,
    }
}

/// Little work, but checkpoints, snapshots and new segments of the journal in it.
fn small() -> Options {
    let mut options = Options::calm(4);
    options.parameters.checkpoint_period = 2;
    options.parameters.log_window = 8;
    options.workload.operations = 16;
    options.workload.clients = 2;
    options.heals_at = Duration::from_secs(3);
    options.snapshot_policy.interval = Duration::from_millis(30);
    options
}

/// Crashes `id` at every operation of its disk, and starts it again a little later.
fn crash_everywhere(id: u32) {
    let undisturbed = pass(7, &small()).counts.disk_operations[id as usize];
    assert!(undisturbed > 30);
    for operation in 1..=undisturbed {
        let mut options = small();
        options.timeline = vec![
            (Duration::ZERO, Fault::CrashAt(replica(id), operation, kind(operation))),
            (Duration::from_millis(700), Fault::Restart(replica(id))),
        ];
        pass(7, &options);
    }
}

#[test]
fn the_primary_may_crash_at_any_write_or_sync() {
    crash_everywhere(0);
}

#[test]
fn a_backup_may_crash_at_any_write_or_sync() {
    crash_everywhere(2);
}

#[test]
fn a_replica_may_crash_at_any_write_or_sync_of_a_view_change() {
    let with_dead_primary = |mut options: Options| {
        options
            .timeline
            .push((Duration::from_millis(30), Fault::Crash(replica(0), CrashKind::Power)));
        options.heals_at = Duration::from_secs(4);
        options
    };
    let undisturbed = pass(7, &with_dead_primary(small())).counts.disk_operations[1];
    for operation in 1..=undisturbed {
        let mut options = with_dead_primary(small());
        options
            .timeline
            .push((Duration::ZERO, Fault::CrashAt(replica(1), operation, kind(operation))));
        options.timeline.push((Duration::from_millis(1_500), Fault::Restart(replica(1))));
        pass(7, &options);
    }
}

#[test]
fn when_all_lose_power_at_once_everything_acknowledged_survives() {
    for seed in 0..20 {
        let mut options = Options::calm(4);
        options.heals_at = Duration::from_secs(6);
        options.workload.think_max = Duration::from_millis(100);
        for round in 0..3u64 {
            let down = Duration::from_millis(300 + 1_500 * round + 7 * seed);
            for id in (0..4).map(replica) {
                options.timeline.push((down, Fault::Crash(id, kind(seed + round))));
                let up = down + Duration::from_millis(200 + u64::from(id.get()) * 50);
                options.timeline.push((up, Fault::Restart(id)));
            }
        }
        pass(seed, &options);
    }
}

#[test]
fn replicas_that_keep_crashing_one_after_the_other_lose_nothing() {
    for replica_count in [4, 7] {
        let mut options = Options::calm(replica_count);
        options.heals_at = Duration::from_secs(20);
        options.workload.think_max = Duration::from_millis(500);
        for round in 0..18u32 {
            let id = replica(round % replica_count);
            let down = Duration::from_secs(1) * round + Duration::from_millis(100);
            options.timeline.push((down, Fault::Crash(id, CrashKind::Torn)));
            options.timeline.push((down + Duration::from_millis(600), Fault::Restart(id)));
        }
        pass(1, &options);
    }
}
