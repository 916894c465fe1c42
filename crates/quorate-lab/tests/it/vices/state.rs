//! Lies about the state, and lost memories.

use super::{
    AT_WORK, backups, dropped, masked, masked_in_view, named, pass, primaries, replica, replicas,
    world,
};
use core::time::Duration;
use pbft::Reject;
use quorate_lab::world::{Fault, Options};

#[test]
fn checkpoints_of_another_state_make_nobody_doubt() {
    for replica_count in [4, 7] {
        for liars in [primaries(replica_count), backups(replica_count)] {
            let outcome = masked(&world(replica_count, &liars, "diverging_node"));
            assert!(outcome.counts.events.contains_key("checkpoint stable"));
        }
    }
}

/// The last replica falls behind the window and has to fetch the state. It asks the liars first.
fn fetching(replica_count: u32, behaviour: &str) -> (Options, Vec<u32>) {
    let liars = primaries(replica_count);
    let mut options = world(replica_count, &liars, behaviour);
    options.parameters.checkpoint_period = 4;
    options.parameters.log_window = 8;
    options.workload.operations = 300;
    options.heals_at = Duration::from_secs(1);
    let (all, lagging) = (replicas(0..replica_count), vec![replica(replica_count - 1)]);
    options.timeline.push((AT_WORK, Fault::Cut(all.clone(), lagging.clone())));
    options.timeline.push((AT_WORK, Fault::Cut(lagging, all)));
    (options, liars)
}

#[test]
fn a_state_is_fetched_although_f_servers_lie() {
    for replica_count in [4, 7] {
        for (lie, reason) in [
            ("changed", Reject::WrongDigest),
            ("swapped", Reject::WrongDigest),
            ("endless", Reject::Unsolicited),
            ("oversized", Reject::WrongDigest),
        ] {
            let (options, liars) =
                fetching(replica_count, &format!("lying_state_server:lie={lie}"));
            let outcome = masked(&options);
            assert!(outcome.counts.events.contains_key("state transferred"), "{lie}");
            assert!(dropped(&outcome, &liars, reason) > 0, "{lie}");
        }
    }
}

/// The disk is set back to before the last start. What comes after that is in `rejoin.rs`.
fn forgetting(replica_count: u32, forgetful: &[u32]) -> Options {
    let mut options = world(replica_count, &[], "honest_node");
    options.heals_at = Duration::from_millis(1_100);
    for id in forgetful.iter().map(|id| replica(*id)) {
        let (before, after) = (Duration::from_millis(10), Duration::from_millis(20));
        options.timeline.push((before, Fault::Copy(id)));
        options.timeline.push((after, Fault::Restart(id)));
        options.timeline.push((AT_WORK, Fault::RollBack(id)));
        options.timeline.push((AT_WORK + Duration::from_millis(50), Fault::Restart(id)));
    }
    options
}

/// A rejoin leads to the second view above the one the others are in, or to the third if the
/// primary of the second is the one that rejoins. A primary that is gone costs one before.
#[test]
fn replicas_whose_disks_were_rolled_back_are_found_out_and_rejoin() {
    for replica_count in [4, 7] {
        for (forgetful, view) in [(vec![0], 3), (vec![1], 2), (vec![2], 3)] {
            let outcome = masked_in_view(&forgetting(replica_count, &forgetful), view);
            assert!(outcome.counts.events.contains_key("halted"));
            assert!(outcome.counts.events.contains_key("rejoin executed"));
        }
    }
}

#[test]
fn f_replicas_whose_disks_were_rolled_back_together_rejoin() {
    for replica_count in [4, 7] {
        let outcome = pass(5, &forgetting(replica_count, &backups(replica_count)));
        assert_eq!(outcome.counts.convicted, named(&[]));
        assert!(outcome.counts.events.contains_key("rejoin executed"));
    }
}
