//! Attacks on the times that a backup believes, on admission and on the way back. Each test says
//! what a correct cluster owes.

use crate::cluster::{Cluster, Envelope, HOUR, config_with, seq, test_config, view, within, work};
use crate::rejoin::rejoin_of;
use pbft::message::{
    Answer, Batch, BootId, Checkpoint, CheckpointId, HelloReply, Kind, PrePrepare, Question,
    Rejoin, Remembered, STARTS_MAX, Start, StartId, ViewChange, Vote,
};
use pbft::{
    HaltReason, Incarnation, Message, Parameters, REJOIN_GAP, Record, ReplicaId, Signed, WallTime,
};
use std::sync::Arc;
use std::time::Duration;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The core of replica 6 makes its NEW-VIEWs and nothing else; the rest of what 6 says is made up.
fn new_views_only_from_6(envelope: &Envelope) -> bool {
    let harmless = matches!(
        envelope.kind(),
        Kind::NewView | Kind::ViewChange | Kind::Repair | Kind::Status | Kind::Checkpoint
    );
    let told = !matches!(
        &*envelope.message,
        Message::Prepare(_)
            | Message::PrePrepare(..)
            | Message::PrePrepareSeen(_)
            | Message::Request(_)
    );
    (envelope.from != 6 || harmless) && (envelope.to != 6 || told)
}

/// Orders a batch as the faulty primary 6 of a view.
fn order_as_6(cluster: &mut Cluster, of_view: u64, batch: Batch) {
    let n = cluster.status(0).last_executed.next();
    let body = PrePrepare { view: view(of_view), seq: n, digest: batch.digest() };
    let batch = Arc::new(batch);
    for to in 0..5 {
        let message = Message::PrePrepare(cluster.sign(6, body), Arc::clone(&batch));
        cluster.inject(6, to, message);
    }
    cluster.deliver_where(new_views_only_from_6);
}

/// 5 and 6 of 7 are faulty. 5 rejoins again and again into views of 6, and 6 orders that alone, with
/// times far from each other. Returns how often it had its way, and who answered the client.
fn rejoin_with_two_times(were_ahead: Duration) -> (u64, Vec<u32>) {
    let mut c = Cluster::with_config(test_config(7));
    c.set_clocks([were_ahead; 7]);
    work(&mut c, 1..=5);
    c.run(ms(500));
    c.set_clocks([Duration::ZERO; 7]);
    c.crash(5);
    let rejoin = |c: &Cluster, incarnation: u64, to_view: u64| -> Signed<Rejoin> {
        let body = rejoin_of(5, incarnation, view(to_view));
        c.sign(5, body)
    };
    let first = rejoin(&c, 1, 6);
    c.inject(5, 0, Message::Rejoin(first));
    c.run_where(ms(200), new_views_only_from_6);
    assert_eq!(c.status(0).view, view(6));
    assert!(c.rejoined(0, 5).is_some(), "the first one never waits");
    let latest = c.agreed_time(0);
    let request = c.operation(1, 1, "starved");
    for to in 0..5 {
        c.send_request_to(to, Arc::clone(&request));
    }
    let (mut count, mut of_view) = (0, 6);
    let end = c.now.after(secs(60));
    while c.now < end {
        let last = c.rejoined(0, 5).expect("it has rejoined");
        let wall = WallTime::from_millis(c.now.as_micros() / 1000);
        let time = if count % 2 == 0 { wall } else { latest };
        while c.status(0).view == view(of_view) && c.status(0).last_executed < last.bound(&c.config)
        {
            let before = c.status(0).last_executed;
            order_as_6(&mut c, of_view, Batch { time, ..Batch::default() });
            c.run_where(ms(10), new_views_only_from_6);
            if c.status(0).last_executed == before {
                break;
            }
        }
        let again = rejoin(&c, last.incarnation.get() + 1, of_view + 7);
        let batch = Batch { time, rejoins: vec![again], ..Batch::default() };
        order_as_6(&mut c, of_view, batch);
        c.run_where(ms(100), new_views_only_from_6);
        if c.rejoined(0, 5).expect("it has rejoined").incarnation == last.incarnation {
            break;
        }
        count += 1;
        of_view += 7;
        assert_eq!(c.views(&[0, 1, 2, 3, 4]), [(of_view, true); 5]);
    }
    while c.now < end {
        c.run_where(ms(100), new_views_only_from_6);
    }
    (count, c.answered(1, 1, "starved"))
}

/// [RJ2] A faulty replica is heard once in five minutes, however far ahead the clocks were before.
#[test]
fn faulty_replica_is_heard_once_in_five_minutes_where_the_time_stands_still() {
    for were_ahead in [Duration::ZERO, HOUR] {
        let (count, answers) = rejoin_with_two_times(were_ahead);
        assert!(count <= 1, "clocks that were ahead by {were_ahead:?}: {count} times in a minute");
        assert!(answers.len() >= 3, "a client waited for a minute");
    }
}

/// [RJ1] An old disk stays out although it starts so often that its peers cannot remember all.
#[test]
fn old_disk_that_starts_seventy_times_stays_out() {
    let mut c = Cluster::new(4);
    c.run(secs(1));
    let image = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    // It takes part, and the network loses its STATUS.
    c.ask(0, 1, "a");
    let unseen = |e: &Envelope| e.from != 2 || e.kind() != Kind::Status;
    c.run_where(secs(1), unseen);
    assert!(c.status(2).admitted);
    c.crash(2);
    c.restore_disk(2, image);
    for start in 1..=70 {
        c.start(2);
        c.run(secs(4));
        assert!(!c.status(2).admitted, "start {start}: {:?}", c.status(2).halted);
        c.crash(2);
    }
}

/// [RJ1] Section 10: it does not matter how many replicas have rejoined in the course of time. Not
/// for what they remember of the others' starts either.
#[test]
fn old_disk_stays_out_although_its_peers_have_rejoined_one_after_the_other() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    let image = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    c.run(secs(1));
    work(&mut c, 4..=7);
    c.run(secs(1));
    assert!(c.status(2).admitted);
    c.crash(2);
    for peer in [0, 1, 3, 4] {
        c.start_without_memory(peer);
        c.run(secs(20));
        let status = c.status(peer);
        assert!(status.admitted && !status.amnesiac, "{peer}: {status:?}");
    }
    c.restore_disk(2, image);
    c.start(2);
    c.run(secs(2));
    let status = c.status(2);
    assert!(!status.admitted, "an old disk votes: accused by {:?}", status.accused_by);
}

/// 2 sets out to rejoin, its old disk is found before that is executed, and a liar keeps the REJOIN.
/// Returns it, and the new disk that was given up.
fn rejoin_that_was_given_up(c: &mut Cluster) -> (Message, Vec<Record>) {
    let image = c.durable_records(2).to_vec();
    c.start_without_memory(2);
    let mut kept = None;
    for _ in 0..100 {
        c.advance(ms(10));
        while let Some(envelope) = c.network.pop_front() {
            if envelope.kind() == Kind::Rejoin {
                kept = Some(envelope);
            } else {
                c.deliver(&envelope);
            }
        }
    }
    let kept = (*kept.expect("it asks to rejoin").message).clone();
    let new_disk = c.durable_records(2).to_vec();
    c.crash(2);
    c.restore_disk(2, image);
    c.start(2);
    c.run(secs(2));
    assert!(c.status(2).admitted && !c.status(2).amnesiac);
    (kept, new_disk)
}

/// [RJ2] A REJOIN that a replica gave up does not stop it an hour later, when a liar orders it.
#[test]
fn rejoin_kept_by_a_liar_does_not_stop_a_correct_replica_later() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=7);
    let (kept, _) = rejoin_that_was_given_up(&mut c);
    c.run(HOUR);
    work(&mut c, 8..=10);
    for to in [0, 1] {
        c.inject(3, to, kept.clone());
    }
    c.run(secs(1));
    c.crash(3);
    c.ask(1, 1, "after");
    c.run(secs(60));
    assert_eq!(c.halted, [], "one replica is faulty, and it is 3");
    assert_eq!(c.answered(1, 1, "after"), [0, 1, 2]);
}

fn taken_view_change(c: &mut Cluster, from: u32, to_view: u64) -> Arc<Signed<ViewChange>> {
    let own = |e: &Envelope| match &*e.message {
        Message::ViewChange(s) => {
            e.from == from && s.signer.get() == from && s.body.new_view == view(to_view)
        }
        _ => false,
    };
    let taken = c.take(own);
    match &*taken.first().expect("it left the view").message {
        Message::ViewChange(signed) => Arc::clone(signed),
        other => panic!("{other:?}"),
    }
}

/// Until all of these are active in this view, no primary's PRE-PREPARE arrives.
fn go_to_view(c: &mut Cluster, of: &[u32], target: u64) {
    for _ in 0..100_000 {
        if c.views(of).iter().all(|at| *at == (target, true)) {
            return;
        }
        c.run_where(ms(10), |e| e.kind() != Kind::PrePrepare);
    }
    panic!("{:?}", c.views(of));
}

/// [RJ3] [RJ4] 1 is the liar. 2 set out to rejoin, found its old disk, went on with it for some views
/// and left view 4 alone, which only 1 heard. Then 1 has the old REJOIN ordered, 2 stops, and is
/// started with the other disk, to which its views are unknown: that REJOIN does not let it in.
#[test]
fn replica_that_rejoins_votes_in_no_view_that_it_left_while_its_old_disk_was_back() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=7);
    let (kept, new_disk) = rejoin_that_was_given_up(&mut c);
    let request = c.operation(1, 1, "moves the view");
    c.send_request(request);
    go_to_view(&mut c, &[0, 1, 2, 3], 4);
    c.run(secs(10));
    assert_eq!(c.views(&[0, 1, 2, 3]), [(4, true); 4]);
    // 2 alone hears of a request, and leaves.
    let request = c.operation(1, 2, "for 2 alone");
    c.send_request_to(2, request);
    let left = loop {
        c.advance(ms(10));
        if c.status(2).view == view(5) {
            break taken_view_change(&mut c, 2, 5);
        }
        c.deliver_where(|e| e.kind() != Kind::Request);
    };
    let quiet = |e: &Envelope| {
        let of_2 = match &*e.message {
            Message::ViewChange(signed) => signed.signer.get() == 2,
            _ => false,
        };
        !of_2 && e.kind() != Kind::Request
    };
    c.deliver_where(quiet);
    for to in [0, 3] {
        c.inject(1, to, kept.clone());
    }
    c.run_where(secs(3), quiet);
    assert_eq!(c.halted, [(2, HaltReason::Replaced { by: Incarnation::new(1) })]);
    c.crash(2);
    c.halted.clear();
    c.restore_disk(2, new_disk);
    c.start(2);
    c.run(secs(10));
    assert_eq!(c.views(&[0, 1, 3]), [(4, true); 3], "no view was left since");
    assert!(c.status(2).amnesiac, "what the REJOIN says does not hold for this start");
    c.run(REJOIN_GAP);
    let status = c.status(2);
    assert!(status.admitted && !status.amnesiac, "{status:?}");
    assert!(status.view > left.body.new_view, "{status:?}");
    c.inject(1, 0, Message::ViewChange(left));
    c.ask(2, 1, "after");
    c.run(secs(1));
    assert_eq!(c.answered(2, 1, "after"), [0, 1, 2, 3]);
    assert!(c.evidence.is_empty());
    c.assert_agreement();
}

/// [RJ1] A replica that was started more often than it remembers takes no start that it is told for
/// one of its own which it has forgotten: it may be one of another memory, that counts from one.
#[test]
fn start_that_may_be_forgotten_is_not_taken_for_one_s_own() {
    let mut c = Cluster::new(4);
    c.crash(2);
    let boots = (2..=(1 << 16) + 2_u64).map(|counter| {
        let mut boot_id = [200; 16];
        boot_id[..8].copy_from_slice(&counter.to_le_bytes());
        Record::Boot { counter, boot_id, incarnation: Incarnation::ZERO }
    });
    c.restore_disk(2, boots.collect());
    c.start(2);
    c.advance(ms(1));
    c.deliver_where(|e| matches!(&*e.message, Message::Hello(_) | Message::HelloReply(_)));
    assert!(!c.status(2).admitted);
}

/// [RJ1] Section 10 for n = 4, and never more than one replica without its memory. 1 runs with an old
/// disk, by mistake, and is not let in; it answers 2, which is started, but does not let it in. The
/// mistake is found, and 1 goes on with its own disk, which is whole. Then 2 is set back to before
/// that start.
#[test]
fn replica_is_not_let_in_by_what_a_peer_notes_on_an_old_disk() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let old_disk_of_1 = c.durable_records(1).to_vec();
    c.crash(1);
    c.start(1);
    c.run(secs(2));
    work(&mut c, 4..=5);
    let old_disk_of_2 = c.durable_records(2).to_vec();

    let disk_of_1 = c.durable_records(1).to_vec();
    c.crash(1);
    c.restore_disk(1, old_disk_of_1);
    c.start(1);
    c.crash(2);
    c.start(2);
    c.run_where(secs(1), |e| within(&[0, 2])(e) || within(&[1, 2])(e));
    assert!(!c.status(1).admitted);
    // What 1 notes on that disk is not remembered.
    assert!(!c.status(2).admitted);
    c.crash(1);
    c.crash(2);
    c.restore_disk(1, disk_of_1);
    c.start(1);
    c.run(secs(2));
    assert_eq!(c.views(&[0, 1, 3]), [(0, true); 3]);
    assert!(c.status(1).admitted);

    c.restore_disk(2, old_disk_of_2);
    c.start(2);
    c.run(secs(2));
    let status = c.status(2);
    assert!(status.admitted, "it did not take part in the start that its disk lacks: {status:?}");
}

/// [RJ1] Section 10 for n = 7, and never more than two replicas with an old disk: 6, and of its peers
/// one after the other, each for a moment in which it is not let in. 4 and 5 never heard of the start
/// that the disk of 6 lacks; 0 to 3 noted it, and their own disks are whole.
#[test]
fn old_disk_stays_out_although_peers_answer_it_from_old_disks_one_after_the_other() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    let old_disks: Vec<_> = [0, 1].map(|peer| c.durable_records(peer).to_vec()).into();
    let old_disk_of_6 = c.durable_records(6).to_vec();
    for peer in [0, 1] {
        c.crash(peer);
        c.start(peer);
        c.run(secs(2));
        assert!(c.status(peer).admitted);
    }
    c.crash(6);
    c.start(6);
    c.run_where(secs(2), |e| within(&[0, 1, 2, 3, 6])(e) || within(&[0, 1, 2, 3, 4, 5])(e));
    assert!(c.status(6).admitted, "it takes part");
    c.crash(6);
    c.restore_disk(6, old_disk_of_6);
    c.start(6);
    c.run_where(secs(1), within(&[4, 5, 6]));
    for (peer, old_disk) in (0..).zip(old_disks) {
        assert!(!c.status(6).admitted);
        let disk = c.durable_records(peer).to_vec();
        c.crash(peer);
        c.restore_disk(peer, old_disk);
        c.start(peer);
        c.run_where(secs(1), within(&[peer, 6]));
        assert!(!c.status(peer).admitted);
        c.crash(peer);
        c.restore_disk(peer, disk);
        c.start(peer);
        c.run_where(secs(2), within(&[0, 1, 2, 3, 4, 5]));
        assert!(c.status(peer).admitted);
    }
    c.run(secs(2));
    let status = c.status(6);
    assert!(!status.admitted, "an old disk votes; accused by {:?}", status.accused_by);
}

/// [RJ4] Section 10 for n = 7, and never more than two replicas without their memory. 6 lost its own;
/// of the others one after the other runs for a moment with an empty disk, and goes on with the
/// whole one. What it said of its view meanwhile is worth nothing.
#[test]
fn views_told_without_memory_do_not_bring_a_replica_into_a_view_that_it_left() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=7);
    let all = [0, 1, 2, 3, 4, 5, 6];
    let request = c.operation(1, 1, "moves the view");
    c.send_request(request);
    go_to_view(&mut c, &all, 8);
    c.run(secs(10));
    assert_eq!(c.views(&all), [(8, true); 7]);
    // 6 alone hears of a request, and leaves.
    let request = c.operation(1, 2, "for 6 alone");
    c.send_request_to(6, request);
    let left = loop {
        c.advance(ms(10));
        if c.status(6).view == view(9) {
            break taken_view_change(&mut c, 6, 9);
        }
        c.deliver_where(|e| e.kind() != Kind::Request);
    };
    c.start_without_memory(6);
    for peer in 0..4 {
        let disk = c.durable_records(peer).to_vec();
        c.start_without_memory(peer);
        c.run_where(secs(3), within(&[peer, 6]));
        c.crash(peer);
        c.restore_disk(peer, disk);
        c.start(peer);
        c.run_where(secs(3), within(&[0, 1, 2, 3, 4, 5]));
        let status = c.status(peer);
        assert!(status.admitted && status.active && status.view == view(8), "{status:?}");
    }
    c.run(secs(10));
    let status = c.status(6);
    assert!(status.admitted && !status.amnesiac, "{status:?}");
    let entered = status.view;
    // The next view change.
    c.inject(5, 0, Message::ViewChange(left));
    c.crash(c.config.primary(entered).get());
    c.ask(2, 1, "after");
    c.run(secs(10));
    assert!(entered > view(9), "it votes in {entered}, which it has left for 9");
    assert_eq!(c.evidence, [], "6 is correct");
}

/// The start in which a replica asks a peer to let it in and to tell what it remembers.
fn takes_over(envelope: &Envelope) -> Option<(BootId, Incarnation)> {
    let Message::Hello(hello) = &*envelope.message else { return None };
    let Question::Admission(introduction) = &hello.question else { return None };
    let start = introduction.start.body;
    introduction.takes_over.then_some((start.id.boot_id, start.incarnation))
}

/// So many starts of 6, from this counter on, as 6 alone can sign them.
fn starts_of_6(c: &Cluster, from: u64, count: usize) -> Vec<Signed<Start>> {
    let start = |counter| Start {
        incarnation: Incarnation::ZERO,
        id: StartId { counter, boot_id: [66; 16] },
    };
    (from..).take(count).map(|counter| c.sign(6, start(counter))).collect()
}

/// [RJ1] [RJ3] 6 of 7 is faulty, and of the others never more than one is without its memory. 6 tells
/// two who come back of many starts of its own, and the third one nothing. So those two tell nobody
/// any more what they remember, and the third one is kept out for ever.
#[test]
fn faulty_replica_that_tells_of_many_starts_does_not_keep_others_from_rejoining() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    c.crash(6);
    let others = starts_of_6(&c, 1000, 7 * STARTS_MAX);
    for replica in [0, 1, 2] {
        c.start_without_memory(replica);
        for _ in 0..2000 {
            c.advance(ms(10));
            while let Some(envelope) = c.network.pop_front() {
                let asked = takes_over(&envelope).filter(|_| envelope.to == 6 && replica != 2);
                let Some((boot_id, incarnation)) = asked else {
                    c.deliver(&envelope);
                    continue;
                };
                let remembered = Remembered {
                    incarnation,
                    seen: Vec::new(),
                    others: others.clone(),
                    is_confirmed: true,
                };
                let answer = Answer::Starts(remembered);
                let reply = HelloReply { boot_id, answer };
                c.inject(6, envelope.from, Message::HelloReply(reply));
            }
        }
        let status = c.status(replica);
        assert!(status.admitted && !status.amnesiac, "{replica}: {status:?}");
    }
}

/// Runs until a replica on its way back asks 6 to let it in, which goes unanswered. Returns the start
/// that asks, and as which incarnation.
fn asked_for_admission(c: &mut Cluster, replica: u32) -> (BootId, Incarnation) {
    loop {
        c.advance(ms(10));
        while let Some(envelope) = c.network.pop_front() {
            match takes_over(&envelope) {
                Some(start) if (envelope.from, envelope.to) == (replica, 6) => return start,
                _ => c.deliver(&envelope),
            }
        }
    }
}

/// [RJ1] What a faulty peer says to one that comes back is noted once and within limits, however often
/// it answers, whatever it says of its own disk, and whether it makes up incarnations.
#[test]
fn answers_of_a_faulty_replica_do_not_fill_the_disk_of_one_that_rejoins() {
    for is_confirmed in [false, true] {
        let mut c = Cluster::new(7);
        work(&mut c, 1..=3);
        c.crash(6);
        c.start_without_memory(0);
        let (boot_id, incarnation) = asked_for_admission(&mut c, 0);
        for round in 0..100 {
            let mut others = starts_of_6(&c, 1000 * (round + 1), STARTS_MAX);
            let (later, id) = (Incarnation::new(round), StartId { counter: 1, boot_id: [66; 16] });
            others.push(c.sign(6, Start { incarnation: later, id }));
            let answer =
                Answer::Starts(Remembered { incarnation, seen: Vec::new(), others, is_confirmed });
            c.inject(6, 0, Message::HelloReply(HelloReply { boot_id, answer }));
        }
        let noted = c.durable_records(0).iter().filter_map(|record| match record {
            Record::PeerStarts { replica, starts } if replica.get() == 6 => Some(starts.len()),
            _ => None,
        });
        let noted: Vec<usize> = noted.collect();
        assert!(noted.len() <= 1 && noted.iter().all(|count| *count <= STARTS_MAX), "{noted:?}");
        assert_eq!(noted.is_empty(), !is_confirmed);
    }
}

/// [RJ2] What section 10 says a REJOIN of a faulty replica costs: with f faulty ones the timeouts of
/// all of them, each twice as long as the one before, which is 3 T for f = 2.
#[test]
fn rejoin_of_a_faulty_replica_costs_the_timeouts_of_the_other_faulty_ones() {
    let mut c = Cluster::with_config(test_config(7));
    work(&mut c, 1..=3);
    c.run(secs(1));
    c.crash(5);
    c.crash(6);
    let body = rejoin_of(6, 1, view(5));
    let rejoin = c.sign(6, body);
    c.inject(6, 0, Message::Rejoin(rejoin));
    c.deliver_all();
    assert!(c.rejoined(0, 6).is_some());
    let began = c.now;
    while c.views(&[0, 1, 2, 3, 4]) != [(7, true); 5] {
        c.run(ms(10));
    }
    let timeout = c.config.parameters.view_change_timeout;
    let cost = c.now.since(began);
    assert!(cost <= 3 * timeout + timeout / 2, "{cost:?} with T at {timeout:?}");
}

/// [RJ2] A REJOIN that was given up stops its replica for minutes, not for a day, although the clock of
/// the replica was a day ahead when it was composed. 3 is the liar.
#[test]
fn rejoin_composed_by_a_clock_that_was_ahead_does_not_stop_its_replica_later() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=7);
    c.set_clocks([Duration::ZERO, Duration::ZERO, 24 * HOUR, Duration::ZERO]);
    let (kept, _) = rejoin_that_was_given_up(&mut c);
    c.set_clocks([Duration::ZERO; 4]);
    c.run(HOUR);
    work(&mut c, 8..=10);
    for to in [0, 1] {
        c.inject(3, to, kept.clone());
    }
    c.run(secs(1));
    assert_eq!(c.halted, [], "one replica is faulty, and it is 3");
}

/// [RJ2] A replica without memory whose clock is slow comes back to an idle cluster, too.
#[test]
fn replica_whose_clock_is_slow_rejoins_an_idle_cluster() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=7);
    c.run(HOUR);
    c.set_clocks([HOUR, HOUR, Duration::ZERO, HOUR]);
    c.start_without_memory(2);
    c.run(REJOIN_GAP);
    let status = c.status(2);
    assert!(status.admitted && !status.amnesiac, "{status:?}");
}

/// The state that a replica has just signed at this number.
fn state_signed_by(c: &Cluster, replica: u32, number: u64) -> Option<CheckpointId> {
    c.network.iter().find_map(|envelope| match &*envelope.message {
        Message::Checkpoint(signed) if envelope.from == replica => {
            (signed.body.seq == seq(number)).then_some(signed.body.id)
        }
        _ => None,
    })
}

/// 6 orders a REJOIN of 5 into its next view, so that one correct replica alone executes it: to that
/// one 5 sends its COMMIT. Then 5 and 6 sign the checkpoint there, too. Returns whether it was executed.
fn rejoin_executed_by_one_alone(
    c: &mut Cluster,
    (alone, of_view): (u32, u64),
    incarnation: u64,
    passes: impl Fn(&Envelope) -> bool,
) -> bool {
    let rejoin = rejoin_of(5, incarnation, view(of_view + 7));
    let time = WallTime::from_millis(c.now.as_micros() / 1000);
    let batch = Batch { time, rejoins: vec![c.sign(5, rejoin)], ..Batch::default() };
    let number = c.status(0).last_executed.next();
    let vote = Vote { view: view(of_view), seq: number, digest: batch.digest() };
    let body = PrePrepare { view: vote.view, seq: vote.seq, digest: vote.digest };
    let batch = Arc::new(batch);
    for to in 0..5 {
        let message = Message::PrePrepare(c.sign(6, body), Arc::clone(&batch));
        let envelope = Envelope { from: 6, to, message: Arc::new(message) };
        if passes(&envelope) {
            c.deliver(&envelope);
        }
    }
    c.deliver_where(passes);
    c.inject(5, alone, Message::Commit(vote));
    let Some(id) = state_signed_by(c, alone, number.get()) else { return false };
    for liar in [5, 6] {
        let body = Checkpoint { seq: number, id, replica: ReplicaId::new(liar) };
        for to in 0..5 {
            let message = Message::Checkpoint(c.sign(liar, body));
            c.inject(liar, to, message);
        }
    }
    true
}

/// [RJ2] Section 10: a faulty replica is heard once in three minutes, and once more for each start of
/// a correct one. 5 and 6 of 7 are faulty, nobody is started, and the network loses one PRE-PREPARE.
/// 6 orders the REJOIN of 5 so that one correct replica alone executes it; by the CHECKPOINTs of that
/// one and of 5 and 6 the others fetch the state. So they do not know when it was executed, and
/// accept the next one at once.
#[test]
fn faulty_replica_is_heard_once_in_three_minutes_although_states_are_fetched() {
    let parameters = test_config(7).parameters;
    let view_change_timeout_max = parameters.view_change_timeout;
    let parameters = Parameters { view_change_timeout_max, ..parameters };
    let mut c = Cluster::with_config(config_with(7, parameters));
    let correct = [0, 1, 2, 3, 4];
    work(&mut c, 1..=5);
    c.ask(1, 1, "moves the view");
    go_to_view(&mut c, &correct, 6);
    c.run(secs(8));
    work(&mut c, 6..=8);
    c.run(secs(8));
    assert_eq!(c.views(&correct), [(6, true); 5]);
    c.crash(5);
    c.ask(1, 2, "starved");
    let (mut of_view, mut count) = (6, 0);
    let end = c.now.after(secs(15));
    while c.now < end {
        // Up to the bound of the last one, and to the number before a checkpoint.
        let bound = c.rejoined(0, 5).map(|last| last.bound(&c.config)).unwrap_or_default();
        loop {
            let executed = c.status(0).last_executed;
            if executed >= bound && c.config.is_checkpoint(executed.next()) {
                break;
            }
            let time = WallTime::from_millis(c.now.as_micros() / 1000);
            order_as_6(&mut c, of_view, Batch { time, ..Batch::default() });
            c.run_where(ms(10), new_views_only_from_6);
            if c.status(0).last_executed == executed {
                break;
            }
        }
        let loses = |e: &Envelope| count == 0 && e.to == 4 && e.kind() == Kind::PrePrepare;
        let alone = count % 2;
        let passes = |e: &Envelope| new_views_only_from_6(e) && !loses(e);
        let told = |e: &Envelope| (e.from == 6 || new_views_only_from_6(e)) && !loses(e);
        if !rejoin_executed_by_one_alone(&mut c, (alone, of_view), u64::from(count) + 1, told) {
            break;
        }
        let patience = c.now.after(secs(2));
        while c.views(&correct) != [(of_view + 7, true); 5] && c.now < patience {
            c.run_where(ms(10), passes);
        }
        if c.views(&correct) != [(of_view + 7, true); 5] {
            break;
        }
        of_view += 7;
        count += 1;
    }
    while c.now < end {
        c.run_where(ms(100), new_views_only_from_6);
    }
    let answers = c.answered(1, 2, "starved");
    assert!(count <= 1, "it was heard {count} times in {:?}, {answers:?} answered", secs(15));
    assert!(answers.len() >= 3, "a client waited");
}
