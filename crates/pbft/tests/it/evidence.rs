//! Lies that can be proved.

use crate::cluster::{Cluster, seq, test_config, view};
use crate::normal_case::batch_of;
use pbft::message::{PrePrepare, Vote};
use pbft::{Event, Evidence, Message, ReplicaId, ViewChangeCause};
use std::sync::Arc;
use std::time::Duration;

/// An equivocating primary, played by the test: one batch to replica 1, another to 2 and 3.
fn equivocate(cluster: &mut Cluster) -> u64 {
    let n = cluster.status(1).last_executed.get() + 1;
    let batches = [batch_of(cluster, 1, vec![]), batch_of(cluster, 2, vec![])];
    for (to, batch) in [(1, &batches[0]), (2, &batches[1]), (3, &batches[1])] {
        let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
        let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(batch));
        cluster.inject(0, to, message);
    }
    n
}

/// [EV2] A PREPARE that names another digest leads to the primary's conviction and removal.
#[test]
fn equivocating_primary_is_convicted_and_replaced_at_once() {
    let mut cluster = Cluster::new(4);
    equivocate(&mut cluster);
    cluster.deliver_where(|e| e.to != 0);
    let convicting: Vec<u32> = cluster.evidence.iter().map(|(replica, _)| *replica).collect();
    assert!(convicting.contains(&1) && convicting.len() >= 2, "{convicting:?}");
    for (_, evidence) in &cluster.evidence {
        let conviction = evidence.verify(&cluster.config).unwrap();
        assert_eq!(conviction.replica, ReplicaId::new(0));
    }
    let lied = |(_, e): &(u32, Event)| {
        matches!(e, Event::ViewChangeStarted { cause: ViewChangeCause::PrimaryLied, .. })
    };
    assert!(cluster.events.iter().any(lied));
    cluster.run_where(Duration::from_millis(500), |e| e.to != 0 && e.from != 0);
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, true); 3]);
    cluster.assert_agreement();
}

/// [EV1] Evidence convicts with nothing but the configuration; tampered with, it proves nothing.
#[test]
fn evidence_convicts_offline_and_not_when_tampered_with() {
    let mut cluster = Cluster::new(4);
    equivocate(&mut cluster);
    cluster.deliver_where(|e| e.to != 0);
    let (_, evidence) = cluster.evidence[0].clone();
    let bytes = borsh::to_vec(&evidence).unwrap();
    let again: Evidence = borsh::from_slice(&bytes).unwrap();
    assert_eq!(again.verify(&test_config(4)).unwrap().replica, ReplicaId::ZERO);
    for index in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1;
        let Ok(evidence) = borsh::from_slice::<Evidence>(&tampered) else { continue };
        assert_eq!(evidence.verify(&test_config(4)), None, "byte {index}");
    }
    let Evidence::TwoPrePrepares(pair) = evidence else { panic!("two PRE-PREPAREs") };
    let same = Evidence::TwoPrePrepares(Box::new((pair.0, pair.0)));
    assert_eq!(same.verify(&test_config(4)), None, "one PRE-PREPARE twice is no lie");
}

/// [EV1] A NEW-VIEW that starts from the last number there is chooses nothing, and is no proof of
/// anything; whoever looks at it offline has not passed it through the door.
#[test]
fn new_view_from_the_last_number_there_is_convicts_nobody() {
    let cluster = Cluster::new(4);
    let digest = pbft::Digest::from_bytes([1; 32]);
    let id = cluster.status(0).stable_checkpoint.1;
    let body = pbft::message::NewView {
        view: view(1),
        view_changes: vec![],
        checkpoint: (seq(u64::MAX), id),
        chosen: vec![digest],
    };
    let pre_prepare = PrePrepare { view: view(1), seq: seq(u64::MAX), digest };
    let pair = (cluster.sign(1, body), cluster.sign(1, pre_prepare));
    let evidence = Evidence::NewViewAgainstPrePrepare(Box::new(pair));
    assert_eq!(evidence.verify(&cluster.config), None);
}

/// [EV1] Nothing that correct replicas sign convicts one of them, through view changes too.
#[test]
fn correct_replicas_are_never_convicted() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=20 {
        cluster.ask(0, timestamp, "a");
        let lost = timestamp as u32 % 4;
        cluster.run_where(Duration::from_millis(700), |e| e.from != lost && e.to != lost);
    }
    cluster.run(Duration::from_secs(10));
    assert_eq!(cluster.evidence, []);
    cluster.assert_agreement();
}

/// [EV3] Of two VIEW-CHANGEs of one sender for one view the first counts, and both are kept.
#[test]
fn two_view_changes_of_one_sender_are_evidence() {
    let mut cluster = Cluster::new(4);
    let checkpoint = cluster.status(3).stable_checkpoint;
    let body = pbft::message::ViewChange {
        new_view: view(1),
        replica: ReplicaId::new(3),
        low_water_mark: checkpoint.0,
        checkpoints: vec![checkpoint],
        prepared: vec![],
        pre_prepared: vec![],
    };
    let mut other = body.clone();
    let root = pbft::Digest::from_bytes([1; 32]);
    let id = pbft::message::CheckpointId { state_root: root, history_root: root };
    other.checkpoints.push((seq(checkpoint.0.get() + 4), id));
    for body in [body, other] {
        let message = Message::ViewChange(Arc::new(cluster.sign(3, body)));
        cluster.inject(3, 2, message);
    }
    let conviction = cluster.evidence[0].1.verify(&cluster.config).unwrap();
    assert_eq!(conviction.replica, ReplicaId::new(3));
}

/// [C2] Two colluding replicas of seven, the primary among them, never commit two digests.
#[test]
fn equivocation_with_an_accomplice_never_commits_two_digests() {
    let mut cluster = Cluster::new(7);
    let n = cluster.status(1).last_executed.get() + 1;
    let batches = [batch_of(&cluster, 1, vec![]), batch_of(&cluster, 2, vec![])];
    for to in 2..7u32 {
        let batch = &batches[(to % 2) as usize];
        let digest = batch.digest();
        let body = PrePrepare { view: view(0), seq: seq(n), digest };
        let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(batch));
        cluster.inject(0, to, message);
        let vote = Vote { view: view(0), seq: seq(n), digest };
        cluster.inject(1, to, Message::Prepare(vote));
        cluster.inject(0, to, Message::Commit(vote));
        cluster.inject(1, to, Message::Commit(vote));
    }
    cluster.ask(0, 1, "a");
    cluster.run_where(Duration::from_secs(8), |e| e.from > 1 && e.to > 1);
    assert_eq!(cluster.answered(0, 1, "a"), [2, 3, 4, 5, 6]);
    cluster.assert_agreement();
}
