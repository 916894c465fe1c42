//! Short stories told to several replicas.

use crate::cluster::{Cluster, within};
use pbft::Event;
use pbft::message::Kind;
use std::time::Duration;

/// The normal case: every replica answers, and nothing but the three phases was needed.
#[test]
fn request_is_executed_by_all_replicas_in_three_phases() {
    for replica_count in [4, 5, 6, 7, 8, 10, 13] {
        let mut cluster = Cluster::new(replica_count);
        cluster.ask(0, 1, "a");
        let mut kinds = std::collections::BTreeMap::new();
        while let Some(envelope) = cluster.network.pop_front() {
            *kinds.entry(envelope.kind()).or_insert(0) += 1;
            cluster.deliver(&envelope);
        }
        let everyone: Vec<u32> = cluster.ids().collect();
        assert_eq!(cluster.answered(0, 1, "a"), everyone);
        let n = replica_count;
        assert_eq!(kinds[&Kind::PrePrepare], n - 1);
        assert_eq!(kinds[&Kind::Prepare], (n - 1) * (n - 1));
        assert_eq!(kinds[&Kind::Commit], n * (n - 1));
        cluster.assert_agreement();
    }
}

/// f backups that are silent from the start do not matter.
#[test]
fn requests_complete_although_f_backups_are_silent() {
    for (replica_count, silent) in [(4, vec![3]), (7, vec![5, 6])] {
        let mut cluster = Cluster::new(replica_count);
        let speaking: Vec<u32> = cluster.ids().filter(|id| !silent.contains(id)).collect();
        for timestamp in 1..=20 {
            cluster.ask(0, timestamp, "a");
            cluster.deliver_where(within(&speaking));
            assert_eq!(cluster.answered(0, timestamp, "a"), speaking);
        }
        assert_eq!(cluster.status(0).stable_checkpoint.0.get(), 24);
        assert_eq!(cluster.views(&speaking), vec![(0, true); speaking.len()]);
    }
}

/// A silent primary is replaced, and the request that waited is executed once.
#[test]
fn silent_primary_is_replaced_and_the_waiting_request_executed_once() {
    for replica_count in [4, 7] {
        let mut cluster = Cluster::new(replica_count);
        let others: Vec<u32> = (1..replica_count).collect();
        cluster.ask(0, 1, "a");
        cluster.run_where(Duration::from_millis(1500), within(&others));
        assert_eq!(cluster.answered(0, 1, "a"), others);
        assert_eq!(cluster.views(&others), vec![(1, true); others.len()]);
        let executions = cluster
            .events
            .iter()
            .filter(|(r, event)| {
                *r == 1 && matches!(event, Event::Executed { requests, .. } if *requests > 0)
            })
            .count();
        assert_eq!(executions, 1);
        cluster.assert_agreement();
    }
}

/// A replica that was cut off past the window catches up by state transfer once it is back, and
/// votes again.
#[test]
fn replica_cut_off_past_the_window_catches_up_by_state_transfer() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=40 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(within(&[0, 1, 2]));
    }
    assert!(cluster.status(3).last_executed.get() <= 4);
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.status(3).last_executed, cluster.status(0).last_executed);
    let fetched = |(r, e): &(u32, Event)| *r == 3 && matches!(e, Event::StateTransferred { .. });
    assert!(cluster.events.iter().any(fetched));
    cluster.ask(0, 41, "b");
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 41, "b"), [0, 1, 2, 3]);
    cluster.assert_agreement();
}

/// All replicas lose power at once: what was answered is there when they are back.
#[test]
fn everything_answered_survives_a_power_failure_of_all_replicas() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=10 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_all();
    }
    let before = cluster.history(0).to_vec();
    for replica in cluster.ids() {
        cluster.crash(replica);
    }
    for replica in cluster.ids() {
        cluster.start(replica);
    }
    cluster.run(Duration::from_secs(1));
    for replica in cluster.ids() {
        assert_eq!(cluster.history(replica), before);
    }
    cluster.ask(0, 11, "b");
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.answered(0, 11, "b"), [0, 1, 2, 3]);
}
