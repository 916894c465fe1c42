//! Clients and their windows.

use super::cluster::{Cluster, replica};
use pbft::message::Outcome;
use std::time::Duration;

/// [CL6]
#[test]
fn client_whose_window_is_full_moves_it_with_its_next_request() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    let window = cluster.config.parameters.client_window;
    for _ in 0..window {
        cluster.operate();
    }
    let beyond = cluster.submit_operation();
    cluster.pass(Duration::from_secs(3));
    assert!(!cluster.agreed_outcomes().contains_key(&beyond));
    cluster.acknowledge_below(beyond);
    let Outcome::Executed(results) = cluster.operate() else { panic!("the window has moved") };
    assert!(results[0].starts_with(format!("{}: ", window + 1).as_bytes()));
}

/// [RQ2] [EX2]
#[test]
fn repeated_request_is_answered_from_the_cache_and_not_executed_again() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    let timestamp = cluster.submit_operation();
    let outcome = cluster.await_outcome(timestamp);
    cluster.settle();
    let executed = cluster.status(0).last_executed;
    for _ in 0..3 {
        cluster.transmit(timestamp, &[0, 1, 2, 3]);
        cluster.settle();
    }
    assert_eq!(cluster.await_outcome(timestamp), outcome);
    assert_eq!(cluster.status(0).last_executed, executed);
    assert_eq!(cluster.log_of(0).len(), 1);
}

/// [DR2] [DR3] One replica sends the whole result and the others its digest, until they are asked
/// again.
#[test]
fn long_result_comes_whole_from_the_replica_named_and_from_all_if_they_are_asked_again() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    let timestamp = cluster.submit_long_operation(2, 600);
    cluster.settle();
    let whole_of = |cluster: &Cluster| -> Vec<u32> {
        let gave = |id: &u32| cluster.outcomes_of(*id).contains_key(&timestamp);
        (0..4).filter(gave).collect()
    };
    assert_eq!(whole_of(&cluster), [2]);
    let outcomes = cluster.outcomes_of(2)[&timestamp].clone();
    let outcome = outcomes.first().unwrap();
    assert!(matches!(outcome, Outcome::Executed(results) if results[0].len() > 600));
    let mut digests = std::mem::take(&mut cluster.digests);
    digests.sort_unstable();
    let vouched = [0, 1, 3].map(|id| (timestamp, replica(id), outcome.digest()));
    assert_eq!(digests, vouched);
    cluster.transmit(timestamp, &[0, 1, 2, 3]);
    cluster.settle();
    assert_eq!((whole_of(&cluster), cluster.digests.len()), (vec![0, 1, 2, 3], 0));
    assert!((0..4).all(|id| cluster.outcomes_of(id)[&timestamp] == outcomes));
    cluster.submit_long_operation(2, 100);
    cluster.submit_long_operation(2, cluster.config.parameters.cached_long_replies_bytes_max);
    cluster.settle();
    assert_eq!(cluster.digests, [], "one is too short for it, and one too long to be kept");
}
