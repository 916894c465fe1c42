//! Leaving views and entering them.

use crate::cluster::{Cluster, Envelope, seq, view, within};
use crate::normal_case::batch_of;
use pbft::message::{
    Batch, Kind, NewView, NewViewProof, Outline, PrePrepare, PreparedEntry, SlotSet, Status,
    ViewChange, Vote,
};
use pbft::{Digest, Event, Message, Record, Reject, ReplicaId, Sender, Signed, ViewChangeCause};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(1000);

/// PRE-PREPAREs that overtake the NEW-VIEW of their view wait for it, and all of them are taken.
#[test]
fn pre_prepares_that_overtake_their_new_view_wait_for_it() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.advance(TIMEOUT);
    cluster.network.clear();
    assert_eq!(cluster.views(&[2]), [(1, false)]);
    let first = cluster.status(2).last_executed.get() + 1;
    for n in first..first + 3 {
        let batch = batch_of(&cluster, u8::try_from(n).unwrap(), vec![]);
        let body = PrePrepare { view: view(1), seq: seq(n), digest: batch.digest() };
        let message = Message::PrePrepare(cluster.sign(1, body), batch);
        cluster.inject(1, 2, message);
    }
    let prepares = |e: &Envelope| e.from == 2 && e.to == 3 && e.kind() == Kind::Prepare;
    assert!(cluster.take(prepares).is_empty());
    let view_changes =
        [0, 1, 3].map(|id| signed(&cluster, empty_view_change(&cluster, id, 1))).to_vec();
    let proof = new_view_1(&cluster, view_changes, vec![]);
    cluster.inject(1, 2, Message::NewView(proof));
    assert_eq!(cluster.views(&[2]), [(1, true)]);
    assert_eq!(cluster.take(prepares).len(), 3);
}

/// [ST3] A replica that waits for a view is sent the VIEW-CHANGEs that it lacks, and no others.
#[test]
fn missing_view_changes_are_sent_to_whoever_lacks_them() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.advance(TIMEOUT);
    for id in [0, 1, 3] {
        let body = empty_view_change(&cluster, id, 1);
        inject_view_change(&mut cluster, 2, body);
    }
    cluster.network.clear();
    let of_2 = cluster.status(2);
    let mut view_changes = SlotSet::with_room(4);
    view_changes.insert(3);
    let status = Status {
        view: view(1),
        active: false,
        low_water_mark: of_2.stable_checkpoint.0,
        last_executed: of_2.last_executed,
        pre_prepared: SlotSet::default(),
        prepared: SlotSet::default(),
        committed: SlotSet::default(),
        view_changes,
        new_view: view(0),
        missing: vec![],
    };
    cluster.inject(1, 2, Message::Status(status));
    let sent = cluster.take(|e| e.from == 2 && e.to == 1 && e.kind() == Kind::ViewChange);
    let signers: Vec<u32> = sent
        .iter()
        .filter_map(|e| match &*e.message {
            Message::ViewChange(signed) => Some(signed.signer.get()),
            _ => None,
        })
        .collect();
    assert_eq!(signers, [0, 2], "not its own, and not what it has");
}

/// The VIEW-CHANGE a replica with nothing prepared would send.
fn empty_view_change(cluster: &Cluster, replica: u32, new_view: u64) -> ViewChange {
    let checkpoint = cluster.status(replica).stable_checkpoint;
    ViewChange {
        new_view: view(new_view),
        replica: ReplicaId::new(replica),
        low_water_mark: checkpoint.0,
        checkpoints: vec![checkpoint],
        prepared: vec![],
        pre_prepared: vec![],
    }
}

fn signed(cluster: &Cluster, body: ViewChange) -> Arc<Signed<ViewChange>> {
    Arc::new(cluster.sign(body.replica.get(), body))
}

fn inject_view_change(cluster: &mut Cluster, to: u32, body: ViewChange) {
    let message = Message::ViewChange(signed(cluster, body.clone()));
    cluster.inject(body.replica.get(), to, message);
}

fn sent_view_changes(cluster: &mut Cluster, from: u32) -> Vec<ViewChange> {
    let taken = cluster.take(|e| e.from == from && e.kind() == Kind::ViewChange);
    let mut bodies: Vec<ViewChange> = taken
        .iter()
        .filter_map(|e| match &*e.message {
            Message::ViewChange(signed) => Some(signed.body.clone()),
            _ => None,
        })
        .collect();
    bodies.dedup();
    bodies
}

/// A NEW-VIEW for view 1 as its primary, played by the test, signs it.
fn new_view_1(
    cluster: &Cluster,
    view_changes: Vec<Arc<Signed<ViewChange>>>,
    chosen: Vec<Digest>,
) -> Arc<NewViewProof> {
    let named = view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect();
    let checkpoint = cluster.status(2).stable_checkpoint;
    let body = NewView { view: view(1), view_changes: named, checkpoint, chosen };
    Arc::new(NewViewProof { new_view: cluster.sign(1, body), view_changes })
}

fn causes(cluster: &Cluster, replica: u32) -> Vec<(u64, ViewChangeCause)> {
    let started = |(r, event): &(u32, Event)| match event {
        Event::ViewChangeStarted { view, cause } if *r == replica => Some((view.get(), *cause)),
        _ => None,
    };
    cluster.events.iter().filter_map(started).collect()
}

/// Makes replica 2 prepare a batch in view 0 without anybody committing it.
fn prepare_at_2(cluster: &mut Cluster) -> (u64, Arc<Batch>) {
    let n = cluster.status(2).last_executed.get() + 1;
    let batch = batch_of(cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let digest = batch.digest();
    let body = PrePrepare { view: view(0), seq: seq(n), digest };
    let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(&batch));
    cluster.inject(0, 2, message);
    let vote = Vote { view: view(0), seq: seq(n), digest };
    cluster.inject(1, 2, Message::Prepare(vote));
    cluster.network.clear();
    (n, batch)
}

/// [VC1] A view is left durably before anybody is told, and nothing is voted in it any more.
#[test]
fn view_change_is_durable_before_it_is_sent() {
    let mut cluster = Cluster::new(4);
    cluster.hold_syncs(2);
    cluster.ask(0, 1, "a");
    cluster.network.clear();
    cluster.advance(TIMEOUT);
    assert_eq!(sent_view_changes(&mut cluster, 2), []);
    cluster.sync(2);
    let left = |r: &Record| matches!(r, Record::ViewChange(vc) if vc.body.new_view == view(1));
    assert!(cluster.durable_records(2).iter().any(left));
    assert_eq!(sent_view_changes(&mut cluster, 2)[0].new_view, view(1));
    let n = cluster.status(2).last_executed.get() + 1;
    let batch = batch_of(&cluster, 1, vec![]);
    let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
    let message = Message::PrePrepare(cluster.sign(0, body), batch);
    cluster.inject(0, 2, message);
    cluster.sync(2);
    assert!(cluster.take(|e| e.from == 2 && e.kind() == Kind::Prepare).is_empty());
}

/// [VC2] [VC3] P and Q survive failed views, and their entries keep their view.
#[test]
fn entries_of_p_and_q_keep_their_view_through_failed_views() {
    let mut cluster = Cluster::new(4);
    let (n, batch) = prepare_at_2(&mut cluster);
    let entry = PreparedEntry { seq: seq(n), digest: batch.digest(), view: view(0) };
    for new_view in 1..=3 {
        for from in [1, 3] {
            let body = empty_view_change(&cluster, from, new_view);
            inject_view_change(&mut cluster, 2, body);
        }
        let sent = sent_view_changes(&mut cluster, 2);
        let last = sent.last().unwrap();
        assert_eq!(last.new_view, view(new_view));
        assert_eq!(last.prepared, [entry]);
        assert_eq!(last.pre_prepared, [entry]);
    }
}

/// [VC4] A malformed VIEW-CHANGE is refused at the door; h itself belongs into C.
#[test]
fn view_change_that_breaks_its_own_rules_is_refused() {
    let cluster = Cluster::new(4);
    let good = ViewChange { new_view: view(2), ..empty_view_change(&cluster, 1, 2) };
    let low = good.low_water_mark;
    let id = good.checkpoints[0].1;
    let entry = |n: u64, v: u64| PreparedEntry {
        seq: seq(n),
        digest: Digest::from_bytes([1; 32]),
        view: view(v),
    };
    let admit = |body: ViewChange| {
        let signer = body.replica.get();
        let message = Message::ViewChange(signed(&cluster, body));
        cluster.config.admit(Sender::Replica(ReplicaId::new(signer)), message).map(|_| ())
    };
    let (low_n, high) = (low.get(), low.get() + 16);
    assert_eq!(admit(good.clone()), Ok(()));
    let at_the_edges = vec![entry(low_n + 1, 1), entry(high, 0)];
    assert_eq!(admit(ViewChange { prepared: at_the_edges, ..good.clone() }), Ok(()));
    let bad = [
        ViewChange { checkpoints: vec![], ..good.clone() },
        ViewChange { checkpoints: vec![(seq(low_n + 4), id)], ..good.clone() },
        ViewChange { checkpoints: vec![(low, id), (seq(high + 4), id)], ..good.clone() },
        ViewChange { checkpoints: vec![(low, id), (seq(low_n + 5), id)], ..good.clone() },
        ViewChange { prepared: vec![entry(low_n, 1)], ..good.clone() },
        ViewChange { prepared: vec![entry(high + 1, 1)], ..good.clone() },
        ViewChange { prepared: vec![entry(low_n + 1, 2)], ..good.clone() },
        ViewChange { pre_prepared: vec![entry(low_n + 1, 0), entry(low_n + 1, 1)], ..good.clone() },
        ViewChange { new_view: view(0), ..good.clone() },
        ViewChange { low_water_mark: seq(low_n + 1), ..good },
    ];
    for body in bad {
        assert_eq!(admit(body.clone()), Err(Reject::MalformedViewChange), "{body:?}");
    }
}

/// [VC5] A justified NEW-VIEW clears the entries it did not choose, even for a replica that has
/// left its view already.
#[test]
fn justified_new_view_clears_entries_even_of_a_replica_past_it() {
    let mut cluster = Cluster::new(4);
    let (n, _) = prepare_at_2(&mut cluster);
    let silent: Vec<_> = [0, 1, 3]
        .iter()
        .map(|replica| signed(&cluster, empty_view_change(&cluster, *replica, 1)))
        .collect();
    let proof = new_view_1(&cluster, silent, vec![]);
    for from in [1, 3] {
        let body = empty_view_change(&cluster, from, 2);
        inject_view_change(&mut cluster, 2, body);
    }
    assert_eq!(cluster.views(&[2]), [(2, false)]);
    cluster.inject(1, 2, Message::NewView(proof));
    assert_eq!(cluster.views(&[2]), [(2, false)], "it does not go back");
    for from in [1, 3] {
        let body = empty_view_change(&cluster, from, 3);
        inject_view_change(&mut cluster, 2, body);
    }
    let sent = sent_view_changes(&mut cluster, 2);
    assert_eq!(sent.last().unwrap().new_view, view(3));
    assert_eq!(sent.last().unwrap().prepared, [], "number {n} was cleared");
    assert_eq!(sent.last().unwrap().pre_prepared, []);
}

/// [VC6] f+1 for later views are followed, to the (f+1)-th highest; f of them are not, however high
/// their views.
#[test]
fn f_plus_1_view_changes_are_followed_to_the_lowest_view_they_all_reached() {
    let mut cluster = Cluster::new(7);
    for (from, new_view) in [(3, 1 << 40), (4, 6)] {
        let body = empty_view_change(&cluster, from, new_view);
        inject_view_change(&mut cluster, 2, body);
    }
    assert_eq!(cluster.views(&[2]), [(0, true)]);
    let body = empty_view_change(&cluster, 5, 4);
    inject_view_change(&mut cluster, 2, body);
    assert_eq!(cluster.views(&[2]), [(4, false)]);
    assert_eq!(causes(&cluster, 2), [(4, ViewChangeCause::Joined)]);
}

/// [VC7] Before a quorum has left, a replica waits in its view for ever; after that the timer takes
/// it to the next one.
#[test]
fn new_view_timer_runs_only_after_a_quorum_has_left() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.run_where(Duration::from_secs(100), |_| false);
    assert_eq!(cluster.views(&[2]), [(1, false)], "alone it goes no further");
    for from in [0, 3] {
        let body = empty_view_change(&cluster, from, 1);
        inject_view_change(&mut cluster, 2, body);
    }
    cluster.run_where(Duration::from_secs(3), |_| false);
    let (reached, _) = cluster.views(&[2])[0];
    assert_eq!(reached, 2);
}

/// [VC8] Replicas that could not reach each other while they left the view get together once the
/// network heals, although no client speaks.
#[test]
fn view_changes_lost_in_a_partition_are_sent_again_when_it_heals() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.network.clear();
    cluster.run_where(Duration::from_secs(20), |_| false);
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, false); 3]);
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, true); 3]);
}

/// [NV3] A NEW-VIEW that names what it does not supply, or too little, is refused at the door.
#[test]
fn new_view_without_the_view_changes_it_names_is_refused() {
    let cluster = Cluster::new(4);
    let supplied: Vec<_> = [0, 1, 3]
        .iter()
        .map(|replica| signed(&cluster, empty_view_change(&cluster, *replica, 1)))
        .collect();
    let admit = |proof: NewViewProof| {
        let message = Message::NewView(Arc::new(proof));
        cluster.config.admit(Sender::Replica(ReplicaId::new(1)), message).map(|_| ())
    };
    let good = (*new_view_1(&cluster, supplied.clone(), vec![])).clone();
    assert_eq!(admit(good.clone()), Ok(()));
    let fewer = (*new_view_1(&cluster, supplied[..2].to_vec(), vec![])).clone();
    assert_eq!(admit(fewer), Err(Reject::MalformedNewView));
    let missing = NewViewProof { view_changes: supplied[..2].to_vec(), ..good.clone() };
    assert_eq!(admit(missing), Err(Reject::MalformedNewView));
    let mut swapped = good.clone();
    swapped.view_changes[2] = signed(&cluster, empty_view_change(&cluster, 2, 1));
    assert_eq!(admit(swapped), Err(Reject::MalformedNewView));
    let of_view_2 = signed(&cluster, empty_view_change(&cluster, 3, 2));
    let other = vec![Arc::clone(&supplied[0]), Arc::clone(&supplied[1]), of_view_2];
    let mixed = (*new_view_1(&cluster, other, vec![])).clone();
    assert_eq!(admit(mixed), Err(Reject::MalformedNewView));
    let by_another = NewViewProof { new_view: cluster.sign(2, good.new_view.body.clone()), ..good };
    assert_eq!(admit(by_another), Err(Reject::NotThePrimary));
}

/// [NV4] The new primary says NEW-VIEW once, and only when it is durable.
#[test]
fn new_view_is_durable_before_it_is_sent_and_sent_once() {
    let mut cluster = Cluster::new(4);
    cluster.hold_syncs(1);
    for from in [0, 2, 3] {
        let body = empty_view_change(&cluster, from, 1);
        inject_view_change(&mut cluster, 1, body);
    }
    let from_1 = |e: &Envelope| e.from == 1 && e.kind() == Kind::NewView;
    assert!(cluster.take(from_1).is_empty());
    cluster.sync(1);
    assert!(cluster.durable_records(1).iter().any(|r| matches!(r, Record::NewView(_))));
    assert_eq!(cluster.take(from_1).len(), 3);
    let late = empty_view_change(&cluster, 3, 1);
    inject_view_change(&mut cluster, 1, late);
    cluster.sync(1);
    assert!(cluster.take(from_1).is_empty());
}

/// [NV5] A NEW-VIEW whose choices do not follow is answered by the next view at once: a dropped
/// number, an unjustified digest, an unjustified checkpoint.
#[test]
fn unjustified_new_view_is_answered_by_the_next_view_at_once() {
    let invented = Digest::from_bytes([7; 32]);
    let n_and_votes = |cluster: &mut Cluster| {
        let (n, batch) = prepare_at_2(cluster);
        let entry = PreparedEntry { seq: seq(n), digest: batch.digest(), view: view(0) };
        let of = |replica, p: &[PreparedEntry]| ViewChange {
            prepared: p.to_vec(),
            pre_prepared: vec![entry],
            ..empty_view_change(cluster, replica, 1)
        };
        let bodies = [of(0, &[]), of(1, &[entry]), of(3, &[])];
        let signed: Vec<_> = bodies.into_iter().map(|body| signed(cluster, body)).collect();
        (batch.digest(), signed)
    };
    for choose in [|_, _| vec![], |_, i| vec![i], |d, i| vec![d, i], |_, _| vec![Batch::NULL]] {
        let choose: fn(Digest, Digest) -> Vec<Digest> = choose;
        let mut cluster = Cluster::new(4);
        let (right, votes) = n_and_votes(&mut cluster);
        let proof = new_view_1(&cluster, votes, choose(right, invented));
        cluster.inject(1, 2, Message::NewView(proof));
        assert_eq!(cluster.views(&[2]), [(0, true)], "a view not yet entered proves nothing");
        for from in [1, 3] {
            let body = empty_view_change(&cluster, from, 1);
            inject_view_change(&mut cluster, 2, body);
        }
        let (right, votes) = (right, n_and_votes_again(&cluster));
        let proof = new_view_1(&cluster, votes, choose(right, invented));
        cluster.inject(1, 2, Message::NewView(proof));
        assert_eq!(cluster.views(&[2]), [(2, false)]);
        assert_eq!(causes(&cluster, 2).last(), Some(&(2, ViewChangeCause::BadNewView)));
    }
    let mut cluster = Cluster::new(4);
    let (right, votes) = n_and_votes(&mut cluster);
    let proof = new_view_1(&cluster, votes, vec![right]);
    cluster.inject(1, 2, Message::NewView(proof));
    assert_eq!(cluster.views(&[2]), [(1, true)], "the right one is accepted");
}

/// The VIEW-CHANGEs of the test above, made again after time has passed.
fn n_and_votes_again(cluster: &Cluster) -> Vec<Arc<Signed<ViewChange>>> {
    let n = cluster.status(2).last_executed.get() + 1;
    let batch = batch_of(cluster, 1, vec![cluster.operation(0, 1, "a")]);
    let entry = PreparedEntry { seq: seq(n), digest: batch.digest(), view: view(0) };
    [0, 1, 3]
        .iter()
        .map(|replica| {
            let body = ViewChange {
                prepared: if *replica == 1 { vec![entry] } else { vec![] },
                pre_prepared: vec![entry],
                ..empty_view_change(cluster, *replica, 1)
            };
            signed(cluster, body)
        })
        .collect()
}

/// [NV5] Holding another VIEW-CHANGE of some sender is evidence, never grounds to refuse.
#[test]
fn another_view_change_of_a_sender_is_evidence_and_no_reason_to_refuse() {
    let mut cluster = Cluster::new(4);
    let held = ViewChange {
        pre_prepared: vec![PreparedEntry {
            seq: seq(cluster.status(2).last_executed.get() + 1),
            digest: Digest::from_bytes([3; 32]),
            view: view(0),
        }],
        ..empty_view_change(&cluster, 3, 1)
    };
    inject_view_change(&mut cluster, 2, held);
    let votes: Vec<_> = [0, 1, 3]
        .iter()
        .map(|replica| signed(&cluster, empty_view_change(&cluster, *replica, 1)))
        .collect();
    let proof = new_view_1(&cluster, votes, vec![]);
    cluster.inject(1, 2, Message::NewView(proof));
    assert_eq!(cluster.views(&[2]), [(1, true)]);
    let convicted: Vec<u32> = cluster
        .evidence
        .iter()
        .filter_map(|(_, evidence)| evidence.verify(&cluster.config))
        .map(|conviction| conviction.replica.get())
        .collect();
    assert_eq!(convicted, [3]);
}

/// [NV8] A chosen batch whose body is missing is fetched from anybody, numbers already executed are
/// voted for again, and the view does its work.
#[test]
fn chosen_batch_whose_body_is_missing_is_fetched_from_any_replica() {
    let mut cluster = Cluster::new(4);
    // Everybody but replica 3 gets the PRE-PREPARE and prepares; nothing commits.
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.kind() != Kind::Commit && e.to != 3);
    // The primary dies; replica 1, which has the batch, answers no fetch, and nobody relays the
    // PRE-PREPARE, so that the old view cannot finish.
    let silent_body =
        |e: &Envelope| !(e.from == 1 && e.kind() == Kind::Repair) && e.kind() != Kind::PrePrepare;
    cluster.run_where(Duration::from_secs(3), |e| within(&[1, 2, 3])(e) && silent_body(e));
    assert_eq!(cluster.answered(0, 1, "a"), [1, 2, 3]);
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, true); 3]);
    cluster.assert_agreement();
}

/// [NV8] A replica that must first fetch the state enters the view by itself when the fetch ends.
#[test]
fn replica_that_lacks_the_checkpoint_of_a_new_view_enters_it_after_the_fetch() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=20 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(within(&[0, 1, 2]));
    }
    cluster.ask(1, 1, "b");
    cluster.network.clear();
    cluster.run_where(Duration::from_secs(5), |e| e.from != 0 && e.to != 0);
    assert_eq!(cluster.answered(1, 1, "b"), [1, 2, 3]);
    assert!(cluster.status(3).active);
    cluster.assert_agreement();
}

/// [NV7] A PRE-PREPARE against the choices of its own NEW-VIEW convicts the primary and deposes it, be
/// it with its batch or with an outline some of whose requests are not here [SR3].
#[test]
fn pre_prepare_against_its_own_new_view_convicts_the_primary() {
    for named in [false, true] {
        let mut cluster = Cluster::new(4);
        let (n, batch) = prepare_at_2(&mut cluster);
        let votes = n_and_votes_again(&cluster);
        let proof = new_view_1(&cluster, votes, vec![batch.digest()]);
        cluster.inject(1, 2, Message::NewView(proof));
        let long = cluster.operation(3, 1, &"a".repeat(2000));
        let other = batch_of(&cluster, 9, vec![long]);
        let body = PrePrepare { view: view(1), seq: seq(n), digest: other.digest() };
        let signed = cluster.sign(1, body);
        let outline = Outline::of(&other, |_| named).map(Arc::new);
        let message = match outline {
            Some(outline) => Message::Outline(signed, outline),
            None => Message::PrePrepare(signed, other),
        };
        cluster.inject(1, 2, message);
        assert_eq!(causes(&cluster, 2).last(), Some(&(2, ViewChangeCause::PrimaryLied)));
        let conviction = cluster.evidence[0].1.verify(&cluster.config).unwrap();
        assert_eq!(conviction.replica, ReplicaId::new(1));
    }
}

/// [TM1] Only an active backup with a waiting request runs the timer.
#[test]
fn idle_replicas_never_change_the_view() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(120));
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    cluster.run(Duration::from_secs(120));
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
}

/// [TM2] Each failed view doubles the timeout; progress brings it down again.
#[test]
fn timeout_doubles_with_failed_views_and_decays_with_progress() {
    let mut cluster = Cluster::new(4);
    let entered = |cluster: &Cluster| cluster.views(&[2])[0].0;
    cluster.ask(0, 1, "a");
    // VIEW-CHANGEs pass, but no NEW-VIEW ever does.
    let no_new_view = |e: &Envelope| e.kind() == Kind::ViewChange;
    let mut moments = vec![];
    let mut last = 0;
    for _ in 0..20_000 {
        cluster.run_where(Duration::from_millis(10), no_new_view);
        if entered(&cluster) > last {
            last = entered(&cluster);
            moments.push(cluster.now);
        }
        if last == 5 {
            break;
        }
    }
    let gaps: Vec<f64> =
        moments.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    for pair in gaps.windows(2) {
        let ratio = pair[1] / pair[0];
        assert!((1.8..2.2).contains(&ratio), "{gaps:?}");
    }
    cluster.run(Duration::from_secs(40));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    for timestamp in 2..=60 {
        cluster.ask(0, timestamp, "a");
        cluster.run(Duration::from_secs(2));
    }
    // Back to normal: a silent primary is left after the shortest timeout.
    let (current, _) = cluster.views(&[2])[0];
    let primary = (current % 4) as u32;
    cluster.ask(1, 1, "b");
    cluster.run_where(TIMEOUT + Duration::from_millis(300), |e| e.from != primary);
    let witness = (primary + 1) % 4;
    assert_eq!(cluster.views(&[witness]), [(current + 1, true)]);
}

/// [TM3] A primary that serves other clients cannot starve one.
#[test]
fn primary_that_starves_one_client_is_replaced() {
    let mut cluster = Cluster::new(4);
    for backup in 1..4 {
        let request = cluster.operation(0, 1, "starved");
        cluster.send_request_to(backup, request);
    }
    let mut served = 0;
    for step in 0..40u64 {
        if cluster.views(&[1])[0].0 > 0 {
            break;
        }
        let request = cluster.operation(1 + (step / 20) as u32, step % 20 + 1, "served");
        cluster.send_request_to(0, request);
        cluster.run_where(Duration::from_millis(50), |e| {
            // The primary never sees the relayed request.
            !(e.to == 0 && e.kind() == Kind::Request)
        });
        served += 1;
    }
    assert!(served >= 10, "the primary made progress meanwhile");
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.answered(0, 1, "starved"), [0, 1, 2, 3]);
    assert_eq!(causes(&cluster, 1)[0].0, 1);
}

/// A liar's NEW-VIEW of a view nobody else has reached moves nobody.
#[test]
fn vote_for_a_huge_view_moves_nobody() {
    let mut cluster = Cluster::new(4);
    let body = empty_view_change(&cluster, 3, (1 << 62) + 1);
    for to in [0, 1, 2] {
        inject_view_change(&mut cluster, to, body.clone());
    }
    cluster.ask(0, 1, "a");
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.views(&[0, 1, 2]), [(0, true); 3]);
}

/// [TM5] A replica whose process was paused gives the primary another chance; the primary uses it.
#[test]
fn replica_that_stood_still_does_not_leave_the_view_alone() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.network.clear();
    cluster.pause(2, Duration::from_secs(30));
    cluster.run(Duration::from_millis(900));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3], "relayed after the pause");
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
    let request = cluster.operation(0, 2, "b");
    cluster.send_request_to(2, request);
    cluster.run_where(Duration::from_millis(1100), |_| false);
    assert_eq!(cluster.views(&[2]), [(1, false)], "it still judges a silent primary");
}
