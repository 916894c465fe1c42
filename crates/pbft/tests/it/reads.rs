//! Reads that are not ordered: who may ask, and when a replica shows what it has.

use crate::cluster::{Cluster, Envelope, seq, test_config};
use pbft::message::{Kind, Operation, Read, ServiceId};
use pbft::{ClientId, Config, Message, Reject, ReplicaId, Sender, SeqNum, Session};
use std::time::Duration;

fn read(operations: Vec<Operation>) -> Message {
    let not_before = SeqNum::ZERO;
    Message::Read(Read { session: Session::new(1), number: 1, not_before, operations })
}

fn get(bytes: usize) -> Operation {
    Operation { service: ServiceId(0), body: vec![0; bytes] }
}

/// [RO1] Only a client reads, over its own link and within the limits of a REQUEST, and only where
/// the configuration offers it.
#[test]
fn read_of_a_stranger_or_a_replica_or_beyond_the_limits_is_refused_at_the_door() {
    let mut config = test_config(4);
    let from = |config: &Config, sender, message| config.admit(sender, message).map(|_| ());
    let client = Sender::Client(ClientId::new(0));
    assert_eq!(from(&config, client, read(vec![get(8)])), Ok(()));
    let stranger = Sender::Client(ClientId::new(9));
    assert_eq!(from(&config, stranger, read(vec![get(8)])), Err(Reject::UnknownClient));
    let replica = Sender::Replica(ReplicaId::new(1));
    assert_eq!(from(&config, replica, read(vec![get(8)])), Err(Reject::ForgedSender));
    let parameters = &config.parameters;
    let (count, bytes) = (parameters.operations_per_request_max, parameters.request_bytes_max);
    for beyond in [vec![], vec![get(0); count + 1], vec![get(bytes), get(1)]] {
        assert_eq!(from(&config, client, read(beyond)), Err(Reject::OverLimit));
    }
    config.parameters.one_round_reads = false;
    assert_eq!(from(&config, client, read(vec![get(8)])), Err(Reject::NotOffered));
}

/// [RO2] What was executed is shown once it is as durable as a reply to it would have to be.
#[test]
fn reading_waits_for_the_disk_like_a_reply() {
    let mut cluster = Cluster::new(4);
    cluster.hold_syncs(2);
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 3], "the others have it on their disks");
    assert_eq!(cluster.status(2).last_executed, cluster.status(0).last_executed);
    for replica in 0..4 {
        cluster.read(replica, 7, SeqNum::ZERO);
    }
    assert_eq!(cluster.shown, [(0, 7), (1, 7), (3, 7)]);
    cluster.sync(2);
    assert_eq!(cluster.shown.last(), Some(&(2, 7)));
}

/// [RO3] A replica that has not executed the number named waits for it a little, and no longer.
#[test]
fn reading_waits_for_the_number_that_it_names_but_not_for_long() {
    let mut cluster = Cluster::new(4);
    let next = cluster.status(0).last_executed.next();
    cluster.read(0, 1, next);
    cluster.read(0, 2, next.next());
    assert_eq!(cluster.shown, []);
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    assert_eq!(cluster.shown, [(0, 1)]);
    cluster.advance(Duration::from_millis(60));
    cluster.ask(0, 2, "b");
    cluster.deliver_all();
    assert_eq!(cluster.status(0).last_executed, next.next());
    assert_eq!(cluster.shown, [(0, 1)], "its client has given up as well");
}

/// [RO3] What waits for a number that never comes takes no more than its room, and none for long.
#[test]
fn readings_that_wait_for_ever_are_few_and_soon_gone() {
    let mut cluster = Cluster::new(4);
    let next = cluster.status(0).last_executed.next();
    for number in 0..1000 {
        cluster.read(0, number, seq(1 << 40));
    }
    cluster.advance(Duration::from_millis(60));
    for number in 1000..1100 {
        cluster.read(0, number, next);
    }
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    assert_eq!(cluster.shown.len(), 64, "{:?}", cluster.shown);
    assert!(cluster.shown.iter().all(|(_, number)| *number >= 1000));
}

/// [RO4] A replica that restarts may have shown what it has a P entry for, so it shows nothing
/// older.
#[test]
fn restarted_replica_shows_nothing_before_it_has_executed_what_it_prepared() {
    let mut cluster = Cluster::new(4);
    let before = cluster.status(2).last_executed;
    cluster.ask(0, 1, "a");
    let is_commit_to_2 = |e: &Envelope| e.to == 2 && e.kind() == Kind::Commit;
    cluster.deliver_where(|e| !is_commit_to_2(e));
    assert_eq!(cluster.status(2).last_executed, before, "prepared there, and not committed");
    cluster.crash(2);
    cluster.start(2);
    cluster.read(2, 1, SeqNum::ZERO);
    assert_eq!(cluster.shown, [], "not let in yet");
    cluster.advance(Duration::from_millis(1));
    cluster.deliver_where(|e| e.kind() == Kind::Hello);
    assert!(cluster.status(2).admitted);
    cluster.read(2, 2, SeqNum::ZERO);
    assert_eq!(cluster.shown, [], "the others may have told a client of it");
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.status(2).last_executed, before.next());
    assert_eq!(cluster.shown, [(2, 1), (2, 2)], "what was asked for has waited until then");
}
