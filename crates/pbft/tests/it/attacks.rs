//! Attacks on the times that a backup believes, on admission and on the way back. Each test says
//! what a correct cluster owes.

use crate::cluster::{Cluster, Envelope, HOUR, test_config, view, work};
use crate::rejoin::FOR_EVER;
use pbft::message::{Batch, Kind, PrePrepare, Rejoin, StartId, ViewChange};
use pbft::{HaltReason, Incarnation, Message, REJOIN_GAP, ReplicaId, Signed, WallTime};
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
        let body = Rejoin {
            replica: ReplicaId::new(5),
            incarnation: Incarnation::new(incarnation),
            start: StartId { counter: incarnation, boot_id: [77; 16] },
            view: view(to_view),
            expires: FOR_EVER,
        };
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
fn rejoin_that_was_given_up(c: &mut Cluster) -> (Message, Vec<pbft::Record>) {
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
