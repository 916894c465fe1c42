//! Sequences of messages that once led correct replicas into a state they could not leave, or
//! into disagreement. Each was found by attacking the protocol, not by running it.

use crate::cluster::{Cluster, Envelope, config_with, seq, view, within};
use crate::normal_case::batch_of;
use pbft::message::{
    Batch, Checkpoint, CheckpointId, Committed, Kind, NewView, NewViewProof, Operation, PrePrepare,
    PreparedEntry, RequestBody, ServiceId, ViewChange, Vote,
};
use pbft::{Digest, Evidence, Message, Parameters, Record, ReplicaId, SeqNum, Signed};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for every timeout to have doubled up to its limit many times.
const FOR_EVER: Duration = Duration::from_secs(600);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A cluster whose session requests are executed and covered by a stable checkpoint.
fn settled(replica_count: u32) -> Cluster {
    let mut cluster = Cluster::new(replica_count);
    cluster.run(Duration::from_secs(2));
    cluster.network.clear();
    cluster
}

fn next_seq(cluster: &Cluster, replica: u32) -> u64 {
    cluster.status(replica).last_executed.get() + 1
}

/// A VIEW-CHANGE that lies about P and Q and about nothing else.
fn view_change(
    cluster: &Cluster,
    signer: u32,
    new_view: u64,
    prepared: &[PreparedEntry],
    pre_prepared: &[PreparedEntry],
) -> Arc<Signed<ViewChange>> {
    let stable = cluster.status(3).stable_checkpoint;
    let body = ViewChange {
        new_view: view(new_view),
        replica: ReplicaId::new(signer),
        low_water_mark: stable.0,
        checkpoints: vec![stable],
        prepared: prepared.to_vec(),
        pre_prepared: pre_prepared.to_vec(),
    };
    Arc::new(cluster.sign(signer, body))
}

fn new_view(
    cluster: &Cluster,
    primary: u32,
    of_view: u64,
    checkpoint: (SeqNum, CheckpointId),
    mut view_changes: Vec<Arc<Signed<ViewChange>>>,
    chosen: Vec<Digest>,
) -> Message {
    view_changes.sort_by_key(|view_change| view_change.signer);
    let named = view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect();
    let body = NewView { view: view(of_view), view_changes: named, checkpoint, chosen };
    let new_view = cluster.sign(primary, body);
    Message::NewView(Arc::new(NewViewProof { new_view, view_changes }))
}

/// The VIEW-CHANGE that a replica has on the wire.
fn own_view_change(cluster: &Cluster, from: u32, new_view: u64) -> Arc<Signed<ViewChange>> {
    let of = |envelope: &Envelope| match &*envelope.message {
        Message::ViewChange(signed)
            if envelope.from == from
                && signed.signer.get() == from
                && signed.body.new_view == view(new_view) =>
        {
            Some(Arc::clone(signed))
        }
        _ => None,
    };
    cluster.network.iter().find_map(of).expect("the replica left the view")
}

fn propose(cluster: &mut Cluster, to: &[u32], n: u64, batch: &Arc<Batch>) {
    let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
    for to in to {
        let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(batch));
        cluster.inject(0, *to, message);
    }
}

/// Lets time pass without any message, then clears what was sent.
fn wait_in_silence(cluster: &mut Cluster, duration: Duration) {
    cluster.run_where(duration, |_| false);
    cluster.network.clear();
}

/// View 0: a batch prepares at 0 alone, 2 has pre-prepared it. The faulty primary of view 1 makes
/// two justified NEW-VIEWs: by the VIEW-CHANGEs of 0, 2 and 3 the batch is chosen, by those of
/// itself, 2 and 3 nothing is.
fn two_justified_new_views() -> (Cluster, [Message; 2]) {
    let mut c = settled(4); // 1 is faulty
    let n = next_seq(&c, 0);
    c.ask(0, 1, "a");
    c.deliver_where(|e| e.kind() == Kind::PrePrepare && e.to == 2);
    let entry = c.durable_records(2).iter().find_map(|record| match record {
        Record::PrePrepared { entry, .. } if entry.seq == seq(n) => Some(*entry),
        _ => None,
    });
    let digest = entry.expect("2 has pre-prepared it").digest;
    let vote = Vote { view: view(0), seq: seq(n), digest };
    for voter in [1, 2] {
        c.inject(voter, 0, Message::Prepare(vote));
    }
    c.network.clear();
    c.advance(ms(1000)); // the request timers of 2 and 3 fire
    let (vc2, vc3) = (own_view_change(&c, 2, 1), own_view_change(&c, 3, 1));
    c.network.clear();
    for vc in [&vc2, &vc3] {
        c.inject(vc.signer.get(), 0, Message::ViewChange(Arc::clone(vc)));
    }
    let vc0 = own_view_change(&c, 0, 1);
    c.network.clear();
    assert_eq!(vc0.body.prepared.len(), 1);
    assert_eq!((vc2.body.prepared.len(), vc2.body.pre_prepared.len()), (0, 1));
    let vc1 = view_change(&c, 1, 1, &[], &[]);
    let start = c.status(3).stable_checkpoint;
    let first = vec![vc0, Arc::clone(&vc2), Arc::clone(&vc3)];
    let first = new_view(&c, 1, 1, start, first, vec![digest]);
    let second = new_view(&c, 1, 1, start, vec![vc1, vc2, vc3], vec![]);
    (c, [first, second])
}

/// [VC10] One replica keeps what prepared at it, the others have cleared it: until they hear of
/// both NEW-VIEWs, neither rule A nor rule B can hold for that number.
#[test]
fn two_new_views_for_one_view_do_not_stop_the_cluster_for_good() {
    let (mut c, [first, second]) = two_justified_new_views();
    c.inject(1, 0, first);
    c.inject(1, 2, second.clone());
    c.inject(1, 3, second);
    c.network.clear();
    // The network between the correct replicas is perfect from here; the liar is silent for ever.
    c.run_where(FOR_EVER, within(&[0, 2, 3]));
    c.assert_agreement();
    assert_eq!(c.answered(0, 1, "a"), [0, 2, 3], "{:?}", c.views(&[0, 2, 3]));
    let lied = |evidence: &Evidence| matches!(evidence, Evidence::TwoNewViews(_));
    assert!(c.evidence.iter().any(|(_, evidence)| lied(evidence)));
}

/// [VC10] What the second NEW-VIEW made a replica drop stays dropped after a restart, and so does
/// the NEW-VIEW by which others have to drop it.
#[test]
fn second_new_view_that_dropped_something_is_remembered() {
    let (mut c, [first, second]) = two_justified_new_views();
    c.inject(1, 0, first);
    let count = |records: &[Record], is: fn(&Record) -> bool| {
        records.iter().filter(|record| is(record)).count()
    };
    let is_prepared = |record: &Record| matches!(record, Record::Prepared(_));
    let is_new_view = |record: &Record| matches!(record, Record::NewView(_));
    let before = c.core(0).durable_records();
    assert_eq!((count(&before, is_prepared), count(&before, is_new_view)), (1, 1));
    c.inject(1, 0, second);
    let after = c.core(0).durable_records();
    assert_eq!((count(&after, is_prepared), count(&after, is_new_view)), (0, 2));
    let rebuilt = c.rebuilt_from_restated(0).durable_records();
    assert_eq!((count(&rebuilt, is_prepared), count(&rebuilt, is_new_view)), (0, 2));
}

/// [VC10] A primary that made two NEW-VIEWs for its view is deposed at once; the second one is kept
/// only where it made something be dropped.
#[test]
fn second_new_view_ends_the_view_and_is_kept_only_if_it_dropped_something() {
    for (replica, kept) in [(0, 2), (3, 1)] {
        let (mut c, [first, second]) = two_justified_new_views();
        let messages = if replica == 0 { [first, second] } else { [second, first] };
        let view_after = messages.map(|message| {
            c.inject(1, replica, message);
            c.views(&[replica])[0]
        });
        assert_eq!(view_after, [(1, true), (2, false)], "replica {replica}");
        let records = c.core(replica).durable_records();
        let is_new_view = |record: &&Record| matches!(record, Record::NewView(_));
        assert_eq!(records.iter().filter(is_new_view).count(), kept, "replica {replica}");
    }
}

/// [VC3] Q notes what a NEW-VIEW chose, also where the batch is not held. If such an entry vouched
/// for the digest, a liar's word could make every later view choose a batch that no correct
/// replica can execute.
#[test]
fn batch_that_no_correct_replica_holds_is_not_chosen_for_ever() {
    let mut c = settled(4); // 0 is faulty
    let n = next_seq(&c, 1);
    let batch = batch_of(&c, 7, vec![]);
    let lie = [PreparedEntry { seq: seq(n), digest: batch.digest(), view: view(0) }];
    // View 0: only 1 pre-prepares the batch. All leave for view 1.
    propose(&mut c, &[1], n, &batch);
    let request = c.operation(0, 1, "a");
    for backup in 1..4 {
        c.send_request_to(backup, Arc::clone(&request));
    }
    c.network.clear();
    c.advance(ms(1000));
    let vc3 = own_view_change(&c, 3, 1);
    c.network.clear();
    // View 1: 1 decides on those of 0, 1 and 3, hence for the batch. Only 3 hears of it.
    let vc0 = view_change(&c, 0, 1, &lie, &lie);
    c.inject(0, 1, Message::ViewChange(vc0));
    c.inject(3, 1, Message::ViewChange(vc3));
    let to_3 = c.take(|e| e.kind() == Kind::NewView && e.to == 3);
    c.deliver(&to_3[0]);
    c.network.clear();
    assert_eq!(c.views(&[1, 2, 3]), [(1, true), (1, false), (1, true)]);
    // 1 loses the batch as soon as nothing of its own names it any more. From here the network
    // between correct replicas is perfect, and the liar only sends its VIEW-CHANGE early.
    c.crash(1);
    c.start(1);
    let mut sent = 1;
    for _ in 0..60_000 {
        c.advance(ms(10));
        c.deliver_where(within(&[1, 2, 3]));
        let top = c.views(&[1, 2, 3]).iter().map(|(view, _)| *view).max().unwrap();
        if top + 1 > sent {
            sent = top + 1;
            let vc0 = view_change(&c, 0, sent, &lie, &lie);
            for to in 1..4 {
                c.inject(0, to, Message::ViewChange(Arc::clone(&vc0)));
            }
        }
    }
    c.assert_agreement();
    assert_eq!(c.answered(0, 1, "a"), [1, 2, 3], "{:?}", c.views(&[1, 2, 3]));
}

/// [PP7] Batches that went with their view leave the log, so that it is not half full for ever
/// with nothing left to execute.
#[test]
fn log_full_of_dropped_batches_does_not_silence_later_primaries() {
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 16,
        instances_in_flight_max: 4,
        log_bytes_max: 64 << 10,
        ..Parameters::default()
    };
    let mut c = Cluster::with_config(config_with(4, parameters));
    c.run(Duration::from_secs(2));
    let (last_executed, (stable, _)) = (c.status(1).last_executed, c.status(1).stable_checkpoint);
    assert_eq!(last_executed, stable, "an idle cluster stands at a checkpoint");
    let request = c.operation(3, 1, &"x".repeat(10 << 10));
    for salt in 0..4_u8 {
        let batch = batch_of(&c, salt, vec![Arc::clone(&request)]);
        propose(&mut c, &[1, 2, 3], stable.get() + 2 + u64::from(salt), &batch);
    }
    c.network.clear();
    c.crash(0);
    c.ask(0, 1, "a");
    wait_in_silence(&mut c, ms(1100));
    c.run(FOR_EVER);
    assert_eq!(c.answered(0, 1, "a"), [1, 2, 3], "{:?}", c.views(&[1, 2, 3]));
}

/// Seven replicas of which 0 and 1 are faulty. 5 to 8 commit at 2 alone, which signs a checkpoint
/// there; 4 and 5 prepared them.
fn checkpoint_at_one_replica() -> (Cluster, CheckpointId) {
    let mut c = settled(7);
    assert_eq!(c.status(2).last_executed, seq(4));
    for n in 5..=8 {
        let batch = batch_of(&c, n as u8, vec![]);
        let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
        propose(&mut c, &[2, 4, 5], n, &batch);
        for to in [2, 4, 5] {
            c.inject(1, to, Message::Prepare(vote));
        }
        c.deliver_where(|e| [2, 4, 5].contains(&e.to) && e.kind() == Kind::Prepare);
        for from in [0, 1, 4, 5] {
            c.inject(from, 2, Message::Commit(vote));
        }
        c.network.retain(|e| e.kind() == Kind::Checkpoint);
    }
    assert_eq!(c.status(2).last_executed, seq(8));
    let id = c.network.iter().find_map(|e| match &*e.message {
        Message::Checkpoint(signed) if e.from == 2 => Some(signed.body.id),
        _ => None,
    });
    (c, id.expect("2 signs its checkpoint"))
}

/// [CP8] A state fetched on the word of f+1, of whom one is correct, does not move the window: a
/// view change could start neither from there, where only two correct replicas are, nor from
/// below.
#[test]
fn state_fetched_on_a_weak_certificate_leaves_view_changes_decidable() {
    let (mut c, id) = checkpoint_at_one_replica();
    let of_2 = c.take(|e| e.kind() == Kind::Checkpoint && e.from == 2 && e.to == 3);
    c.network.clear();
    c.deliver(&of_2[0]);
    for liar in [0, 1] {
        let body = Checkpoint { seq: seq(8), id, replica: ReplicaId::new(liar) };
        let signed = c.sign(liar, body);
        c.inject(liar, 3, Message::Checkpoint(signed));
    }
    for _ in 0..100 {
        c.advance(ms(10));
        c.network.clear();
    }
    assert_eq!(c.status(3).last_executed, seq(8));
    assert_eq!(c.status(3).stable_checkpoint.0, seq(4));
    c.crash(0);
    c.crash(1);
    c.ask(0, 1, "a");
    c.run(FOR_EVER);
    assert_eq!(c.answered(0, 1, "a"), [2, 3, 4, 5, 6], "{:?}", c.views(&[2, 3, 4, 5, 6]));
}

/// [NV8] Nor does the start of a NEW-VIEW, which f+1 VIEW-CHANGEs list, where it is not stable.
#[test]
fn start_of_a_new_view_leaves_view_changes_decidable() {
    let (mut c, id) = checkpoint_at_one_replica();
    c.network.clear();
    c.ask(0, 1, "a");
    c.advance(ms(1000));
    let mut used: Vec<_> = [2, 4, 5].iter().map(|from| own_view_change(&c, *from, 1)).collect();
    c.network.clear();
    let low = c.status(3).stable_checkpoint;
    for liar in [0, 1] {
        let body = ViewChange {
            checkpoints: vec![low, (seq(8), id)],
            ..view_change(&c, liar, 1, &[], &[]).body.clone()
        };
        used.push(Arc::new(c.sign(liar, body)));
    }
    let to_3 = new_view(&c, 1, 1, (seq(8), id), used, vec![]);
    c.inject(1, 3, to_3);
    c.crash(0);
    c.crash(1);
    c.network.clear();
    // The others leave view 1 before they hear of the NEW-VIEW.
    for _ in 0..3000 {
        c.advance(ms(10));
        c.deliver_where(|e| e.kind() == Kind::ViewChange && e.to != 3);
        if c.views(&[2, 4, 5, 6]).iter().all(|(view, _)| *view > 1) {
            break;
        }
    }
    c.run(FOR_EVER);
    assert_eq!(c.answered(0, 1, "a"), [2, 3, 4, 5, 6], "{:?}", c.views(&[2, 3, 4, 5, 6]));
}

/// [CU2] A fetch that began in the step in which the last missing number was executed ends.
#[test]
fn fetch_overtaken_by_execution_ends() {
    let mut c = Cluster::new(4);
    c.run(Duration::from_secs(2));
    // 3 misses COMMIT and COMMITTED for 8, the next checkpoint.
    for t in 1..=4 {
        c.ask(0, t, "a");
        let agreement =
            |e: &Envelope| matches!(e.kind(), Kind::Commit | Kind::Repair | Kind::Status);
        c.deliver_where(|e| !(t == 4 && e.to == 3 && agreement(e)));
    }
    assert_eq!((c.status(2).last_executed, c.status(3).last_executed), (seq(8), seq(7)));
    let committed = Committed { seq: seq(8), digest: c.history(2)[7].1 };
    c.network.clear();
    c.inject(1, 3, Message::Committed(committed));
    c.now = c.now.after(ms(700)); // the process of 3 stood still, its STATUS is overdue
    c.inject(2, 3, Message::Committed(committed));
    c.ask(1, 1, "b");
    c.crash(2);
    c.run(Duration::from_secs(4));
    assert_eq!(c.status(3).fetching, None);
    assert_eq!(c.answered(1, 1, "b"), [0, 1, 3]);
}

/// [RQ7] A client fills its own share at the primary, and sends a request to the backups only: what
/// they relay finds room all the same, so the primary is not deposed.
#[test]
fn client_that_fills_its_share_at_the_primary_does_not_depose_it() {
    let mut c = settled(4);
    let long = |c: &Cluster, timestamp: u64, bytes: usize| {
        let operation = Operation { service: ServiceId(0), body: vec![0; bytes] };
        c.signed(0, timestamp, RequestBody::Operations(vec![operation]))
    };
    let first = long(&c, 1, 1 << 20);
    for backup in 1..4 {
        c.send_request_to(backup, Arc::clone(&first));
    }
    for timestamp in 2..=4 {
        let request = long(&c, timestamp, (2 << 20) - 1000);
        c.send_request_to(0, request);
    }
    assert_eq!(c.core(0).held().waiting_requests, 2, "there is no room for the third");
    c.advance(ms(250));
    // The relayed requests overtake the agreement on the long ones.
    let relayed = c.take(|e| e.kind() == Kind::Request);
    relayed.iter().for_each(|envelope| c.deliver(envelope));
    assert_eq!(c.core(0).held().waiting_requests, 3);
    c.run(Duration::from_secs(3));
    assert_eq!(c.views(&[0, 1, 2, 3]), [(0, true); 4]);
}

/// [C4] COMMITTED leaves only when one's own P entry is durable: a replica in the dark executes on
/// the word of f+1, and then q replicas must remember.
#[test]
fn committed_waits_for_the_p_entry() {
    let mut c = settled(4); // 0 is faulty
    let n = next_seq(&c, 1);
    let batch = batch_of(&c, 7, vec![c.operation(0, 1, "a")]);
    let vote = Vote { view: view(0), seq: seq(n), digest: batch.digest() };
    propose(&mut c, &[1, 2], n, &batch); // 3 is kept in the dark
    c.hold_syncs(1); // its PREPARE has left; from here on its disk is slow
    c.deliver_where(|e| e.kind() == Kind::Prepare && within(&[1, 2])(e));
    for from in [0, 2] {
        c.inject(from, 1, Message::Commit(vote));
    }
    assert_eq!(c.status(1).last_executed, seq(n));
    c.network.clear();
    c.advance(ms(1000));
    c.deliver_where(|e| e.from == 3 && e.to == 1 && e.kind() == Kind::Status);
    let committed = |e: &Envelope| {
        matches!(&*e.message, Message::Committed(c) if c.seq == seq(n)) && (e.from, e.to) == (1, 3)
    };
    assert!(c.take(committed).is_empty());
    c.release_syncs(1);
    assert_eq!(c.take(committed).len(), 1);
}

/// [EV1] A primary whose disk was slow is not convicted of what it forgot: PRE-PREPARE-SEEN waits
/// for the Q entry like the PRE-PREPARE itself.
#[test]
fn pre_prepare_seen_waits_for_the_q_entry() {
    let mut c = settled(4); // 3 is faulty
    let n = next_seq(&c, 0);
    c.hold_syncs(0);
    c.ask(0, 1, "a");
    c.inject(3, 0, Message::FetchPrePrepare(view(0), seq(n)));
    assert!(c.take(|e| e.from == 0 && e.to == 3 && e.kind() == Kind::Repair).is_empty());
    c.crash(0);
    c.lose_unsynced(0);
    c.start(0);
    c.run(Duration::from_secs(1));
    assert!(c.status(0).admitted);
}

/// Four replicas with the shortest window there may be, of which 0 is faulty, at the stable
/// checkpoint 4.
fn short_window() -> Cluster {
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 8,
        instances_in_flight_max: 4,
        ..Parameters::default()
    };
    let cluster = Cluster::with_config(config_with(4, parameters));
    assert_eq!(cluster.status(3).stable_checkpoint.0, seq(4));
    cluster
}

/// Orders four operations; what `passes` refuses is lost.
fn four_operations(cluster: &mut Cluster, first: u64, passes: impl Fn(&Envelope) -> bool) {
    for timestamp in first..first + 4 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(&passes);
    }
}

/// [CP6] The proof of a stable checkpoint inside the asker's window: 3 is past 8 and never executed
/// up to 12, so nobody but the liar could complete what 1 holds for either, and 1 has no room for
/// 16, from which the view is to start.
#[test]
fn replica_whose_window_nobody_can_move_by_own_checkpoints_is_sent_the_proof() {
    let mut c = short_window();
    let is_checkpoint = |e: &Envelope| e.kind() == Kind::Checkpoint;
    four_operations(&mut c, 1, |e| !(is_checkpoint(e) && e.to == 1 && e.from != 2));
    // 9 to 12 prepare at 3 and are not known there to be committed.
    let to_3 = |e: &Envelope| e.to == 3 && e.kind() == Kind::Commit;
    for timestamp in 5..9 {
        c.ask(0, timestamp, "a");
        c.deliver_where(|e| !is_checkpoint(e) && !to_3(e));
    }
    let signed = |c: &Cluster, by: u32| {
        let of_12 = |record: &Record| match record {
            Record::Checkpoint(signed) if signed.body.seq == seq(12) => Some(*signed),
            _ => None,
        };
        Message::Checkpoint(c.core(by).durable_records().iter().find_map(of_12).expect("signed"))
    };
    for (from, to) in [(0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 3)] {
        let message = signed(&c, from);
        c.inject(from, to, message);
    }
    let late = [0, 1].map(|from| (from, signed(&c, from)));
    c.network.clear();
    // 13 to 16 commit at 2 with the votes of 0 and 3.
    four_operations(&mut c, 9, |e| !(to_3(e) || (is_checkpoint(e) && e.from == 0)));
    let h = |c: &Cluster| [1, 2, 3].map(|id| c.status(id).stable_checkpoint.0.get());
    assert_eq!(h(&c), [4, 12, 8]);
    assert_eq!([1, 2, 3].map(|id| c.status(id).last_executed.get()), [12, 16, 8]);
    // The liar lists the checkpoint that 2 took, and never signs it.
    c.crash(0);
    c.ask(1, 1, "b");
    c.advance(ms(1100));
    let (of_2, of_3) = (own_view_change(&c, 2, 1), own_view_change(&c, 3, 1));
    c.network.clear();
    let body = ViewChange { replica: ReplicaId::new(0), ..of_2.body.clone() };
    c.inject(0, 1, Message::ViewChange(Arc::new(c.sign(0, body))));
    c.inject(2, 1, Message::ViewChange(of_2));
    c.inject(3, 1, Message::ViewChange(of_3));
    let new_view = c.take(|e| e.kind() == Kind::NewView && e.to == 3);
    c.network.clear();
    c.deliver(&new_view[0]);
    assert_eq!(c.status(3).last_executed, seq(16));
    late.into_iter().for_each(|(from, message)| c.inject(from, 3, message));
    c.network.clear();
    assert_eq!(h(&c), [4, 12, 12]);
    // From here the network between correct replicas is perfect, and the liar is silent.
    c.run_where(FOR_EVER, within(&[1, 2, 3]));
    c.assert_agreement();
    assert_eq!(c.answered(1, 1, "b"), [1, 2, 3], "{:?} {:?}", c.views(&[1, 2, 3]), h(&c));
}

/// [TM4] A faulty primary that lets one backup after the other fall behind for a moment, each just
/// when its timer fires, cannot starve a client: that a vote was put off is not forgotten when the
/// backup has caught up.
#[test]
fn backups_made_to_catch_up_again_and_again_leave_the_view_in_the_end() {
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 16,
        instances_in_flight_max: 4,
        ..Parameters::default()
    };
    let mut c = Cluster::with_config(config_with(4, parameters)); // 0 is faulty
    c.run(Duration::from_secs(2));
    // The network between the correct replicas is perfect; 0 ignores what client 3 asks for.
    let passes = |e: &Envelope| !(e.to == 0 && e.kind() == Kind::Request);
    let starved = c.operation(3, 1, "x");
    for backup in 1..4 {
        c.send_request_to(backup, Arc::clone(&starved));
        c.run_where(ms(300), passes);
    }
    c.run_where(ms(50), passes);
    let mut asked = 0;
    for round in 0..42 {
        let backup = round % 3 + 1; // its timer fires in 50 ms
        // It tells what it has now, and will not do so again within 50 ms.
        let digest = Digest::from_bytes([1; 32]);
        let vote = Vote { view: view(9), seq: seq(1), digest };
        c.inject(0, backup, Message::Prepare(vote));
        c.run_where(ms(20), passes);
        c.inject(0, backup, Message::Prepare(vote));
        c.run_where(ms(20), passes);
        for _ in 0..4 {
            asked += 1;
            c.ask((asked % 3) as u32, asked / 3 + 1, "a");
            c.deliver_where(|e| passes(e) && !(e.from == 0 && e.to == backup));
        }
        c.run_where(ms(10), passes);
        c.run_where(ms(250), passes);
        if round % 3 == 2 {
            c.run_where(ms(100), passes);
        }
    }
    let left = c.views(&[1, 2, 3]);
    assert!(left.iter().all(|(view, _)| *view > 0), "{left:?}");
    c.run(Duration::from_secs(2));
    assert_eq!(c.answered(3, 1, "x"), [0, 1, 2, 3]);
}

/// [ST3] One replica is silent. The COMMITs of the others reach 3 only, so 3 waits for nothing, the
/// primary is patient, and 2 leaves the view alone. What 3 knows to be committed takes a second
/// word, hence the COMMIT that 2 sent in the view it has left.
#[test]
fn commit_of_a_view_that_was_left_is_sent_again() {
    let mut c = settled(4);
    c.crash(1);
    c.ask(0, 1, "a");
    c.deliver_where(|e| !(e.kind() == Kind::Commit && e.to != 3));
    assert_eq!(c.answered(0, 1, "a"), [3]);
    c.run_where(ms(1100), |e| e.kind() == Kind::ViewChange);
    assert_eq!(c.views(&[0, 2, 3]), [(0, true), (1, false), (0, true)]);
    // From here the network between the correct replicas is perfect. It takes no view change: the
    // primary has not lost its patience yet.
    c.run_where(ms(800), within(&[0, 2, 3]));
    c.assert_agreement();
    assert_eq!(c.answered(0, 1, "a"), [0, 2, 3], "{:?}", c.views(&[0, 2, 3]));
    assert_eq!(c.views(&[0, 3]), [(0, true), (0, true)]);
}

/// [TM6] The COMMITs reach 2 only, 3 has never seen the number and leaves the view alone, and 1 is
/// silent from then on. 2 waits for nothing and its word alone proves nothing, so the primary, who
/// waits like any other, has to leave with 3: then 2 follows.
#[test]
fn primary_that_waits_in_vain_leaves_its_own_view() {
    let mut c = settled(4);
    c.ask(0, 1, "a");
    let passes = |e: &Envelope| e.to != 3 && !(e.kind() == Kind::Commit && e.to != 2);
    c.deliver_where(passes);
    assert_eq!(c.answered(0, 1, "a"), [2]);
    c.crash(1);
    c.ask(0, 1, "a");
    c.run_where(ms(1100), |e| e.kind() == Kind::ViewChange);
    assert_eq!(c.views(&[0, 2, 3]), [(0, true), (0, true), (1, false)]);
    // From here the network between the correct replicas is perfect.
    c.run_where(FOR_EVER, within(&[0, 2, 3]));
    c.assert_agreement();
    assert_eq!(c.answered(0, 1, "a"), [0, 2, 3], "{:?}", c.views(&[0, 2, 3]));
}
