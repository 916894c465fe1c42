//! What survives a restart, and what a replica without memory must not do.

use crate::cluster::{Cluster, Envelope, seq, test_config, view, within};
use crate::normal_case::batch_of;
use pbft::message::{
    Answer, BootId, HelloReply, Kind, PrePrepare, Question, Remembered, StartId, Vote,
};
use pbft::{Event, HaltReason, Incarnation, Message, Output, Record, ReplicaId};
use std::sync::Arc;
use std::time::Duration;

/// [RS1] A replica that left a view with nothing prepared comes back in the view it left for, does
/// not vote in the old one, and sends the very same VIEW-CHANGE.
#[test]
fn replica_comes_back_in_the_view_it_left_for() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.advance(Duration::from_millis(1000));
    let is_vc = |e: &Envelope| e.from == 2 && e.kind() == Kind::ViewChange;
    let before = cluster.take(is_vc)[0].message.clone();
    cluster.network.clear();
    cluster.crash(2);
    cluster.start(2);
    cluster.advance(Duration::from_millis(1));
    cluster.deliver_all();
    assert_eq!(cluster.views(&[2]), [(1, false)]);
    cluster.advance(Duration::from_millis(300));
    let after = cluster.take(is_vc)[0].message.clone();
    assert_eq!(before, after);
    cluster.network.clear();
    let batch = batch_of(&cluster, 1, vec![]);
    let n = cluster.status(2).last_executed.get() + 1;
    let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
    let message = Message::PrePrepare(cluster.sign(0, body), batch);
    cluster.inject(0, 2, message);
    assert!(cluster.take(|e| e.from == 2 && e.kind() == Kind::Prepare).is_empty());
}

/// [P5] What a replica voted for before a crash it votes for after it, and for nothing else.
#[test]
fn restarted_backup_repeats_its_vote_and_takes_no_other() {
    let mut cluster = Cluster::new(4);
    let n = cluster.status(2).last_executed.get() + 1;
    let (first, second) = (batch_of(&cluster, 1, vec![]), batch_of(&cluster, 2, vec![]));
    let offer = |cluster: &mut Cluster, batch: &Arc<pbft::message::Batch>| {
        let body = PrePrepare { view: view(0), seq: seq(n), digest: batch.digest() };
        let message = Message::PrePrepare(cluster.sign(0, body), Arc::clone(batch));
        cluster.inject(0, 2, message);
    };
    offer(&mut cluster, &first);
    let vote = Vote { view: view(0), seq: seq(n), digest: first.digest() };
    cluster.inject(1, 2, Message::Prepare(vote));
    cluster.network.clear();
    cluster.crash(2);
    cluster.start(2);
    cluster.advance(Duration::from_millis(1));
    cluster.deliver_where(|e| e.kind() == Kind::Hello);
    offer(&mut cluster, &second);
    let sent = |cluster: &mut Cluster, kind| {
        let taken = cluster.take(|e| e.from == 2 && e.kind() == kind);
        let mut votes: Vec<Vote> = taken
            .iter()
            .filter_map(|e| match &*e.message {
                Message::Prepare(vote) | Message::Commit(vote) => Some(*vote),
                _ => None,
            })
            .collect();
        votes.dedup();
        votes
    };
    let prepares = sent(&mut cluster, Kind::Prepare);
    assert!(prepares.iter().all(|v| *v == vote), "{prepares:?}");
    let commits = sent(&mut cluster, Kind::Commit);
    assert!(commits.iter().all(|v| *v == vote), "{commits:?}");
}

/// [P5] A restarted primary never assigns a used number again.
#[test]
fn restarted_primary_goes_on_behind_the_numbers_it_used() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.network.clear();
    cluster.crash(0);
    cluster.start(0);
    cluster.run(Duration::from_millis(700));
    cluster.ask(0, 2, "b");
    cluster.run(Duration::from_millis(700));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.answered(0, 2, "b"), [0, 1, 2, 3]);
    assert_eq!(cluster.evidence, []);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), [(0, true); 4]);
}

/// A crash between any two messages, what is not durable lost, a restart: never two messages for one
/// slot, and the replica goes on.
#[test]
fn crash_at_any_moment_never_leads_to_two_messages_for_one_slot() {
    for crash_after in 0.. {
        let mut cluster = Cluster::new(4);
        cluster.hold_syncs(2);
        let mut said: Vec<(u32, Message)> = Vec::new();
        let mut delivered = 0;
        for timestamp in 1..=6 {
            cluster.ask(0, timestamp, "a");
            while delivered < crash_after
                && let Some(envelope) = cluster.network.pop_front()
            {
                note(&mut said, &envelope);
                cluster.deliver(&envelope);
                delivered += 1;
                if delivered % 5 == 0 {
                    cluster.sync(2);
                }
            }
        }
        cluster.crash(2);
        cluster.start(2);
        cluster.release_syncs(2);
        for step in 0..100 {
            cluster.advance(Duration::from_millis(20));
            if step == 20 {
                cluster.ask(1, 1, "later");
            }
            while let Some(envelope) = cluster.network.pop_front() {
                note(&mut said, &envelope);
                cluster.deliver(&envelope);
            }
        }
        assert_no_equivocation(&said);
        cluster.assert_agreement();
        assert_eq!(cluster.answered(1, 1, "later"), [0, 1, 2, 3], "after {crash_after}");
        if delivered < crash_after {
            break;
        }
    }
}

fn note(said: &mut Vec<(u32, Message)>, envelope: &Envelope) {
    if envelope.from == 2 {
        said.push((2, (*envelope.message).clone()));
    }
}

fn assert_no_equivocation(said: &[(u32, Message)]) {
    let mut slots = std::collections::BTreeMap::new();
    for (from, message) in said {
        let (slot, content) = match message {
            Message::Prepare(v) => (("prepare", v.view.get(), v.seq.get()), v.digest),
            Message::Commit(v) => (("commit", v.view.get(), v.seq.get()), v.digest),
            Message::PrePrepare(s, _) => {
                (("pre-prepare", s.body.view.get(), s.body.seq.get()), s.body.digest)
            }
            Message::Checkpoint(s) => (("checkpoint", 0, s.body.seq.get()), s.body.id.state_root),
            Message::ViewChange(s) if s.signer.get() == *from => {
                (("view-change", s.body.new_view.get(), 0), s.digest())
            }
            _ => continue,
        };
        let first = slots.entry((*from, slot)).or_insert(content);
        assert_eq!(*first, content, "two messages for {slot:?}");
    }
}

/// [RJ1] A replica whose disk was emptied is found out by its peers, votes for nothing and stops.
#[test]
fn wiped_replica_is_found_out_and_stops() {
    let mut cluster = Cluster::new(4);
    cluster.crash(2);
    cluster.wipe(2);
    cluster.start(2);
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.halted, [(2, HaltReason::Amnesia { own: 1, seen: 1 })]);
    assert!(!cluster.status(2).admitted);
}

/// [RJ1] Starting again and again does not help an emptied disk, whether its peers hear of each
/// start or of the last one only; and its owner cannot talk it back in.
#[test]
fn wiped_replica_is_not_let_in_by_starting_again() {
    for heard in [true, false] {
        let mut cluster = Cluster::new(4);
        cluster.run(Duration::from_secs(1));
        cluster.crash(2);
        cluster.wipe(2);
        for _ in 0..5 {
            cluster.start(2);
            if heard {
                cluster.run(Duration::from_millis(500));
            }
            cluster.crash(2);
        }
        cluster.start(2);
        cluster.run(Duration::from_millis(500));
        assert!(!cluster.status(2).admitted, "heard of each start: {heard}");
        assert!(matches!(cluster.status(2).halted, Some(HaltReason::Amnesia { .. })));
    }
}

fn assert_stays_out(cluster: &mut Cluster, replica: u32, starts: u32) {
    for start in 1..=starts {
        cluster.start(replica);
        cluster.run(Duration::from_millis(500));
        assert!(!cluster.status(replica).admitted, "start {start}");
        cluster.crash(replica);
    }
}

/// [RJ1] A disk that was rolled back to before its last start does not know of that start, however
/// often it starts afterwards.
#[test]
fn disk_rolled_back_across_a_start_is_found_out() {
    let mut cluster = Cluster::new(4);
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(1));
    assert!(cluster.status(2).admitted);
    cluster.crash(2);
    cluster.restore_disk(2, image);
    assert_stays_out(&mut cluster, 2, 3);
}

/// [RJ1] Nor does it help that its peers were started again meanwhile: that the lost start took
/// part is durable there.
#[test]
fn disk_rolled_back_across_a_start_is_found_out_after_its_peers_were_started_again() {
    let mut cluster = Cluster::new(4);
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(1));
    assert!(cluster.status(2).admitted);
    cluster.ids().for_each(|replica| cluster.crash(replica));
    [0, 1, 3].into_iter().for_each(|replica| cluster.start(replica));
    cluster.run(Duration::from_secs(1));
    assert!(cluster.status(0).admitted);
    cluster.restore_disk(2, image);
    assert_stays_out(&mut cluster, 2, 5);
}

fn id(replica: u32) -> ReplicaId {
    ReplicaId::new(replica)
}

/// [RJ1] Where a few peers remember a start that the disk does not know, and too few are left to let
/// it in, the replica waits and says who remembers; it may rejoin, as if it had been found out.
#[test]
fn replica_that_is_accused_by_few_says_so_and_may_rejoin() {
    let mut cluster = Cluster::new(7);
    cluster.run(Duration::from_secs(1));
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run_where(Duration::from_secs(1), |e| e.from != 2 || e.to <= 1);
    cluster.crash(2);
    cluster.restore_disk(2, image);
    cluster.crash(6);
    cluster.events.clear();
    cluster.start(2);
    cluster.run(Duration::from_secs(60));
    let status = cluster.status(2);
    assert!(!status.admitted);
    assert_eq!((status.accused_by, status.halted), (vec![id(0), id(1)], None));
    let told = cluster.events.iter().filter(|(_, e)| matches!(e, Event::StartNotKnown { .. }));
    let told: Vec<_> = told.copied().collect();
    let of_peer = |peer| (2, Event::StartNotKnown { peer: id(peer), seen: 2 });
    assert_eq!(told, [of_peer(0), of_peer(1)]);
    cluster.start_without_memory(2);
    cluster.run(Duration::from_secs(10));
    let status = cluster.status(2);
    assert!(status.admitted && !status.amnesiac);
    assert_eq!(status.accused_by, []);
}

/// [RJ1] A liar's word that it remembers a start does not matter where enough peers let it in.
#[test]
fn replica_that_is_let_in_names_no_accuser() {
    let mut cluster = Cluster::new(4);
    cluster.crash(2);
    cluster.start(2);
    cluster.sync(2);
    let hello = cluster.take(|e| e.from == 2 && e.kind() == Kind::Hello).remove(0);
    let Message::Hello(hello) = &*hello.message else { panic!("{hello:?}") };
    let Question::Admission(introduction) = &hello.question else { panic!("{hello:?}") };
    let boot_id = introduction.start.body.id.boot_id;
    let lie = hello_reply(boot_id, vec![StartId { counter: 9, boot_id: [9; 16] }]);
    cluster.inject(3, 2, lie);
    assert_eq!(cluster.status(2).accused_by, [id(3)]);
    cluster.run(Duration::from_secs(2));
    let status = cluster.status(2);
    assert!(status.admitted);
    assert_eq!(status.accused_by, []);
}

/// [RJ1] What an earlier start sent and the network delivers late does not pass for a sign that the
/// start of a rolled-back disk was let in.
#[test]
fn late_message_of_a_lost_start_does_not_let_an_amnesiac_in() {
    let mut cluster = Cluster::new(4);
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run(Duration::from_secs(1));
    for timestamp in 1..=4 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(|e| e.kind() != Kind::Checkpoint);
    }
    cluster.ask(0, 5, "a");
    let request = cluster.operation(0, 6, "a");
    cluster.send_request_to(2, request);
    cluster.advance(Duration::from_millis(300));
    cluster.advance(Duration::from_secs(1));
    let of_kind = |cluster: &mut Cluster, kind| cluster.take(|e| e.from == 2 && e.kind() == kind);
    let late = [Kind::Request, Kind::Status].map(|kind| of_kind(&mut cluster, kind)[0].clone());
    cluster.network.clear();
    cluster.crash(2);
    cluster.restore_disk(2, image);
    for _ in 0..5 {
        cluster.start(2);
        cluster.run(Duration::from_millis(500));
        assert!(!cluster.status(2).admitted);
        for peer in [0, 1, 3] {
            for message in &late {
                cluster.deliver(&Envelope { to: peer, ..message.clone() });
            }
        }
        cluster.crash(2);
    }
}

/// [RJ1] A replica that was not let in yet says nothing but HELLO, not even what it signed before.
#[test]
fn replica_that_was_not_let_in_repeats_no_checkpoint() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=4 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_where(|e| e.kind() != Kind::Checkpoint);
    }
    cluster.crash(2);
    cluster.start(2);
    cluster.advance(Duration::from_millis(1));
    let said = cluster.take(|e| e.from == 2);
    assert!(said.iter().all(|e| e.kind() == Kind::Hello), "{said:?}");
    said.iter().for_each(|envelope| cluster.deliver(envelope));
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.status(2).stable_checkpoint.0, seq(8));
}

/// [RJ1] Also a peer that was not needed to let a replica in remembers its start in the end,
/// although the network lost the HELLO.
#[test]
fn start_is_told_to_every_peer_however_often_hello_is_lost() {
    let mut cluster = Cluster::new(4);
    cluster.crash(2);
    cluster.start(2);
    cluster.run_where(Duration::from_secs(1), |e| (e.from, e.to) != (2, 3));
    assert!(cluster.status(2).admitted);
    cluster.run(Duration::from_secs(3));
    let noted = |r: &Record| match r {
        Record::PeerStarts { replica, starts } => {
            replica.get() == 2 && starts.iter().any(|start| start.body.id.counter == 2)
        }
        _ => false,
    };
    assert!(cluster.durable_records(3).iter().any(noted));
}

/// [RJ1] Honest restarts, heard of or not, keep nobody out.
#[test]
fn replica_that_knows_its_starts_is_let_in_however_many_they_were() {
    let mut cluster = Cluster::new(4);
    for round in 0..12 {
        cluster.crash(2);
        cluster.start(2);
        if round % 3 == 0 {
            cluster.run(Duration::from_secs(5));
        }
    }
    cluster.run(Duration::from_secs(30));
    assert!(cluster.status(2).admitted);
}

/// [RJ1] Whoever lost its memory knows nothing that keeps a peer out, so it lets nobody in.
#[test]
fn replica_without_its_memory_lets_nobody_in() {
    let mut cluster = Cluster::new(4);
    cluster.start_without_memory(1);
    cluster.trace = Some(Vec::new());
    cluster.crash(2);
    cluster.start(2);
    cluster.run_where(Duration::from_secs(1), |e| e.kind() != Kind::Rejoin);
    assert!(cluster.status(1).amnesiac && cluster.status(2).admitted);
    let lets_in = |output: &Output| match output {
        Output::Send { message, .. } => match &**message {
            Message::HelloReply(reply) => matches!(reply.answer, Answer::Starts(_)),
            _ => false,
        },
        _ => false,
    };
    let of = |replica| {
        let outputs = cluster.trace.iter().flatten().filter(move |(_, from, _)| *from == replica);
        outputs.filter(|(_, _, output)| lets_in(output)).count()
    };
    assert_eq!(of(1), 0);
    assert!(of(0) > 0);
}

/// [RJ1] One lying peer can neither let an amnesiac in nor keep an honest replica out.
#[test]
fn one_lying_peer_decides_nothing_about_admission() {
    let mut cluster = Cluster::new(4);
    cluster.crash(2);
    cluster.start(2);
    cluster.network.clear();
    let boot_id = [2; 16];
    let seen = vec![StartId { counter: 1000, boot_id: [9; 16] }];
    cluster.inject(3, 2, hello_reply(boot_id, seen));
    cluster.run_where(Duration::from_millis(500), |e| e.from != 3);
    assert!(cluster.status(2).admitted);
    cluster.crash(1);
    cluster.wipe(1);
    cluster.start(1);
    cluster.network.clear();
    cluster.inject(3, 1, hello_reply(boot_id, vec![]));
    cluster.run_where(Duration::from_millis(500), within(&[0, 1, 2]));
    assert_eq!(cluster.halted.last().map(|(replica, _)| *replica), Some(1));
}

fn hello_reply(boot_id: BootId, seen: Vec<StartId>) -> Message {
    let (incarnation, others) = (Incarnation::ZERO, vec![]);
    let answer = Answer::Starts(Remembered {
        incarnation,
        seen,
        others,
        is_confirmed: true,
        by: [7; 16],
        round: 0,
    });
    Message::HelloReply(HelloReply { boot_id, answer })
}

/// [RJ1] A peer's start is durable before the answer to its HELLO.
#[test]
fn start_of_a_peer_is_durable_before_it_is_confirmed() {
    let mut cluster = Cluster::not_started(test_config(4));
    cluster.start(0);
    cluster.start(1);
    cluster.hold_syncs(1);
    cluster.advance(Duration::from_millis(1));
    cluster.deliver_where(|e| e.from == 0 && e.to == 1);
    let replies = |e: &Envelope| matches!(&*e.message, Message::HelloReply(_));
    assert!(cluster.take(replies).is_empty());
    cluster.sync(1);
    let noted = |r: &Record| matches!(r, Record::PeerStarts { replica, .. } if replica.get() == 0);
    assert!(cluster.durable_records(1).iter().any(noted));
    assert_eq!(cluster.take(replies).len(), 1);
}

/// A replica rebuilt from its restated records is the same replica.
#[test]
fn restated_records_rebuild_the_same_replica() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=7 {
        cluster.ask(0, timestamp, "a");
        cluster.deliver_all();
    }
    cluster.ask(1, 1, "unfinished");
    cluster.deliver_where(|e| e.kind() != Kind::Commit);
    for replica in cluster.ids() {
        let restated = cluster.core(replica).durable_records();
        let again = cluster.rebuilt_from_restated(replica);
        let without_boot = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|r| !matches!(r, Record::Boot { .. })).cloned().collect()
        };
        assert_eq!(without_boot(&restated), without_boot(&again.durable_records()));
        assert_eq!(cluster.status(replica).view, again.status().view);
    }
}

/// [VC10] A new journal segment restates what is in the old one, and a crash can leave both: a
/// NEW-VIEW that is read twice is not a rival of itself.
#[test]
fn new_view_read_twice_is_one() {
    let mut cluster = Cluster::new(4);
    cluster.crash(0);
    cluster.ask(0, 1, "a");
    cluster.run(Duration::from_secs(5));
    let entered = cluster.views(&[2]);
    assert!(entered[0].0 > 0 && entered[0].1, "{entered:?}");
    let new_views = |records: &[Record]| -> Vec<Record> {
        records.iter().filter(|r| matches!(r, Record::NewView(_))).cloned().collect()
    };
    let mut disk = cluster.durable_records(2).to_vec();
    let last = new_views(&disk).pop().expect("a durable NEW-VIEW");
    disk.push(last.clone());
    cluster.crash(2);
    cluster.restore_disk(2, disk);
    cluster.start(2);
    assert_eq!(new_views(&cluster.core(2).durable_records()), [last]);
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.views(&[2]), entered);
}

/// [RS1] The VIEW-CHANGE that led to a view stays with it, across a new journal segment too: peers
/// that missed it are sent the same one.
#[test]
fn own_view_change_is_kept_in_the_view_it_led_to() {
    let mut cluster = Cluster::new(4);
    cluster.crash(0);
    cluster.ask(0, 1, "a");
    cluster.run(Duration::from_secs(5));
    for replica in [1, 2, 3] {
        let entered = cluster.status(replica).view;
        let records = cluster.core(replica).durable_records();
        let own = records.iter().filter(|record| match record {
            Record::ViewChange(signed) => signed.body.new_view == entered,
            _ => false,
        });
        assert_eq!(own.count(), 1, "replica {replica} in view {entered}");
    }
}

/// [RJ1] A start in which a replica took part is remembered even if no peer got a STATUS of it, and
/// a disk that knows nothing of it does not get in by starting often.
#[test]
fn start_of_which_no_status_arrived_is_remembered_however_often_the_replica_starts() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(1));
    let image = cluster.durable_records(2).to_vec();
    cluster.crash(2);
    cluster.start(2);
    cluster.run_where(Duration::from_secs(1), |e| !(e.from == 2 && e.kind() == Kind::Status));
    assert!(cluster.status(2).admitted);
    cluster.crash(2);
    cluster.restore_disk(2, image);
    assert_stays_out(&mut cluster, 2, 6);
}
