//! PRE-PREPARE, PREPARE, COMMIT, and execution.

use crate::cluster::{Cluster, Envelope, HOUR, seq, view, work};
use pbft::message::{Batch, Kind, PrePrepare, Vote};
use pbft::{
    Digest, Event, Message, Record, Reject, ReplicaId, Sender, SignedRequest, WallTime, wire,
};
use std::sync::Arc;
use std::time::Duration;

/// A batch whose time is near the cluster's.
pub(crate) fn batch_of(
    cluster: &Cluster,
    salt: u8,
    requests: Vec<Arc<SignedRequest>>,
) -> Arc<Batch> {
    let time = WallTime::from_millis(cluster.now.as_micros() / 1000);
    Arc::new(Batch { time, choice: vec![salt], requests, rejoins: vec![] })
}

fn pre_prepare(cluster: &Cluster, view_number: u64, n: u64, batch: &Arc<Batch>) -> Message {
    let body = PrePrepare { view: view(view_number), seq: seq(n), digest: batch.digest() };
    let primary = (view_number % u64::from(cluster.config.replica_count())) as u32;
    Message::PrePrepare(cluster.sign(primary, body), Arc::clone(batch))
}

/// The primary, played by the test, orders a batch at all backups; its own votes come too.
pub(crate) fn order(cluster: &mut Cluster, n: pbft::SeqNum, batch: &Arc<Batch>) {
    for backup in 1..cluster.config.replica_count() {
        let message = pre_prepare(cluster, 0, n.get(), batch);
        cluster.inject(0, backup, message);
    }
    let vote = Vote { view: view(0), seq: n, digest: batch.digest() };
    for backup in 1..cluster.config.replica_count() {
        cluster.inject(0, backup, Message::Commit(vote));
    }
    cluster.deliver_where(|e| e.to != 0);
}

/// [Q1] One replica alone agrees with itself, takes checkpoints, and comes back with its memory.
#[test]
fn one_replica_alone_orders_and_executes() {
    let mut cluster = Cluster::new(1);
    for timestamp in 1..=9 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_all();
        assert_eq!(cluster.answered(0, timestamp, "a"), [0]);
    }
    assert!(cluster.status(0).stable_checkpoint.0 >= seq(8));
    cluster.crash(0);
    cluster.start(0);
    cluster.run(Duration::from_secs(1));
    cluster.ask(0, 10, "b");
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 10, "b"), [0]);
}

fn last_reject(cluster: &Cluster, replica: u32) -> Option<Reject> {
    cluster.events.iter().rev().find_map(|(r, event)| match event {
        Event::Rejected { reason, .. } if *r == replica => Some(*reason),
        _ => None,
    })
}

fn votes_in_flight(cluster: &mut Cluster, from: u32, kind: Kind) -> Vec<Vote> {
    let taken = cluster.take(|e| e.from == from && e.kind() == kind);
    let mut votes: Vec<Vote> = taken
        .iter()
        .filter_map(|e| match &*e.message {
            Message::Prepare(vote) | Message::Commit(vote) => Some(*vote),
            _ => None,
        })
        .collect();
    votes.dedup();
    votes
}

fn next(cluster: &Cluster) -> u64 {
    cluster.status(1).last_executed.get() + 1
}

/// [PP1] The primary assigns dense numbers, at most W of them in flight.
#[test]
fn primary_assigns_dense_numbers_and_keeps_at_most_w_in_flight() {
    let mut cluster = Cluster::new(4);
    let first = next(&cluster);
    for timestamp in 1..=10 {
        cluster.ask(0, timestamp, "a");
    }
    let sent = cluster.take(|e| e.kind() == Kind::PrePrepare && e.to == 1);
    let numbers: Vec<u64> = sent
        .iter()
        .filter_map(|e| match &*e.message {
            Message::PrePrepare(signed, _) => Some(signed.body.seq.get()),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (first..first + 4).collect::<Vec<_>>());
}

/// [PP2] Only in the view in which the backup is active, only inside the window, and only signed by
/// the primary of that view, whoever delivers it.
#[test]
fn backup_accepts_pre_prepare_only_in_its_view_and_window_and_from_its_primary() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![]);
    let of_view_1 = pre_prepare(&cluster, 1, n, &batch);
    cluster.inject(1, 2, of_view_1);
    assert_eq!(last_reject(&cluster, 2), Some(Reject::WrongView));
    let high = cluster.status(2).stable_checkpoint.0.get() + 16;
    let above = pre_prepare(&cluster, 0, high + 1, &batch);
    cluster.inject(0, 2, above);
    assert_eq!(last_reject(&cluster, 2), Some(Reject::OutsideWindow));
    let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
    let usurped = Message::PrePrepare(cluster.sign(3, body), Arc::clone(&batch));
    let sender = Sender::Replica(ReplicaId::new(3));
    assert_eq!(cluster.config.admit(sender, usurped), Err(Reject::NotThePrimary));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare), []);
    let relayed = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(3, 2, relayed);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare), [vote]);
}

/// [PP3] The first proposal stays; a second one with another digest changes nothing but the
/// replica's opinion of the primary.
#[test]
fn second_pre_prepare_for_a_number_never_replaces_the_first() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let (first, second) = (batch_of(&cluster, 1, vec![]), batch_of(&cluster, 2, vec![]));
    let message = pre_prepare(&cluster, 0, n, &first);
    cluster.inject(0, 2, message);
    let message = pre_prepare(&cluster, 0, n, &second);
    cluster.inject(0, 2, message);
    let votes = votes_in_flight(&mut cluster, 2, Kind::Prepare);
    assert_eq!(votes.iter().map(|vote| vote.digest).collect::<Vec<_>>(), [first.digest()]);
    assert_eq!(cluster.evidence.len(), 1);
}

/// [PP4] The digest is recomputed, and moving the boundary between its parts changes it.
#[test]
fn digest_is_recomputed_and_its_encoding_injective() {
    let cluster = Cluster::new(4);
    let honest = batch_of(&cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let body = PrePrepare { view: view(0), seq: seq(9), digest: Digest::from_bytes([9; 32]) };
    let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(&honest));
    let sender = Sender::Replica(ReplicaId::new(0));
    assert_eq!(cluster.config.admit(sender, message), Err(Reject::WrongDigest));
    // A choice made of a request's digest must not pass for the request.
    let request = cluster.operation(0, 1, "a");
    let choice = request.digest().as_bytes().to_vec();
    let time = honest.time;
    let with_request = Batch { time, choice: vec![], requests: vec![request], rejoins: vec![] };
    let with_choice = Batch { time, choice, requests: vec![], rejoins: vec![] };
    assert_ne!(with_request.digest(), with_choice.digest());
}

/// [PP5] A batch is judged by itself: one request twice, or one with a bad signature, condemns it.
#[test]
fn malformed_batch_is_refused_at_the_door() {
    let cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    let twice = batch_of(&cluster, 1, vec![Arc::clone(&request), Arc::clone(&request)]);
    let sender = Sender::Replica(ReplicaId::new(0));
    let message = pre_prepare(&cluster, 0, 9, &twice);
    assert_eq!(cluster.config.admit(sender, message), Err(Reject::MalformedBatch));
    let mut bytes = wire::encode(cluster.config.domain.epoch, &Message::Request(request));
    let last = bytes.len() - 1;
    bytes[last - 40] ^= 1;
    let Ok(Message::Request(forged)) = wire::decode(cluster.config.domain.epoch, &bytes) else {
        panic!("still a request");
    };
    let poisoned = batch_of(&cluster, 1, vec![cluster.operation(1, 1, "b"), forged]);
    let message = pre_prepare(&cluster, 0, 9, &poisoned);
    assert_eq!(cluster.config.admit(sender, message), Err(Reject::BadSignature));
}

/// [PP6] A proposal for the time far from the backup's clock gets no PREPARE.
#[test]
fn backup_does_not_vote_for_a_time_far_from_its_clock() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let skew = cluster.config.parameters.clock_skew_max;
    let honest = batch_of(&cluster, 1, vec![]);
    let late = u64::try_from(skew.as_millis()).unwrap() + 1;
    let time = WallTime::from_millis(honest.time.as_millis() + late);
    let skewed = Arc::new(Batch { time, ..(*honest).clone() });
    let message = pre_prepare(&cluster, 0, n, &skewed);
    cluster.inject(0, 2, message);
    assert_eq!(last_reject(&cluster, 2), Some(Reject::ClockSkew));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare), []);
}

/// [PP6] Where the clocks of all were ahead and were set back, the cluster goes on with the time
/// that it had, and nobody believes a later one.
#[test]
fn clocks_that_were_ahead_and_are_set_back_stop_nobody() {
    let mut cluster = Cluster::new(4);
    let hour = HOUR;
    cluster.set_clocks([hour; 4]);
    cluster.ask(0, 1, "a");
    cluster.run(Duration::from_millis(100));
    let told = cluster.core(2).status().last_executed;
    cluster.set_clocks([Duration::ZERO; 4]);
    cluster.ask(0, 2, "a");
    cluster.run(Duration::from_millis(100));
    assert_eq!(cluster.answered(0, 2, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
    assert!(cluster.core(2).status().last_executed > told);

    // What the primary makes of that is not believed: a time later than any before.
    let n = next(&cluster);
    let honest = batch_of(&cluster, 3, vec![]);
    let hour_ahead = honest.time.after(hour);
    let later = Arc::new(Batch { time: hour_ahead, ..(*honest).clone() });
    let message = pre_prepare(&cluster, 0, n, &later);
    cluster.inject(0, 2, message);
    assert_eq!(last_reject(&cluster, 2), Some(Reject::ClockSkew));
}

/// [PP6] A proposal that nobody accepted is no reason to propose its time for ever.
#[test]
fn primary_whose_clock_was_wrong_for_a_moment_is_believed_again() {
    let mut c = Cluster::new(4);
    c.set_clocks([HOUR, Duration::ZERO, Duration::ZERO, Duration::ZERO]);
    c.ask(0, 1, "a");
    c.run(Duration::from_secs(3));
    assert_eq!(c.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(c.views(&[0, 1, 2, 3]), [(1, true); 4]);
    c.set_clocks([Duration::ZERO; 4]);
    c.ask(0, 2, "a");
    let mute = |e: &Envelope| e.kind() != Kind::PrePrepare;
    while c.status(1).view < view(4) {
        c.run_where(Duration::from_millis(10), mute);
    }
    let deadline = c.now.after(Duration::from_secs(2));
    while c.now < deadline && c.answered(0, 2, "a").is_empty() {
        c.run(Duration::from_millis(10));
    }
    assert_eq!(c.status(1).view, view(4), "the view of a correct primary whose clock is right");
    assert_eq!(c.answered(0, 2, "a"), [0, 1, 2, 3]);
}

/// [PP6] Where the time stands still and a backup has fetched a state instead of executing, or has
/// started from a snapshot since, the cluster goes on all the same.
#[test]
fn time_that_stands_still_is_believed_after_a_state_was_fetched() {
    for is_started_again in [false, true] {
        let mut c = Cluster::new(4);
        c.set_clocks([HOUR; 4]);
        c.crash(3);
        work(&mut c, 1..=40);
        c.run(Duration::from_secs(10));
        c.start(3);
        c.run(Duration::from_secs(5));
        assert_eq!(c.status(3).last_executed, c.status(0).last_executed);
        c.crash(2);
        c.set_clocks([Duration::ZERO; 4]);
        if is_started_again {
            c.crash(3);
            c.start(3);
            c.run(Duration::from_secs(2));
        }
        for timestamp in 41..=43 {
            c.ask(0, timestamp, "a");
            c.run(Duration::from_millis(500));
            assert_eq!(c.answered(0, timestamp, "a"), [0, 1, 3], "{timestamp}");
        }
        assert_eq!(c.views(&[0, 1, 3]), [(0, true); 3], "no view change was needed");
    }
}

/// [PP6] A replica that did not accept what it executes, since it was away, believes the time of that
/// as well.
#[test]
fn time_of_what_was_executed_is_believed() {
    let mut cluster = Cluster::new(4);
    let hour = HOUR;
    cluster.set_clocks([hour, hour, hour, Duration::ZERO]);
    cluster.ask(0, 1, "a");
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    cluster.crash(2);
    cluster.set_clocks([Duration::ZERO; 4]);
    cluster.ask(0, 2, "a");
    cluster.run(Duration::from_millis(100));
    assert_eq!(cluster.answered(0, 2, "a"), [0, 1, 3]);
    assert_eq!(cluster.views(&[0, 1, 3]), [(0, true); 3]);
}

/// [P1] PREPARE leaves once, and only when batch and Q entry are durable.
#[test]
fn prepare_waits_until_batch_and_q_entry_are_durable() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![]);
    cluster.hold_syncs(2);
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message.clone());
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare), []);
    cluster.sync(2);
    let records = cluster.durable_records(2);
    assert!(records.contains(&Record::Batch(Arc::clone(&batch))));
    let holds_entry =
        |r: &Record| matches!(r, Record::PrePrepared { entry, .. } if entry.seq == seq(n));
    assert!(records.iter().any(holds_entry));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare).len(), 1);
    cluster.inject(0, 2, message);
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Prepare), [], "once");
}

/// [P2] The primary's PREPARE never counts, one backup counts once, and PREPAREs may come first.
#[test]
fn only_the_first_prepare_of_each_backup_counts() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![]);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    cluster.inject(0, 2, Message::Prepare(vote));
    assert_eq!(last_reject(&cluster, 2), Some(Reject::PrepareFromPrimary));
    let other = Vote { digest: Digest::from_bytes([5; 32]), ..vote };
    cluster.inject(1, 2, Message::Prepare(other));
    cluster.inject(1, 2, Message::Prepare(vote));
    assert_eq!(last_reject(&cluster, 2), Some(Reject::Contradiction));
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message);
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Commit), [], "its own PREPARE alone");
    cluster.inject(3, 2, Message::Prepare(vote));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Commit), [vote]);
}

/// [P3] Prepared needs the PRE-PREPARE: PREPAREs alone, however many, do not make it.
#[test]
fn prepares_without_pre_prepare_do_not_prepare() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let vote = Vote { view: view(0), seq: seq(n), digest: Digest::from_bytes([5; 32]) };
    cluster.inject(1, 2, Message::Prepare(vote));
    cluster.inject(3, 2, Message::Prepare(vote));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Commit), []);
}

/// [P4] COMMIT leaves once, and only when the P entry is durable.
#[test]
fn commit_waits_until_the_p_entry_is_durable() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![]);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message);
    cluster.hold_syncs(2);
    cluster.inject(1, 2, Message::Prepare(vote));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Commit), []);
    cluster.sync(2);
    let entry = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
    assert!(cluster.durable_records(2).contains(&Record::Prepared(entry)));
    assert_eq!(votes_in_flight(&mut cluster, 2, Kind::Commit), [vote]);
}

/// [C1] A COMMIT of another view counts, and of each replica the one of its highest view.
#[test]
fn commits_of_a_view_never_entered_still_commit() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message);
    let later = Vote { view: view(7), ..vote };
    for from in [0, 1] {
        cluster.inject(from, 2, Message::Commit(vote));
        cluster.inject(from, 2, Message::Commit(later));
    }
    assert_eq!(cluster.answered(0, 1, "a"), []);
    cluster.inject(0, 2, Message::Commit(vote));
    assert_eq!(last_reject(&cluster, 2), Some(Reject::Stale));
    cluster.inject(3, 2, Message::Commit(later));
    assert_eq!(cluster.answered(0, 1, "a"), [2]);
}

/// [C2] Execution needs a quorum of COMMITs; one fewer does not do.
#[test]
fn batch_is_executed_on_a_quorum_of_commits_and_not_before() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message);
    cluster.inject(1, 2, Message::Prepare(vote));
    cluster.inject(1, 2, Message::Commit(vote));
    cluster.inject(1, 2, Message::Commit(vote));
    assert_eq!(cluster.answered(0, 1, "a"), [], "its own and one other");
    cluster.inject(0, 2, Message::Commit(vote));
    assert_eq!(cluster.answered(0, 1, "a"), [2]);
}

/// [C3] A replica that the primary keeps in the dark executes from COMMITs and fetches the batch
/// from a backup.
#[test]
fn replica_in_the_dark_executes_without_the_primary() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.run_where(Duration::from_millis(500), |e| {
        (e.from, e.to) != (0, 3) && (e.from, e.to) != (3, 0)
    });
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), vec![(0, true); 4]);
}

/// [C4] f+1 COMMITTED and the batch suffice, whatever the view; f do not.
#[test]
fn f_plus_1_committed_claims_commit() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let batch = batch_of(&cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let message = pre_prepare(&cluster, 0, n, &batch);
    cluster.inject(0, 2, message);
    let committed = pbft::message::Committed { seq: seq(n), digest: batch.digest() };
    cluster.inject(1, 2, Message::Committed(committed));
    cluster.inject(1, 2, Message::Committed(committed));
    assert_eq!(cluster.answered(0, 1, "a"), []);
    cluster.inject(3, 2, Message::Committed(committed));
    assert_eq!(cluster.answered(0, 1, "a"), [2]);
}

/// [EX1] A number is executed only after the one before it.
#[test]
fn later_number_waits_for_the_earlier_one() {
    let mut cluster = Cluster::new(4);
    let n = next(&cluster);
    let earlier = batch_of(&cluster, 1, vec![cluster.operation(0, 1, "first")]);
    let later = batch_of(&cluster, 2, vec![cluster.operation(0, 2, "second")]);
    order(&mut cluster, seq(n + 1), &later);
    assert_eq!(cluster.answered(0, 2, "second"), []);
    order(&mut cluster, seq(n), &earlier);
    assert_eq!(cluster.answered(0, 1, "first"), [1, 2, 3]);
    assert_eq!(cluster.answered(0, 2, "second"), [1, 2, 3]);
    let numbers: Vec<u64> = cluster.history(1).iter().map(|(s, _)| s.get()).collect();
    assert_eq!(numbers, (1..=n + 1).collect::<Vec<_>>());
}

/// [EX4] A reply waits for the P entry.
#[test]
fn reply_waits_until_the_p_entry_is_durable() {
    let mut cluster = Cluster::new(4);
    cluster.hold_syncs(2);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.from != 2);
    assert_eq!(cluster.history(2).len(), cluster.history(0).len(), "it was executed");
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 3]);
    cluster.sync(2);
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
}

/// [PP7] With large requests the primary fills up to the checkpoint before the log grows too long,
/// and a backup refuses what does not fit.
#[test]
fn log_is_bounded_in_bytes() {
    let mut config = crate::cluster::test_config(4);
    config.parameters.log_bytes_max = 4000;
    config.parameters.checkpoint_period = 16;
    config.parameters.log_window = 64;
    let mut cluster = Cluster::with_config(config);
    let large = "x".repeat(900);
    for timestamp in 1..=30 {
        cluster.ask(0, timestamp, &large);
        cluster.deliver_all();
        assert_eq!(cluster.answered(0, timestamp, &large), [0, 1, 2, 3]);
    }
    let batches = |cluster: &Cluster| {
        let records = cluster.core(2).durable_records();
        records.iter().filter(|r| matches!(r, Record::Batch(b) if !b.requests.is_empty())).count()
    };
    assert!(batches(&cluster) <= 5, "{} batches are held", batches(&cluster));
    let n = next(&cluster);
    for number in 0..8 {
        let request = cluster.operation(1, number + 1, &large);
        let batch = batch_of(&cluster, number as u8, vec![request]);
        let message = pre_prepare(&cluster, 0, n + number, &batch);
        cluster.inject(0, 2, message);
    }
    assert_eq!(last_reject(&cluster, 2), Some(Reject::OverLimit));
    assert!(batches(&cluster) <= 6, "{} batches are held", batches(&cluster));
}
