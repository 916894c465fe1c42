//! Coming back after the memory was lost: nothing is promised before the bound, everything after.

use crate::cluster::{Cluster, Envelope, HOUR, seq, test_config, view, within, work};
use crate::normal_case::batch_of;
use pbft::message::{Answer, HelloReply, Kind, PrePrepare, Rejoin, StartId, ViewChange};
use pbft::{
    Event, HaltReason, Incarnation, Message, Output, REJOIN_GAP, REJOIN_GAP_TOLERANCE, Record,
    Reject, ReplicaId, Sender, SeqNum, Signed, View, ViewChangeCause, WallTime,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// K and L of the test configuration.
const PERIOD: u64 = 4;
const WINDOW: u64 = 16;

/// The REJOIN of a start that only a liar, or another memory of the replica, knows of; it never
/// expires.
pub(crate) fn rejoin_of(replica: u32, incarnation: u64, to: View) -> Rejoin {
    Rejoin {
        replica: ReplicaId::new(replica),
        incarnation: Incarnation::new(incarnation),
        start: StartId { counter: incarnation, boot_id: [77; 16] },
        view: to,
        expires: WallTime::from_millis(u64::MAX),
    }
}

/// How far clocks may be apart.
const SKEW: Duration = Duration::from_secs(10);

/// Empties the disk of a replica, starts it again, and notes from then on what it sends.
fn lose_memory(cluster: &mut Cluster, replica: u32) {
    cluster.trace = Some(Vec::new());
    cluster.events.clear();
    cluster.start_without_memory(replica);
}

/// Where the others executed the last REJOIN of the replica, if they did.
fn executed_at(cluster: &Cluster, replica: u32) -> Option<u64> {
    cluster.events.iter().rev().find_map(|(at, event)| match event {
        Event::RejoinExecuted { replica: who, seq, .. } if who.get() == replica => {
            (*at != replica).then_some(seq.get())
        }
        _ => None,
    })
}

/// The number from which on it may vote, by an arithmetic of its own.
fn bound(executed_at: u64) -> u64 {
    (executed_at - 1) / PERIOD * PERIOD + WINDOW
}

/// What the replica sent to others since its memory was lost that they count on; and no reply left
/// before it was let in.
fn counted(cluster: &Cluster, replica: u32) -> Vec<Message> {
    let of_replica = || cluster.trace.iter().flatten().filter(|(_, from, _)| *from == replica);
    let has_replied = of_replica().any(|(_, _, output)| matches!(output, Output::Reply { .. }));
    assert!(!has_replied || cluster.status(replica).admitted);
    let sent = of_replica().filter_map(|(_, _, output)| match output {
        Output::Send { message, .. } => Some((**message).clone()),
        _ => None,
    });
    sent.filter(is_counted_on).collect()
}

/// Whether others count on a message, so that only a replica with its memory may send it.
fn is_counted_on(message: &Message) -> bool {
    matches!(
        message.kind(),
        Kind::Reply
            | Kind::PrePrepare
            | Kind::Prepare
            | Kind::Commit
            | Kind::Checkpoint
            | Kind::ViewChange
            | Kind::NewView
    ) || matches!(message, Message::Committed(_))
}

/// The number that a message promises something about; that of a VIEW-CHANGE is its lowest.
fn number(message: &Message) -> SeqNum {
    match message {
        Message::PrePrepare(signed, _) => signed.body.seq,
        Message::Prepare(vote) | Message::Commit(vote) => vote.seq,
        Message::Checkpoint(signed) => signed.body.seq,
        Message::Committed(committed) => committed.seq,
        Message::ViewChange(signed) => signed.body.low_water_mark.next(),
        _ => SeqNum::MAX,
    }
}

/// Nothing that counts was about a number up to the bound, and no reply came before it.
fn assert_no_word_up_to_the_bound(cluster: &Cluster, replica: u32) {
    let sent = counted(cluster, replica);
    let Some(executed_at) = executed_at(cluster, replica) else {
        assert_eq!(sent, [], "nothing is promised before the REJOIN is executed");
        return;
    };
    let bound = seq(bound(executed_at));
    for message in &sent {
        assert!(number(message) > bound, "{message:?} is not above {bound}");
    }
}

fn assert_member(cluster: &Cluster, replica: u32) {
    let status = cluster.status(replica);
    assert!(status.admitted && status.active && !status.amnesiac, "{status:?}");
}

/// [RJ2] [RJ3] [RJ5] [RJ6] On an idle cluster: the primary fills up to the bound, and then the
/// replica is a full member again, without which the others could not go on.
#[test]
fn idle_cluster_takes_a_replica_without_memory_back() {
    for (replica_count, replica) in [(4, 2), (4, 0), (7, 3), (7, 0)] {
        let mut cluster = Cluster::new(replica_count);
        work(&mut cluster, 1..=7);
        lose_memory(&mut cluster, replica);
        cluster.run(Duration::from_secs(6));
        assert_no_word_up_to_the_bound(&cluster, replica);
        assert_member(&cluster, replica);
        let bound = bound(executed_at(&cluster, replica).unwrap());
        assert!(cluster.status(replica).stable_checkpoint.0 >= seq(bound));
        let faulty = (replica_count - 1) / 3;
        let others: Vec<u32> = cluster.ids().filter(|id| *id != replica).collect();
        others.iter().take(faulty as usize).for_each(|other| cluster.crash(*other));
        cluster.ask(1, 1, "after");
        cluster.run(Duration::from_secs(10));
        let answers = cluster.answered(1, 1, "after");
        assert_eq!(answers.len(), (replica_count - faulty) as usize, "{answers:?}");
        assert!(!counted(&cluster, replica).is_empty(), "it votes");
        assert_no_word_up_to_the_bound(&cluster, replica);
        cluster.assert_agreement();
        assert!(cluster.evidence.is_empty() && cluster.halted.is_empty());
    }
}

/// [RJ3] [RJ6] Under load: the others serve their clients all the time.
#[test]
fn replica_without_memory_comes_back_while_clients_are_served() {
    for replica in [0, 2] {
        let mut cluster = Cluster::new(4);
        work(&mut cluster, 1..=20);
        lose_memory(&mut cluster, replica);
        for timestamp in 21..=60 {
            cluster.ask(0, timestamp, "a");
            cluster.run(Duration::from_millis(30));
            assert_no_word_up_to_the_bound(&cluster, replica);
        }
        cluster.run(Duration::from_secs(5));
        assert_member(&cluster, replica);
        for timestamp in 21..=60 {
            let answers = cluster.answered(0, timestamp, "a");
            assert!(answers.len() >= 3, "{timestamp} was answered by {answers:?}");
        }
        assert!(!counted(&cluster, replica).is_empty());
        cluster.assert_agreement();
    }
}

/// [RJ2] A crash at any moment of the way back: the new memory knows that it is not whole, and the
/// replica goes on rejoining without being told again.
#[test]
fn crash_on_the_way_back_leaves_the_replica_on_its_way() {
    for crash_after in (0..400).step_by(9) {
        let mut cluster = Cluster::new(4);
        work(&mut cluster, 1..=7);
        lose_memory(&mut cluster, 2);
        let mut delivered = 0;
        while delivered < crash_after {
            cluster.advance(Duration::from_millis(10));
            while let Some(envelope) = cluster.network.pop_front() {
                cluster.deliver(&envelope);
                delivered += 1;
            }
        }
        let was_amnesiac = cluster.status(2).amnesiac;
        let is_asked_for_anew = was_amnesiac && cluster.rejoined(0, 2).is_some();
        cluster.crash(2);
        cluster.start(2);
        assert_eq!(cluster.status(2).amnesiac, was_amnesiac, "after {crash_after}");
        let wait = if is_asked_for_anew { REJOIN_GAP } else { Duration::ZERO };
        cluster.run(wait + Duration::from_secs(8));
        assert_no_word_up_to_the_bound(&cluster, 2);
        assert_member(&cluster, 2);
        cluster.assert_agreement();
        assert!(cluster.halted.is_empty(), "after {crash_after}: {:?}", cluster.halted);
    }
}

/// [RJ4] It votes in no view that it may have left: not even if its VIEW-CHANGE reached one liar
/// only, who shows it when it has come back.
#[test]
fn view_left_before_the_loss_stays_left() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    let request = cluster.operation(1, 1, "for replica 2 alone");
    cluster.send_request_to(2, request);
    cluster.advance(Duration::from_millis(1000));
    let is_own = |e: &Envelope| e.from == 2 && e.kind() == Kind::ViewChange;
    let left = cluster.take(is_own).remove(0);
    assert_eq!(left_for(&left.message), view(1));
    cluster.network.clear();
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_secs(6));
    assert_member(&cluster, 2);
    let entered = cluster.status(2).view;
    assert!(entered > view(1));
    for to in [0, 1, 3] {
        cluster.inject(3, to, (*left.message).clone());
    }
    cluster.crash(cluster.config.primary(entered).get());
    cluster.ask(1, 2, "go on");
    cluster.run(Duration::from_secs(8));
    for message in counted(&cluster, 2) {
        let its_view = match &message {
            Message::Prepare(vote) | Message::Commit(vote) => vote.view,
            Message::PrePrepare(signed, _) => signed.body.view,
            Message::ViewChange(signed) if signed.signer.get() == 2 => signed.body.new_view,
            _ => continue,
        };
        assert!(its_view > view(1), "{message:?}");
    }
    assert_eq!(cluster.evidence, [], "nobody can accuse it of two VIEW-CHANGEs for one view");
    cluster.assert_agreement();
}

fn left_for(message: &Message) -> View {
    let Message::ViewChange(signed) = message else { panic!("{message:?}") };
    signed.body.new_view
}

/// [RJ4] All leave together for the view that a REJOIN names, in which its replica may vote.
#[test]
fn execution_of_a_rejoin_leads_all_to_a_later_view() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    lose_memory(&mut cluster, 1);
    cluster.run(Duration::from_secs(1));
    for replica in [0, 2, 3] {
        let causes: Vec<_> = cluster
            .events
            .iter()
            .filter_map(|(at, event)| match event {
                Event::ViewChangeStarted { view, cause } if *at == replica => Some((*view, *cause)),
                _ => None,
            })
            .collect();
        assert!(
            matches!(causes[..], [(_, ViewChangeCause::Rejoin | ViewChangeCause::Joined)]),
            "{causes:?}"
        );
    }
    assert!(cluster.views(&[0, 1, 2, 3]).iter().all(|at| *at == (2, true)));
}

/// [RJ4] Peers that lie about their views cannot keep a replica out: the lowest ones are taken.
#[test]
fn one_liar_does_not_make_the_view_absurd() {
    let mut cluster = Cluster::new(7);
    work(&mut cluster, 1..=3);
    lose_memory(&mut cluster, 2);
    let absurd = |e: &Envelope| -> Option<Message> {
        let Message::HelloReply(reply) = &*e.message else { return None };
        (e.from == 6).then(|| {
            let (boot_id, answer) = (reply.boot_id, Answer::View(View::MAX, WallTime::default()));
            Message::HelloReply(HelloReply { boot_id, answer })
        })
    };
    for _ in 0..600 {
        cluster.advance(Duration::from_millis(10));
        while let Some(envelope) = cluster.network.pop_front() {
            match absurd(&envelope) {
                Some(lie) => cluster.inject(6, envelope.to, lie),
                None => cluster.deliver(&envelope),
            }
        }
    }
    assert_member(&cluster, 2);
    assert!(cluster.status(2).view < view(20));
}

/// [RJ2] A REJOIN arms the request timer: a primary that does not order it is replaced, although
/// no client asks for anything.
#[test]
fn primary_that_orders_no_rejoin_is_replaced() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    lose_memory(&mut cluster, 2);
    let from_the_first = |e: &Envelope| e.from == 0 && e.kind() == Kind::PrePrepare;
    cluster.run_where(Duration::from_secs(10), |e| !from_the_first(e));
    assert_member(&cluster, 2);
}

/// [RJ5] And so does one in whose view the others stay, because the REJOIN names no later one.
#[test]
fn primary_that_does_not_fill_up_is_replaced_although_the_rejoin_leaves_its_view() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    cluster.crash(0);
    cluster.ask(1, 1, "moves the view");
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, true); 3]);
    cluster.start(0);
    cluster.run(Duration::from_secs(8));
    cluster.crash(3);
    let body = rejoin_of(3, 1, view(1));
    let ordered = cluster.status(0).last_executed.next();
    cluster.inject(3, 1, Message::Rejoin(cluster.sign(3, body)));
    let is_filling = |e: &Envelope| match &*e.message {
        Message::PrePrepare(signed, _) => e.from == 1 && signed.body.seq > ordered,
        _ => false,
    };
    cluster.run_where(Duration::from_secs(3), |e| !is_filling(e));
    assert_eq!(cluster.rejoined(0, 3).map(|rejoined| rejoined.seq), Some(ordered));
    assert!(cluster.status(0).view > view(1), "{:?}", cluster.status(0));
}

/// [RJ5] The same befalls one that orders it and does not fill up to the bound.
#[test]
fn primary_that_does_not_fill_up_to_the_bound_is_replaced() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    lose_memory(&mut cluster, 2);
    while executed_at(&cluster, 2).is_none() {
        cluster.run(Duration::from_millis(10));
    }
    let lazy = cluster.config.primary(view(3)).get();
    let filling = |e: &Envelope| e.from == lazy && e.kind() == Kind::PrePrepare;
    cluster.run_where(Duration::from_secs(10), |e| !filling(e));
    assert_member(&cluster, 2);
    assert_no_word_up_to_the_bound(&cluster, 2);
}

/// [RJ3] More amnesiacs than may be faulty promise nothing, for ever: the cluster stops.
#[test]
fn more_amnesiacs_than_f_stop_the_cluster() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    let executed = cluster.status(0).last_executed;
    lose_memory(&mut cluster, 2);
    cluster.start_without_memory(3);
    cluster.ask(1, 1, "in vain");
    cluster.run(Duration::from_secs(20));
    for replica in [2, 3] {
        assert!(cluster.status(replica).amnesiac);
        assert_eq!(counted(&cluster, replica), []);
    }
    assert_eq!(cluster.status(0).last_executed, executed);
    cluster.assert_agreement();
}

/// [RJ2] As many as may be faulty come back together.
#[test]
fn f_amnesiacs_come_back_together() {
    let mut cluster = Cluster::new(7);
    work(&mut cluster, 1..=7);
    lose_memory(&mut cluster, 2);
    cluster.start_without_memory(5);
    cluster.run(Duration::from_secs(10));
    for replica in [2, 5] {
        assert_member(&cluster, replica);
        assert_no_word_up_to_the_bound(&cluster, replica);
    }
    cluster.crash(0);
    cluster.crash(1);
    cluster.ask(1, 1, "with them");
    cluster.run(Duration::from_secs(10));
    assert_eq!(cluster.answered(1, 1, "with them"), [2, 3, 4, 5, 6]);
}

/// [RJ2] Whoever loses its memory again, even on the way back, rejoins again: after five minutes
/// and what clocks may differ by, on an idle cluster and without anybody's help.
#[test]
fn memory_lost_again_and_again_is_one_incarnation_more_each_time() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_millis(100));
    assert!(executed_at(&cluster, 2).is_some(), "the REJOIN is executed, the bound not passed");
    for _ in 0..3 {
        cluster.start_without_memory(2);
        cluster.run(REJOIN_GAP - SKEW * 6);
        assert!(cluster.status(2).amnesiac, "it waits");
        cluster.run(SKEW * 8);
        assert_member(&cluster, 2);
        assert_no_word_up_to_the_bound(&cluster, 2);
    }
    let incarnations: BTreeSet<Incarnation> = cluster
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::RejoinExecuted { incarnation, .. } => Some(*incarnation),
            _ => None,
        })
        .collect();
    assert_eq!(incarnations, (1..=4).map(Incarnation::new).collect());
}

/// Replica 3, faulty, asks all others for its next return again and again for so long. Returns how
/// often it had its way, and what made the others leave their views.
fn repeat_rejoin(cluster: &mut Cluster, span: Duration) -> (u64, Vec<ViewChangeCause>) {
    cluster.events.clear();
    let (mut last, mut count, mut causes) = (last_incarnation(cluster), 0, Vec::new());
    let end = cluster.now.after(span);
    while cluster.now < end {
        let body = rejoin_of(3, last.next().get(), cluster.status(0).view.next());
        for to in 0..3 {
            cluster.inject(3, to, Message::Rejoin(cluster.sign(3, body)));
        }
        cluster.run(Duration::from_millis(100));
        for (_, event) in std::mem::take(&mut cluster.events) {
            match event {
                Event::RejoinExecuted { incarnation, .. } if incarnation > last => {
                    (last, count) = (incarnation, count + 1);
                }
                Event::ViewChangeStarted { cause, .. } => causes.push(cause),
                _ => {}
            }
        }
    }
    (count, causes)
}

/// As which incarnation replica 3 has last rejoined.
fn last_incarnation(cluster: &Cluster) -> Incarnation {
    cluster.rejoined(0, 3).map_or(Incarnation::ZERO, |rejoined| rejoined.incarnation)
}

fn is_for_rejoins(cause: &ViewChangeCause) -> bool {
    matches!(cause, ViewChangeCause::Rejoin | ViewChangeCause::Joined)
}

/// [RJ2] A faulty replica that repeats REJOIN has the others leave their view once in five minutes,
/// and no primary looks guilty for what it does not order meanwhile.
#[test]
fn rejoin_that_is_repeated_has_an_effect_once_in_five_minutes() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    cluster.crash(3);
    let (count, causes) = repeat_rejoin(&mut cluster, REJOIN_GAP - Duration::from_secs(20));
    assert_eq!(count, 1, "the first one does not wait");
    assert!(causes.len() <= 3 && causes.iter().all(is_for_rejoins), "{causes:?}");
    for _ in 0..2 {
        let (count, causes) = repeat_rejoin(&mut cluster, REJOIN_GAP);
        assert_eq!(count, 1);
        assert!(causes.len() <= 3 && causes.iter().all(is_for_rejoins), "{causes:?}");
    }
    cluster.ask(1, 1, "after");
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.answered(1, 1, "after"), [0, 1, 2]);
}

/// [RJ2] Nor does one whose clock is behind those of the others, or ahead of them, by almost as
/// much as they believe.
#[test]
fn repeated_rejoin_makes_no_primary_look_guilty_whose_clock_differs() {
    for ahead in [[0, 5, 9], [9, 0, 5], [5, 9, 0]] {
        let mut cluster = Cluster::new(4);
        cluster.set_clocks(ahead.map(Duration::from_secs));
        work(&mut cluster, 1..=3);
        cluster.crash(3);
        let (count, causes) = repeat_rejoin(&mut cluster, REJOIN_GAP * 3);
        assert!((2..=4).contains(&count), "{count}");
        assert!(causes.iter().all(is_for_rejoins), "{causes:?}");
    }
}

/// [RJ2] A primary that does not order the next REJOIN of a replica although it is due is replaced,
/// once it is due by the clock of every backup.
#[test]
fn primary_does_not_keep_a_replica_out_whose_rejoin_is_due() {
    for replica_count in [4, 7] {
        let mut cluster = Cluster::new(replica_count);
        work(&mut cluster, 1..=7);
        lose_memory(&mut cluster, 2);
        cluster.run(Duration::from_secs(8));
        assert_member(&cluster, 2);
        let view = cluster.status(0).view;
        let primary = cluster.config.primary(view).get();
        cluster.start_without_memory(2);
        let unheard = |e: &Envelope| e.to != primary || e.kind() != Kind::Rejoin;
        cluster.run_where(REJOIN_GAP, unheard);
        assert_eq!(cluster.status(0).view, view, "it may not be due at the primary yet");
        cluster.run_where(REJOIN_GAP_TOLERANCE + Duration::from_secs(8), unheard);
        assert_member(&cluster, 2);
    }
}

/// [RJ2] Nor does a replica that cannot know when the last REJOIN was executed keep others from
/// ordering the next: it started since, and votes for what a primary thinks due.
#[test]
fn backups_that_started_since_the_last_rejoin_trust_the_primary() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_secs(8));
    assert_member(&cluster, 2);
    let primary = cluster.config.primary(cluster.status(0).view).get();
    cluster.start_without_memory(2);
    cluster.run(REJOIN_GAP - Duration::from_secs(20));
    for backup in (0..4).filter(|id| ![2, primary].contains(id)) {
        cluster.crash(backup);
        cluster.start(backup);
    }
    cluster.run(Duration::from_secs(40));
    assert_member(&cluster, 2);
}

/// [RJ2] A backup lets one wait, and the primary does not hear of it before it has expired: a
/// correct primary may not order it any more, so the backup does not leave its view for it.
#[test]
fn rejoin_that_expires_while_it_waits_makes_no_primary_look_guilty() {
    for (expires_after, is_left) in [(Duration::from_millis(20), false), (HOUR, true)] {
        let mut cluster = Cluster::new(4);
        work(&mut cluster, 1..=3);
        let now = WallTime::from_millis(cluster.now.as_micros() / 1000);
        let body = Rejoin { expires: now.after(SKEW + expires_after), ..rejoin_of(3, 1, view(2)) };
        cluster.crash(3);
        let rejoin = Message::Rejoin(cluster.sign(3, body));
        cluster.inject(3, 1, rejoin);
        cluster.run_where(Duration::from_secs(2), |e| e.kind() != Kind::Rejoin);
        assert_eq!(cluster.status(1).view > view(0), is_left, "{expires_after:?}");
    }
}

/// [RJ1] [RJ2] After a rejoin the disk from before it is no memory any more: its starts are unknown
/// to the new one, and the other way round.
#[test]
fn disk_from_before_the_rejoin_is_refused_after_it() {
    for heard in [true, false] {
        let mut cluster = Cluster::new(4);
        work(&mut cluster, 1..=7);
        let image = cluster.durable_records(2).to_vec();
        lose_memory(&mut cluster, 2);
        cluster.run(Duration::from_secs(6));
        assert_member(&cluster, 2);
        cluster.crash(2);
        if !heard {
            // Peers that started since have only the replicated state to judge by.
            for peer in [0, 1, 3] {
                cluster.crash(peer);
                cluster.start(peer);
            }
            cluster.run(Duration::from_secs(1));
        }
        cluster.restore_disk(2, image);
        cluster.start(2);
        cluster.run(Duration::from_secs(2));
        assert!(!cluster.status(2).admitted);
        assert!(matches!(cluster.status(2).halted, Some(HaltReason::Amnesia { .. })));
    }
}

/// [RJ1] After a rejoin an emptied disk is found out like before it.
#[test]
fn memory_lost_after_a_rejoin_is_found_out() {
    let mut cluster = Cluster::new(4);
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_secs(6));
    assert_member(&cluster, 2);
    cluster.crash(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(1));
    assert_member(&cluster, 2);
    cluster.crash(2);
    cluster.wipe(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(1));
    assert!(matches!(cluster.status(2).halted, Some(HaltReason::Amnesia { .. })));
}

/// [RJ2] A replica in whose name another memory rejoined stops when it executes that.
#[test]
fn replica_that_was_replaced_stops() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    let body = rejoin_of(2, 1, view(2));
    let rejoin = Message::Rejoin(cluster.sign(2, body));
    for to in [0, 1, 3] {
        cluster.inject(2, to, rejoin.clone());
    }
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.halted, [(2, HaltReason::Replaced { by: Incarnation::new(1) })]);
}

/// [RJ2] Nobody rejoins in another's name, twice in a batch, or again with an old REJOIN.
#[test]
fn rejoin_counts_once_and_only_from_its_replica() {
    let mut cluster = Cluster::new(4);
    let signed = |cluster: &Cluster, signer: u32, replica: u32| -> Signed<Rejoin> {
        let body = rejoin_of(replica, 1, view(2));
        cluster.sign(signer, body)
    };
    let (own, forged) = (signed(&cluster, 3, 3), signed(&cluster, 2, 3));
    let sender = Sender::Replica(ReplicaId::new(0));
    let admit = |rejoins: Vec<Signed<Rejoin>>| {
        let mut batch = (*batch_of(&cluster, 1, vec![])).clone();
        batch.rejoins = rejoins;
        let body = PrePrepare { view: view(0), seq: seq(9), digest: batch.digest() };
        let message = Message::PrePrepare(cluster.sign(0, body), Arc::new(batch));
        cluster.config.admit(sender, message).map(|_| ())
    };
    assert_eq!(admit(vec![own]), Ok(()));
    assert_eq!(admit(vec![forged]), Err(Reject::ForgedSender));
    assert_eq!(admit(vec![own, own]), Err(Reject::MalformedBatch));
    let mut tampered = own;
    tampered.body.view = view(3);
    assert_eq!(admit(vec![tampered]), Err(Reject::BadSignature));
    lose_memory(&mut cluster, 3);
    cluster.run(Duration::from_secs(6));
    assert_member(&cluster, 3);
    cluster.events.clear();
    cluster.inject(1, 0, Message::Rejoin(own));
    let stale = |(at, event): &(u32, Event)| {
        let is_stale = matches!(event, Event::Rejected { reason: Reject::Stale, .. });
        *at == 0 && is_stale
    };
    assert!(cluster.events.iter().any(stale));
    cluster.run(Duration::from_secs(6));
    assert_eq!(executed_at(&cluster, 3), None);
}

/// [RJ4] A batch whose REJOIN names a view far above is not voted for.
#[test]
fn rejoin_with_an_absurd_view_is_not_voted_for() {
    let mut cluster = Cluster::new(4);
    let body = rejoin_of(3, 1, view(1_000_000));
    let rejoin = cluster.sign(3, body);
    cluster.inject(3, 0, Message::Rejoin(rejoin));
    cluster.run(Duration::from_secs(1));
    assert_eq!(executed_at(&cluster, 3), None);
    let mut batch = (*batch_of(&cluster, 1, vec![])).clone();
    batch.rejoins = vec![rejoin];
    let n = cluster.status(1).last_executed.next();
    let body = PrePrepare { view: view(0), seq: n, digest: batch.digest() };
    cluster.inject(0, 1, Message::PrePrepare(cluster.sign(0, body), Arc::new(batch)));
    assert!(cluster.take(|e| e.from == 1 && e.kind() == Kind::Prepare).is_empty());
}

/// [RJ1] The HELLO of a replica that knows of its loss asks for the view and leaves no trace: if
/// the old disk is found before the REJOIN is executed, it is good.
#[test]
fn old_disk_found_before_the_rejoin_is_good() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    let image = cluster.durable_records(2).to_vec();
    lose_memory(&mut cluster, 2);
    cluster.run_where(Duration::from_secs(1), |e| e.kind() != Kind::Rejoin);
    cluster.crash(2);
    cluster.restore_disk(2, image);
    cluster.start(2);
    cluster.run(Duration::from_secs(2));
    assert_member(&cluster, 2);
    assert_eq!(executed_at(&cluster, 2), None);
}

/// [RJ2] A replica does not help to have a REJOIN ordered that another memory of its own has asked
/// for and that was given up.
#[test]
fn replica_that_goes_on_with_its_old_disk_relays_no_rejoin_of_its_own() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    let body = rejoin_of(2, 1, view(2));
    cluster.inject(3, 2, Message::Rejoin(cluster.sign(2, body)));
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.status(2).halted, None);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
}

/// [RJ1] A disk that was rolled back, and is put back after the replica set out to rejoin without
/// it, is found out as before: STATUS of a replica that was not let in says nothing of a start,
/// although it may come before HELLO, which waits for the disk.
#[test]
fn rolled_back_disk_found_before_the_rejoin_is_found_out_again() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=3);
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(2));
    assert_member(&cluster, 2);
    work(&mut cluster, 4..=7);
    cluster.crash(2);
    cluster.restore_disk(2, image);
    for _ in 0..2 {
        cluster.start(2);
        cluster.run(Duration::from_secs(2));
        assert!(matches!(cluster.status(2).halted, Some(HaltReason::Amnesia { .. })));
        cluster.crash(2);
    }
    let rolled_back = cluster.durable_records(2).to_vec();
    cluster.hold_syncs(2);
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_secs(1));
    let is_status = |output: &Output| match output {
        Output::Send { message, .. } => message.kind() == Kind::Status,
        _ => false,
    };
    let mut sent = cluster.trace.iter().flatten();
    assert!(sent.any(|(_, from, output)| *from == 2 && is_status(output)));
    cluster.crash(2);
    cluster.release_syncs(2);
    cluster.restore_disk(2, rolled_back);
    cluster.start(2);
    cluster.run(Duration::from_secs(2));
    assert!(!cluster.status(2).admitted);
    assert!(matches!(cluster.status(2).halted, Some(HaltReason::Amnesia { .. })));
}

/// [RJ3] The mark of the loss is durable before the REJOIN leaves.
#[test]
fn loss_is_noted_durably_before_the_rejoin_leaves() {
    let mut cluster = Cluster::new(4);
    cluster.crash(2);
    cluster.hold_syncs(2);
    lose_memory(&mut cluster, 2);
    cluster.run(Duration::from_secs(1));
    let rejoins = |e: &Envelope| e.from == 2 && e.kind() == Kind::Rejoin;
    assert!(cluster.take(rejoins).is_empty());
    assert_eq!(executed_at(&cluster, 2), None);
    cluster.sync(2);
    let is_mark = |record: &Record| matches!(record, Record::Amnesiac);
    assert!(cluster.durable_records(2).iter().any(is_mark));
    cluster.release_syncs(2);
    cluster.run(Duration::from_secs(6));
    assert_member(&cluster, 2);
}

/// [RJ3] A replica on its way back, and one that has rejoined, is the same after its records were
/// restated.
#[test]
fn restated_records_keep_the_way_back() {
    let mut cluster = Cluster::new(4);
    work(&mut cluster, 1..=7);
    lose_memory(&mut cluster, 2);
    cluster.run_where(Duration::from_millis(300), within(&[0, 1, 2, 3]));
    let again = cluster.rebuilt_from_restated(2);
    assert_eq!(again.status().amnesiac, cluster.status(2).amnesiac);
    cluster.run(Duration::from_secs(6));
    assert_member(&cluster, 2);
    assert!(!cluster.rebuilt_from_restated(2).status().amnesiac);
    let of_own = |record: &Record| match record {
        Record::Boot { incarnation, .. } => Some(*incarnation),
        _ => None,
    };
    let restated = cluster.core(2).durable_records();
    assert_eq!(restated.iter().find_map(of_own), Some(Incarnation::new(1)));
}

/// [RJ3] Two VIEW-CHANGEs for one view never come from a replica, whatever it forgot between them.
#[test]
fn view_changes_of_both_lives_are_for_different_views() {
    for replica in [1, 2] {
        let mut cluster = Cluster::new(4);
        cluster.trace = Some(Vec::new());
        work(&mut cluster, 1..=3);
        cluster.crash(0);
        cluster.ask(1, 1, "away from the first view");
        cluster.run(Duration::from_secs(4));
        cluster.start(0);
        cluster.run(Duration::from_secs(4));
        cluster.start_without_memory(replica);
        cluster.run(Duration::from_secs(8));
        assert_member(&cluster, replica);
        cluster.crash(cluster.config.primary(cluster.status(replica).view).get());
        cluster.ask(1, 2, "away from that one, too");
        cluster.run(Duration::from_secs(8));
        let mut said: BTreeMap<View, ViewChange> = BTreeMap::new();
        for (_, from, output) in cluster.trace.iter().flatten() {
            let Output::Send { message, .. } = output else { continue };
            let Message::ViewChange(signed) = &**message else { continue };
            if *from == replica && signed.signer.get() == replica {
                let first = said.entry(signed.body.new_view).or_insert_with(|| signed.body.clone());
                assert_eq!(*first, signed.body);
            }
        }
        assert!(said.len() >= 2);
        cluster.assert_agreement();
    }
}

/// [RJ1] A replica whose peers do not know it yet starts as ever.
#[test]
fn first_start_is_no_rejoin() {
    let mut cluster = Cluster::not_started(test_config(4));
    cluster.ids().for_each(|replica| cluster.start(replica));
    cluster.run(Duration::from_secs(1));
    assert!(cluster.ids().all(|replica| cluster.status(replica).admitted));
}
