//! STATUS: whatever was lost comes again, from whoever has it.

use crate::cluster::{Cluster, Envelope, seq, view, within};
use pbft::message::{Batch, Checkpoint, Kind, Status, Vote};
use pbft::{Digest, Event, Message, Reject, ReplicaId, WallTime};
use std::sync::Arc;
use std::time::Duration;

fn sent_status(cluster: &mut Cluster, from: u32) -> usize {
    cluster.take(|e| e.from == from && e.to == 0 && e.kind() == Kind::Status).len()
}

fn status_of(cluster: &Cluster, replica: u32, missing: Vec<Digest>) -> Message {
    let status = cluster.status(replica);
    Message::Status(Status {
        view: status.view,
        active: true,
        low_water_mark: status.stable_checkpoint.0,
        last_executed: status.last_executed,
        pre_prepared: Default::default(),
        prepared: Default::default(),
        committed: Default::default(),
        view_changes: Default::default(),
        new_view: view(0),
        missing,
    })
}

/// [ST1] Often while something is missing, seldom when nothing is.
#[test]
fn status_goes_out_often_only_while_something_is_missing() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(3));
    cluster.advance(Duration::from_secs(10));
    let idle = sent_status(&mut cluster, 2);
    assert!((9..=11).contains(&idle), "{idle} in ten idle seconds");
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.advance(Duration::from_millis(900));
    let busy = sent_status(&mut cluster, 2);
    assert!((8..=18).contains(&busy), "{busy} in nine tenths of a second");
}

/// [ST2] f+1 COMMITs without a PRE-PREPARE, or a higher view, are followed up soon.
#[test]
fn word_of_something_unknown_hastens_the_next_status() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(3));
    cluster.advance(Duration::from_millis(200));
    sent_status(&mut cluster, 2);
    let n = cluster.status(2).last_executed.get() + 1;
    let vote = Vote { view: view(0), seq: seq(n), digest: Digest::from_bytes([1; 32]) };
    cluster.inject(0, 2, Message::Commit(vote));
    cluster.advance(Duration::from_millis(60));
    assert_eq!(sent_status(&mut cluster, 2), 0, "one COMMIT alone is no reason");
    cluster.inject(1, 2, Message::Commit(vote));
    cluster.advance(Duration::from_millis(60));
    assert_eq!(sent_status(&mut cluster, 2), 1);
}

/// [ST3] Any single lost kind of message is made up for by STATUS, without a view change.
#[test]
fn any_lost_kind_of_message_is_made_up_for() {
    for lost in [Kind::PrePrepare, Kind::Prepare, Kind::Commit, Kind::Checkpoint] {
        let mut cluster = Cluster::new(4);
        cluster.ask(0, 1, "a");
        cluster.deliver_where(|e| e.kind() != lost);
        cluster.run(Duration::from_millis(800));
        assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3], "without {lost:?}");
        assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4], "without {lost:?}");
    }
}

/// The others have executed a request of which replica 3 knows nothing, and everything that they sent
/// meanwhile is lost.
fn cluster_in_which_3_missed_a_request() -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(within(&[0, 1, 2]));
    cluster.network.clear();
    cluster.advance(Duration::from_millis(300));
    cluster.network.clear();
    cluster
}

/// [ST4] A peer that asks all the time is answered seldom, and within its budget.
#[test]
fn peer_that_floods_with_status_is_answered_seldom() {
    let mut cluster = cluster_in_which_3_missed_a_request();
    let plea = status_of(&cluster, 3, vec![]);
    for _ in 0..100 {
        cluster.inject(3, 1, plea.clone());
    }
    let answers = cluster.take(|e| e.from == 1 && e.to == 3 && e.kind() == Kind::Repair);
    assert_eq!(answers.len(), 1);
    let refused = |(r, e): &(u32, Event)| {
        *r == 1 && matches!(e, Event::Rejected { reason: Reject::TooOften, .. })
    };
    assert!(cluster.events.iter().filter(|e| refused(e)).count() >= 99);
}

/// [ST4] STATUS of a correct peer that follow each other as soon as may be, the first of which was late
/// on its way, are both answered.
#[test]
fn status_that_comes_a_little_early_is_answered() {
    let mut cluster = cluster_in_which_3_missed_a_request();
    let plea = status_of(&cluster, 3, vec![]);
    for _ in 0..2 {
        cluster.inject(3, 1, plea.clone());
        let answers = cluster.take(|e| e.from == 1 && e.to == 3 && e.kind() == Kind::Repair);
        assert_eq!(answers.len(), 1);
        cluster.advance(Duration::from_millis(45));
        cluster.network.clear();
    }
}

/// [ST5] Any replica serves the body of a batch; an unwanted body is dropped.
#[test]
fn any_replica_serves_bodies_and_nobody_takes_unwanted_ones() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.kind() == Kind::PrePrepare && e.to == 1);
    let held = cluster.core(1).durable_records();
    let digest = held
        .iter()
        .find_map(|record| match record {
            pbft::Record::Batch(batch) => Some(batch.digest()),
            _ => None,
        })
        .unwrap();
    cluster.network.clear();
    cluster.inject(3, 1, Message::FetchBatch(digest));
    let bodies = |e: &Envelope| e.from == 1 && matches!(&*e.message, Message::Batch(_));
    assert_eq!(cluster.take(bodies).len(), 1);
    let unwanted = Batch { time: WallTime::from_millis(1), ..Batch::default() };
    cluster.inject(1, 3, Message::Batch(Arc::new(unwanted)));
    let rejected = |(r, e): &(u32, Event)| {
        *r == 3 && matches!(e, Event::Rejected { reason: Reject::Unsolicited, .. })
    };
    assert!(cluster.events.iter().any(rejected));
}

/// [C2] A PRE-PREPARE that comes after the proof that its batch is committed brings the body as
/// well as a fetched one does: nothing else need happen for the batch to be executed.
#[test]
fn late_pre_prepare_of_a_committed_number_is_executed() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    let body = |e: &Envelope| {
        let carries = e.kind() == Kind::PrePrepare || matches!(&*e.message, Message::Batch(_));
        e.to == 3 && carries
    };
    let late = cluster.take(body);
    cluster.deliver_where(|e| !body(e));
    let executed = cluster.status(0).last_executed;
    assert!(cluster.status(3).last_executed < executed, "the body is missing");
    for envelope in &late {
        cluster.deliver(envelope);
    }
    assert_eq!(cluster.status(3).last_executed, executed);
}

fn cluster_in_which_3_fetches_in_vain() -> Cluster {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=30 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(within(&[0, 1, 2]));
    }
    cluster.withhold_state();
    cluster.run(Duration::from_secs(1));
    assert!(cluster.status(3).fetching.is_some());
    cluster
}

/// [TM4] However long a replica fetches state, it does not leave the view by itself: it would be
/// alone in the next one. It goes along with f+1 others.
#[test]
fn fetching_replica_leaves_the_view_with_others_only() {
    let mut cluster = cluster_in_which_3_fetches_in_vain();
    let request = cluster.operation(1, 1, "b");
    cluster.send_request_to(3, Arc::clone(&request));
    cluster.run_where(Duration::from_secs(300), |_| false);
    assert_eq!(cluster.views(&[3]), [(0, true)]);
    for replica in [1, 2] {
        cluster.send_request_to(replica, Arc::clone(&request));
    }
    cluster.run_where(Duration::from_secs(5), within(&[1, 2, 3]));
    assert!(cluster.views(&[3])[0].0 >= 1, "{:?}", cluster.views(&[1, 2, 3]));
}

/// [TM4] What still waits when a replica has caught up has its time anew.
#[test]
fn replica_that_has_caught_up_judges_the_primary_again() {
    let mut cluster = cluster_in_which_3_fetches_in_vain();
    let request = cluster.operation(1, 1, "b");
    cluster.send_request_to(3, request);
    cluster.run_where(Duration::from_secs(60), |_| false);
    cluster.provide_state();
    let timeout = cluster.config.parameters.view_change_timeout;
    let early = Duration::from_millis(50);
    cluster.run_where(timeout - early, |e| e.kind() != Kind::Request);
    assert_eq!(cluster.status(3).fetching, None);
    assert_eq!(cluster.views(&[3]), [(0, true)]);
    cluster.run_where(2 * early, |e| e.kind() != Kind::Request);
    assert_eq!(cluster.views(&[3]), [(1, false)]);
}

/// [TM4] A replica that is behind leaves the view neither while it fetches nor between two fetches:
/// it would be alone in the next one.
#[test]
fn replica_that_knows_it_is_behind_does_not_judge_the_primary() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(1));
    let request = cluster.operation(1, 1, "b");
    cluster.send_request_to(3, request);
    let timeout = cluster.config.parameters.view_change_timeout;
    let early = Duration::from_millis(50);
    cluster.run_where(timeout - early, |_| false);
    for timestamp in 1..=4 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(within(&[0, 1, 2]));
    }
    let stable = cluster.status(0).stable_checkpoint;
    for replica in [0, 1] {
        let body = Checkpoint { seq: stable.0, id: stable.1, replica: ReplicaId::new(replica) };
        let signed = cluster.sign(replica, body);
        cluster.inject(replica, 3, Message::Checkpoint(signed));
    }
    assert_eq!(cluster.status(3).fetching, None, "there is hope that the log helps");
    cluster.run_where(2 * early, |_| false);
    assert_eq!(cluster.views(&[3]), [(0, true)]);
}
