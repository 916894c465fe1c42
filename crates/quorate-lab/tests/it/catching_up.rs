//! Replicas that fell behind the window.

use super::{pass, replica, replicas};
use core::time::Duration;
use quorate_lab::world::{CrashKind, Fault, Options};

#[test]
fn a_replica_cut_off_beyond_the_window_fetches_the_state_while_work_goes_on() {
    for replica_count in [4, 7] {
        let mut options = Options::calm(replica_count);
        options.parameters.checkpoint_period = 4;
        options.parameters.log_window = 8;
        options.workload.operations = 400;
        options.heals_at = Duration::from_secs(5);
        let (all, lagging) = (replicas(0..replica_count), vec![replica(3)]);
        options.timeline = vec![
            (Duration::from_millis(50), Fault::Cut(all.clone(), lagging.clone())),
            (Duration::from_millis(50), Fault::Cut(lagging, all)),
            (Duration::from_millis(900), Fault::Mend),
        ];
        let outcome = pass(1, &options);
        assert!(outcome.counts.events.contains_key("state transferred"));
    }
}

#[test]
fn a_replica_that_crashes_while_it_fetches_state_starts_again_cleanly() {
    for at in (0..30).map(|step| Duration::from_millis(900 + step * 5)) {
        let mut options = Options::calm(4);
        options.parameters.checkpoint_period = 4;
        options.parameters.log_window = 8;
        options.workload.operations = 300;
        options.heals_at = Duration::from_secs(4);
        let down = Fault::Crash(replica(3), CrashKind::Power);
        options.timeline = vec![
            (Duration::from_millis(50), down.clone()),
            (Duration::from_millis(850), Fault::Restart(replica(3))),
            (at, Fault::Crash(replica(3), CrashKind::Torn)),
            (at + Duration::from_millis(100), Fault::Restart(replica(3))),
        ];
        pass(1, &options);
    }
}
