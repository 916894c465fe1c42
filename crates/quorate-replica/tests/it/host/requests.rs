//! Clients and their windows.

use super::cluster::Cluster;
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
