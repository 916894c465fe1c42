//! Loss of power everywhere, disks that fail, and disks that forget.

use super::cluster::{Cluster, replica};
use pbft::message::Message;
use pbft::{HaltReason, View};
use quorate_replica::{Backend, Crash, HaltCause, MemoryBackend};

/// The same disk after a loss of power.
fn after_power_cut(cluster: &Cluster, id: u32) -> MemoryBackend {
    cluster.disk(id).restart(Crash::PowerLosingAll)
}

fn restart_all(cluster: &mut Cluster) {
    for id in 0..4 {
        cluster.kill(id);
        let disk = after_power_cut(cluster, id);
        cluster.set_disk(id, disk);
    }
    for id in 0..4 {
        cluster.start(id);
    }
}

/// [DU1] [EX4] Whenever the power fails, and although it fails everywhere.
#[test]
fn what_a_client_was_told_survives_the_loss_of_power_everywhere() {
    for moment in 0..60 {
        let mut cluster = Cluster::new();
        cluster.start_all();
        cluster.operate();
        let pending: Vec<u64> = (0..7).map(|_| cluster.submit_operation()).collect();
        (0..moment).for_each(|_| cluster.advance());
        let told = cluster.agreed_outcomes();
        restart_all(&mut cluster);
        for timestamp in pending {
            cluster.await_outcome(timestamp);
        }
        cluster.settle();
        for (timestamp, outcome) in told {
            cluster.transmit(timestamp, &[0, 1, 2, 3]);
            cluster.settle();
            assert_eq!(cluster.agreed_outcomes()[&timestamp], outcome, "moment {moment}");
        }
        let log = cluster.log_of(0);
        assert_eq!(log.len(), 8, "moment {moment}: each operation was executed once");
        assert!((1..4).all(|id| cluster.log_of(id) == log), "moment {moment}");
        assert!(cluster.halts.is_empty());
    }
}

/// [RS1] The replica has left view 0 and nothing is in P or Q: only the record of its VIEW-CHANGE
/// says so.
#[test]
fn replica_that_left_a_view_comes_back_outside_of_it() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.operate();
    cluster.settle();
    (0..4).filter(|id| *id != 2).for_each(|id| cluster.cut(id));
    cluster.submit_operation();
    let sent_by_2 = |cluster: &Cluster| -> Vec<_> {
        let own = cluster.sent.iter().filter(|sent| sent.from == replica(2));
        own.filter(|sent| matches!(*sent.message, Message::ViewChange(_)))
            .map(|sent| sent.message.clone())
            .collect()
    };
    while sent_by_2(&cluster).is_empty() {
        cluster.advance();
    }
    let first = sent_by_2(&cluster).remove(0);
    cluster.kill(2);
    let (disk, before) = (after_power_cut(&cluster, 2), cluster.sent.len());
    cluster.set_disk(2, disk);
    cluster.start(2);
    assert_eq!(cluster.status(2).view, View::new(1));
    assert!(!cluster.status(2).active);
    (0..4).for_each(|id| cluster.heal(id));
    cluster.operate();
    cluster.settle();
    for sent in cluster.sent[before..].iter().filter(|sent| sent.from == replica(2)) {
        match &*sent.message {
            Message::Prepare(vote) | Message::Commit(vote) => assert_ne!(vote.view, View::ZERO),
            Message::ViewChange(signed) if signed.signer == replica(2) => {
                let is_first = signed.body.new_view == View::new(1);
                assert!(!is_first || sent.message == first, "sent again as it was");
            }
            _ => {}
        }
    }
}

/// [RJ1]
#[test]
fn emptied_or_rolled_back_disk_is_found_out_by_the_peers() {
    for is_emptied in [true, false] {
        let mut cluster = Cluster::new();
        cluster.start_all();
        cluster.operate();
        cluster.settle();
        cluster.kill(1);
        let image = cluster.disk(1).restart(Crash::PowerKeepingAll);
        let disk = cluster.disk(1).restart(Crash::PowerKeepingAll);
        cluster.set_disk(1, disk);
        cluster.start(1);
        cluster.operate();
        cluster.settle();
        cluster.kill(1);
        if is_emptied {
            cluster.set_disk(1, MemoryBackend::new());
            cluster.create(1);
        } else {
            cluster.set_disk(1, image);
        }
        let before = cluster.sent.len();
        cluster.start(1);
        cluster.operate();
        let amnesia = |(id, cause): &(_, _)| {
            *id == replica(1)
                && matches!(cause, HaltCause::Replica(HaltReason::Amnesia { seen: 2, .. }))
        };
        assert!(cluster.halts.iter().any(amnesia), "{:?}", cluster.halts);
        let since = cluster.sent[before..].iter().filter(|sent| sent.from == replica(1));
        let kinds: Vec<_> = since.map(|sent| sent.message.kind()).collect();
        assert!(kinds.iter().all(|kind| kind.name() == "HELLO"), "{kinds:?}");
    }
}

#[test]
fn host_is_due_when_its_core_is() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.operate();
    let host = cluster.host(1);
    assert!(host.next_deadline().is_some());
    assert_eq!(host.next_deadline(), host.core().next_deadline());
}

/// [DU1]
#[test]
fn replica_whose_disk_fails_stops_and_says_nothing_more() {
    for number in [1, 2, 5, 9] {
        let mut cluster = Cluster::new();
        cluster.start_all();
        cluster.operate();
        let syncs = cluster.disk(3).operations().of(quorate_replica::Operation::Sync);
        cluster.disk(3).fail_sync_at(syncs + number);
        while cluster.halts.is_empty() {
            cluster.operate();
        }
        let [(id, HaltCause::Storage(why))] = &cluster.halts[..] else {
            panic!("{:?}", cluster.halts)
        };
        assert_eq!(*id, replica(3));
        assert!(why.contains("sync"), "{why}");
        let sent_by_3 =
            |cluster: &Cluster| cluster.sent.iter().filter(|sent| sent.from == replica(3)).count();
        let before = sent_by_3(&cluster);
        cluster.operate();
        assert_eq!(sent_by_3(&cluster), before);
    }
}

#[test]
fn full_disk_stops_the_replica_and_the_others_go_on() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.operate();
    cluster.disk(2).limit_bytes(0);
    while cluster.halts.is_empty() {
        cluster.operate();
    }
    assert!(matches!(&cluster.halts[..], [(_, HaltCause::Storage(_))]), "{:?}", cluster.halts);
    cluster.operate();
}

/// [DU2]
#[test]
fn journal_does_not_grow_beyond_the_last_snapshots() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    let segments = |cluster: &Cluster| {
        let names = cluster.disk(1).list().unwrap();
        names.iter().filter(|name| name.starts_with("journal")).count()
    };
    for _ in 0..60 {
        cluster.operate();
    }
    cluster.settle();
    assert!(segments(&cluster) <= 3, "{} segments", segments(&cluster));
    assert!(cluster.host(1).status().durable_snapshot.get() >= 56);
}

/// [EX3] What is executed again after a restart is what was executed before.
#[test]
fn restart_between_snapshots_executes_the_rest_again() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.slow_down(1);
    for _ in 0..11 {
        cluster.operate();
    }
    cluster.settle();
    let before = (cluster.last_executed(1), cluster.log_of(1));
    assert_eq!(cluster.host(1).status().durable_snapshot.get(), 0);
    cluster.kill(1);
    let disk = after_power_cut(&cluster, 1);
    cluster.set_disk(1, disk);
    cluster.start(1);
    assert_eq!((cluster.last_executed(1), cluster.log_of(1)), before);
    cluster.hasten(1);
    cluster.operate();
    cluster.settle();
    assert!(cluster.halts.is_empty(), "{:?}", cluster.halts);
}
