//! Clients that lie.

use super::{AT_WORK, masked, masked_in_view, replica, world};
use core::time::Duration;
use quorate_lab::world::{ClientLie, CrashKind, Fault, Options};

fn with_liars(replica_count: u32, lies: &[ClientLie]) -> Options {
    let mut options = Options::calm(replica_count);
    options.lying_clients = lies.to_vec();
    // As long as they lie.
    options.heals_at = Duration::from_secs(1);
    options.workload.think_max = Duration::from_millis(50);
    options
}

/// Of two operations under one timestamp at most one is executed, and none makes a backup wait
/// in vain.
#[test]
fn two_operations_under_one_timestamp_are_masked() {
    for replica_count in [4, 7] {
        masked(&with_liars(replica_count, &[ClientLie::TwoOperations; 2]));
    }
}

#[test]
fn requests_to_the_primary_only_are_ordered_like_others() {
    for replica_count in [4, 7] {
        masked(&with_liars(replica_count, &[ClientLie::PrimaryOnly; 2]));
    }
}

/// A request that only the primary had is gone with it, or was proposed and is in the log.
#[test]
fn lying_clients_do_not_delay_the_replacement_of_a_primary() {
    for replica_count in [4, 7] {
        let lies = [ClientLie::TwoOperations, ClientLie::PrimaryOnly];
        let mut options = with_liars(replica_count, &lies);
        options.timeline = vec![(AT_WORK, Fault::Crash(replica(0), CrashKind::Power))];
        masked_in_view(&options, 1);
    }
}

#[test]
fn a_lying_client_and_a_lying_primary_are_masked_together() {
    for replica_count in [4, 7] {
        let mut options = world(replica_count, &[0], "repeating_primary:where=later");
        options.lying_clients = vec![ClientLie::TwoOperations];
        masked(&options);
    }
}
