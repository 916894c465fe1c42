//! Attacks on the way back of a replica that lost its memory, and by means of it [RJ2] [RJ3] [RJ4].

use super::{ms, secs};
use crate::cluster::{Cluster, Envelope, HOUR, config_with, seq, test_config, view, within, work};
use crate::rejoin::rejoin_of;
use pbft::message::{Batch, Checkpoint, CheckpointId, Kind, PrePrepare, Rejoin, ViewChange, Vote};
use pbft::{
    HaltReason, Incarnation, Message, Parameters, REJOIN_GAP, Record, ReplicaId, Signed, WallTime,
};
use std::sync::Arc;
use std::time::Duration;

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

/// [RJ2] The clocks of all are set right after an amnesiac was told them. It comes back to an idle
/// cluster all the same.
#[test]
fn replica_rejoins_although_the_clocks_of_its_peers_are_set_meanwhile() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=7);
    c.run(secs(60));
    c.start_without_memory(2);
    c.run_where(secs(1), |e| e.kind() != Kind::Rejoin);
    c.set_clocks([HOUR; 4]);
    c.run(HOUR / 2);
    let status = c.status(2);
    assert!(status.admitted && !status.amnesiac, "{status:?}");
}

/// [RJ2] The same, and the network loses nothing: 2 loses its memory for the second time, waits until it
/// may be heard again, and meanwhile the clocks of all are set.
#[test]
fn replica_that_waits_for_its_turn_rejoins_although_the_clocks_are_set_meanwhile() {
    for set_by in [Duration::ZERO, HOUR] {
        let mut c = Cluster::new(4);
        work(&mut c, 1..=7);
        c.start_without_memory(2);
        c.run(secs(60));
        assert!(c.status(2).admitted);
        c.start_without_memory(2);
        c.run(secs(60));
        assert!(c.status(2).amnesiac, "it waits for five minutes");
        c.set_clocks([set_by; 4]);
        c.run(HOUR / 2);
        let status = c.status(2);
        assert!(status.admitted && !status.amnesiac, "by {set_by:?}: {status:?}");
    }
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
