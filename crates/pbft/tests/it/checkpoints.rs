//! Checkpoints, the window, and catching up past it.

use crate::cluster::{Cluster, Envelope, replica_key, seq, test_config, view, within};
use pbft::message::{
    Answer, Batch, Checkpoint, CheckpointId, Hello, HelloReply, Kind, Question, Remembered,
    ViewChange,
};
use pbft::{
    Digest, Event, HaltReason, Incarnation, Input, Message, Now, Output, Record, Recovered, Reject,
    Replica, ReplicaId, Sender, SeqNum, Signed, StateMirror,
};
use std::sync::Arc;
use std::time::Duration;

fn wrong_id() -> CheckpointId {
    let root = Digest::from_bytes([66; 32]);
    CheckpointId { state_root: root, history_root: root }
}

fn checkpoint_by(cluster: &Cluster, replica: u32, n: u64, id: CheckpointId) -> Message {
    let body = Checkpoint { seq: seq(n), id, replica: ReplicaId::new(replica) };
    Message::Checkpoint(cluster.sign(replica, body))
}

/// The CHECKPOINTs of 0, 1 and 2 for one state.
fn stable_proof(cluster: &Cluster, n: u64, id: CheckpointId) -> Message {
    let signed = (0..3).map(|replica| {
        let body = Checkpoint { seq: seq(n), id, replica: ReplicaId::new(replica) };
        cluster.sign(replica, body)
    });
    Message::Stable(Arc::new(signed.collect()))
}

/// Orders operations until the given number was executed by those that `passes` connects.
fn fill_to(cluster: &mut Cluster, n: u64, passes: impl Fn(&Envelope) -> bool) {
    let mut timestamp = 1000;
    let mut client = 0;
    while cluster.status(0).last_executed < seq(n) {
        let request = cluster.operation(client, timestamp - 999, "fill");
        cluster.send_request(request);
        cluster.deliver_where(&passes);
        timestamp += 1;
        if timestamp > 1060 {
            timestamp = 1000;
            client += 1;
        }
    }
}

fn stable(cluster: &Cluster, replica: u32) -> u64 {
    cluster.status(replica).stable_checkpoint.0.get()
}

/// [CP1] Every K numbers a checkpoint is signed; it leaves when it is durable, and is sent again as
/// it was.
#[test]
fn checkpoint_is_durable_before_it_is_sent() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 7, |_| true);
    cluster.hold_syncs(2);
    cluster.ask(3, 1, "a");
    cluster.deliver_where(|e| e.kind() != Kind::Checkpoint);
    assert_eq!(cluster.status(2).last_executed, seq(8));
    let from_2 = |e: &Envelope| e.from == 2 && e.kind() == Kind::Checkpoint;
    assert!(cluster.take(from_2).is_empty());
    cluster.sync(2);
    assert_eq!(cluster.take(from_2).len(), 3);
    let is_own = |r: &Record| matches!(r, Record::Checkpoint(c) if c.body.seq == seq(8));
    assert!(cluster.durable_records(2).iter().any(is_own));
    let not_one = checkpoint_by(&cluster, 1, 7, wrong_id());
    let sender = Sender::Replica(ReplicaId::new(1));
    assert_eq!(cluster.config.admit(sender, not_one), Err(Reject::NotACheckpoint));
}

/// [CP2] The first CHECKPOINT of a signer counts; a second with another digest is dropped.
#[test]
fn second_checkpoint_of_a_signer_is_dropped() {
    let mut cluster = Cluster::new(4);
    let first = checkpoint_by(&cluster, 1, 8, wrong_id());
    cluster.inject(1, 2, first);
    let right = CheckpointId { state_root: Digest::default(), history_root: Digest::default() };
    let second = checkpoint_by(&cluster, 1, 8, right);
    cluster.inject(1, 2, second);
    let contradiction = |(r, e): &(u32, Event)| {
        *r == 2 && matches!(e, Event::Rejected { reason: Reject::Contradiction, .. })
    };
    assert!(cluster.events.iter().any(contradiction));
}

/// [CP3] Stable needs a quorum of equal CHECKPOINTs, one's own among them; a liar does not prevent
/// it.
#[test]
fn checkpoint_becomes_stable_with_a_quorum_in_spite_of_a_liar() {
    let mut cluster = Cluster::new(4);
    let lie = checkpoint_by(&cluster, 3, 8, wrong_id());
    for to in [0, 1, 2] {
        cluster.inject(3, to, lie.clone());
    }
    fill_to(&mut cluster, 8, |e| !(e.from == 3 && e.kind() == Kind::Checkpoint));
    assert_eq!([0, 1, 2].map(|replica| stable(&cluster, replica)), [8, 8, 8]);
}

/// [CP3] Two CHECKPOINTs and one's own are a quorum of four; one and one's own are not.
#[test]
fn checkpoint_is_not_stable_without_a_quorum() {
    let mut cluster = Cluster::new(4);
    let cut = |e: &Envelope| !(e.kind() == Kind::Checkpoint && (e.from == 2 || e.from == 3));
    fill_to(&mut cluster, 8, cut);
    assert_eq!(stable(&cluster, 0), 4);
}

/// [CP4] A replica that f+1 others contradict stops and says so.
#[test]
fn replica_contradicted_by_f_plus_1_stops() {
    let mut cluster = Cluster::new(4);
    for from in [1, 3] {
        let other = checkpoint_by(&cluster, from, 8, wrong_id());
        cluster.inject(from, 2, other);
    }
    fill_to(&mut cluster, 8, |e| e.kind() != Kind::Checkpoint || e.to != 2);
    assert_eq!(cluster.halted, [(2, HaltReason::Diverged { seq: seq(8) })]);
}

/// [CP5] A backup whose window lags accepts what the primary proposes meanwhile.
#[test]
fn primary_that_is_ahead_by_a_checkpoint_proposes_nothing_that_a_backup_must_drop() {
    let mut cluster = Cluster::new(4);
    // Replica 3 learns of no stable checkpoint at all; the others go as far as they can.
    let no_checkpoints_for_3 = |e: &Envelope| !(e.kind() == Kind::Checkpoint && e.to == 3);
    fill_to(&mut cluster, 12, no_checkpoints_for_3);
    let dropped = |(r, e): &(u32, Event)| {
        *r == 3 && matches!(e, Event::Rejected { reason: Reject::OutsideWindow, .. })
    };
    assert!(!cluster.events.iter().any(dropped));
    assert_eq!(cluster.status(3).last_executed, cluster.status(0).last_executed);
}

/// [CP6] A replica that missed the CHECKPOINTs of an idle cluster is sent them again.
#[test]
fn stable_checkpoints_are_sent_again_to_whoever_is_behind() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 8, |e| !(e.kind() == Kind::Checkpoint && e.to == 3));
    assert_eq!((stable(&cluster, 0), stable(&cluster, 3)), (8, 4));
    cluster.run(Duration::from_millis(2500));
    assert_eq!(stable(&cluster, 3), 8);
}

/// [CP7] An idle primary fills up to the next checkpoint, once.
#[test]
fn idle_primary_fills_up_to_the_next_checkpoint_and_no_further() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    cluster.run(Duration::from_secs(30));
    assert_eq!(cluster.status(0).last_executed, seq(8));
    assert_eq!(cluster.ids().map(|replica| stable(&cluster, replica)).collect::<Vec<_>>(), [8; 4]);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), vec![(0, true); 4]);
}

/// [CP8] What a stable checkpoint covers is forgotten.
#[test]
fn stable_checkpoint_empties_the_log_below_it() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 8, |_| true);
    let records = cluster.core(1).durable_records();
    let numbered = records.iter().filter(|record| {
        matches!(record, Record::PrePrepared { .. } | Record::Prepared(_) | Record::Batch(_))
    });
    assert_eq!(numbered.count(), 0, "{records:?}");
}

/// [CP6] [CU1] A replica whose window is behind asks, is sent the proof of the stable checkpoint
/// and fetches its state at once. CHECKPOINTs beyond the window prove nothing.
#[test]
fn replica_beyond_the_window_fetches_state_at_once() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 24, within(&[0, 1, 2]));
    assert_eq!(cluster.status(3).last_executed, seq(4));
    let id = cluster.status(0).stable_checkpoint.1;
    for replica in [0, 1, 2] {
        let message = checkpoint_by(&cluster, replica, 24, id);
        cluster.inject(replica, 3, message);
    }
    assert_eq!(cluster.status(3).last_executed, seq(4));
    // One peer is enough: the proof needs nobody else's word.
    cluster.run_where(Duration::from_secs(1), within(&[1, 3]));
    assert_eq!(cluster.status(3).last_executed, seq(24));
    assert_eq!(cluster.status(3).stable_checkpoint.0, seq(24));
}

/// [CU4] The others have two more stable checkpoints when a state is here at last. What was executed
/// between is had from them, and no other state is fetched.
#[test]
fn state_that_the_others_have_left_behind_is_gone_on_from() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 24, within(&[0, 1, 2]));
    let id = cluster.status(0).stable_checkpoint.1;
    fill_to(&mut cluster, 32, within(&[0, 1, 2]));
    assert_eq!(stable(&cluster, 0), 32);
    let proof = stable_proof(&cluster, 24, id);
    cluster.inject(0, 3, proof);
    assert_eq!(cluster.status(3).last_executed, seq(24));
    cluster.run(Duration::from_millis(250));
    assert_eq!(cluster.status(3).last_executed, seq(32));
    let fetched = |(r, e): &&(u32, Event)| *r == 3 && matches!(e, Event::StateTransferred { .. });
    assert_eq!(cluster.events.iter().filter(fetched).count(), 1);
    cluster.assert_agreement();
}

/// [CU3] While a state is fetched, the host is told of each newer one that could be fetched instead.
#[test]
fn newer_states_are_asked_for_while_one_is_fetched() {
    let mut cluster = Cluster::new(4);
    cluster.withhold_state();
    let mut ids = Vec::new();
    for n in [24, 28, 32] {
        fill_to(&mut cluster, n, within(&[0, 1, 2]));
        ids.push((n, cluster.status(0).stable_checkpoint.1));
    }
    for (n, id) in ids {
        let proof = stable_proof(&cluster, n, id);
        cluster.inject(0, 3, proof);
        assert_eq!(cluster.status(3).fetching, Some(seq(n)));
    }
    let begun = |(r, e): &&(u32, Event)| *r == 3 && matches!(e, Event::StateTransferStarted { .. });
    assert_eq!(cluster.events.iter().filter(begun).count(), 3);
}

/// [CP3] A proof of stability has the CHECKPOINTs of a quorum, all for the same state.
#[test]
fn proof_of_stability_is_checked_at_the_door() {
    let cluster = Cluster::new(4);
    let id = CheckpointId { state_root: Digest::default(), history_root: Digest::default() };
    let sender = Sender::Replica(ReplicaId::new(1));
    let admit = |message: Message| cluster.config.admit(sender, message).map(|_| ());
    let good = stable_proof(&cluster, 24, id);
    assert_eq!(admit(good.clone()), Ok(()));
    let Message::Stable(good) = good else { unreachable!() };
    let changed = |change: &dyn Fn(&mut Vec<Signed<Checkpoint>>)| {
        let mut proof = (*good).clone();
        change(&mut proof);
        admit(Message::Stable(Arc::new(proof)))
    };
    let malformed = Err(Reject::MalformedProof);
    assert_eq!(changed(&|proof| proof.clear()), malformed);
    assert_eq!(changed(&|proof| proof.truncate(2)), malformed);
    assert_eq!(changed(&|proof| proof[2] = proof[1]), malformed);
    let other = Checkpoint { seq: seq(24), id: wrong_id(), replica: ReplicaId::new(2) };
    let other = cluster.sign(2, other);
    assert_eq!(changed(&|proof| proof[2] = other), malformed);
    assert_eq!(
        changed(&|proof| proof[2].signature = proof[1].signature),
        Err(Reject::BadSignature)
    );
}

/// [CU2] A vote that rests on a fetched state leaves only when the state's record is durable.
#[test]
fn checkpoint_after_a_fetch_waits_for_the_record_of_the_fetch() {
    let mut cluster = Cluster::new(4);
    fill_to(&mut cluster, 24, within(&[0, 1, 2]));
    cluster.hold_syncs(3);
    let id = cluster.status(0).stable_checkpoint.1;
    let proof = stable_proof(&cluster, 24, id);
    cluster.inject(0, 3, proof);
    assert_eq!(cluster.status(3).last_executed, seq(24));
    let from_3 = |e: &Envelope| e.from == 3 && e.kind() == Kind::Checkpoint;
    assert!(cluster.take(from_3).is_empty());
    cluster.sync(3);
    assert!(!cluster.take(from_3).is_empty());
    let installed =
        |r: &Record| matches!(r, Record::StateInstalled { seq: n, .. } if *n == seq(24));
    assert!(cluster.durable_records(3).iter().any(installed));
}

/// CHECKPOINTs far beyond the window take bounded memory.
#[test]
fn flood_of_checkpoints_beyond_the_window_is_forgotten() {
    let mut cluster = Cluster::new(4);
    let size_after = |cluster: &mut Cluster, numbers: std::ops::Range<u64>| {
        for n in numbers {
            let far = checkpoint_by(cluster, 3, n * 4, wrong_id());
            cluster.inject(3, 2, far);
        }
        format!("{:?}", cluster.core(2)).len()
    };
    let few = size_after(&mut cluster, 10..14);
    let many = size_after(&mut cluster, 14..500);
    assert!(many < few + 100, "{few} and {many} characters describe the replica");
}

/// [CP4] A restart executes again up to its stable checkpoint; if that leads to another state, the
/// snapshot or the service is at fault, and the replica stops.
#[test]
fn replay_that_misses_the_stable_checkpoint_stops_the_replica() {
    let right = CheckpointId { state_root: Digest::default(), history_root: Digest::default() };
    for (reached, halted) in
        [(right, None), (wrong_id(), Some(HaltReason::Diverged { seq: seq(4) }))]
    {
        let mut records: Vec<Record> =
            (1..=4).map(|n| Record::Committed { seq: seq(n), digest: Batch::NULL }).collect();
        records.push(Record::Stable { seq: seq(4), id: right, proof: Arc::default() });
        let checkpoint = (SeqNum::ZERO, right);
        let recovered = Recovered {
            genesis: right,
            checkpoint,
            state: StateMirror::default(),
            is_lost: false,
            records,
        };
        let mut outputs = Vec::new();
        let mut replica = Replica::recover(
            Arc::new(test_config(4)),
            ReplicaId::ZERO,
            replica_key(0),
            [1; 16],
            Now::default(),
            recovered,
            &mut outputs,
        );
        while let Some(output) = outputs.pop() {
            let answer = match output {
                Output::Execute { seq, .. } => {
                    Input::Executed { seq, executions: vec![], rejoined: vec![] }
                }
                Output::TakeCheckpoint { seq } => Input::CheckpointTaken { seq, id: reached },
                _ => continue,
            };
            replica.step(Now::default(), answer, &mut outputs);
        }
        assert_eq!(replica.status().last_executed, seq(4));
        assert_eq!(replica.status().halted, halted);
    }
}

/// [VC4] A replica that crashed when the state it fetched was durable and the proof that moves the
/// window there was not holds a checkpoint beyond its window. Its VIEW-CHANGE counts all the same.
#[test]
fn view_change_of_a_replica_with_a_state_beyond_its_window_is_well_formed() {
    let cluster = Cluster::new(4);
    let (genesis, id) = (cluster.status(0).stable_checkpoint.1, wrong_id());
    let checkpoint = (seq(20), id);
    let recovered = Recovered {
        genesis,
        checkpoint,
        state: StateMirror::default(),
        is_lost: false,
        records: vec![],
    };
    let (own, boot_id, now) = (ReplicaId::ZERO, [1; 16], Now::default());
    let config = Arc::clone(&cluster.config);
    let mut outputs = Vec::new();
    let key = replica_key(0);
    let mut replica = Replica::recover(config, own, key, boot_id, now, recovered, &mut outputs);
    let mut give = |outputs: &mut Vec<Output>, from: u32, message: Message| {
        let sender = Sender::Replica(ReplicaId::new(from));
        let verified = cluster.config.admit(sender, message).expect("a good message");
        replica.step(now, Input::Message(verified), outputs);
    };
    let asked_in = |output: &Output| match output {
        Output::Send { message, .. } => match &**message {
            Message::Hello(Hello { question: Question::Admission(asked), .. }) => Some(asked.round),
            _ => None,
        },
        _ => None,
    };
    // Both answer, and again when they are asked again [RJ1].
    for peer in [1, 2, 1, 2] {
        let round = outputs.iter().filter_map(asked_in).max().unwrap_or_default();
        let answer = Answer::Starts(Remembered {
            incarnation: Incarnation::default(),
            seen: vec![],
            others: vec![],
            is_confirmed: true,
            by: [7; 16],
            round,
        });
        give(&mut outputs, peer, Message::HelloReply(HelloReply { boot_id, answer }));
    }
    for peer in 1..3 {
        let body = ViewChange {
            new_view: view(1),
            replica: ReplicaId::new(peer),
            low_water_mark: seq(0),
            checkpoints: vec![(seq(0), genesis)],
            prepared: vec![],
            pre_prepared: vec![],
        };
        give(&mut outputs, peer, Message::ViewChange(Arc::new(cluster.sign(peer, body))));
    }
    assert_eq!(replica.status().view, view(1));
    let view_change = outputs.iter().find_map(|output| match output {
        Output::Send { message, .. } if message.kind() == Kind::ViewChange => Some(message),
        _ => None,
    });
    let message = (**view_change.expect("it left the view")).clone();
    assert!(cluster.config.admit(Sender::Replica(own), message).is_ok());
}
