//! Replicas that fell behind, on real state.

use super::cluster::{Cluster, replica};
use pbft::{Event, Message, Sender, SeqNum};
use quorate_replica::{Crash, Operation};
use std::time::Duration;

/// A cluster that went on without replica 3 until only a transfer of state helps it.
fn with_laggard() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.operate();
    cluster.settle();
    cluster.cut(3);
    for _ in 0..14 {
        cluster.operate();
    }
    cluster
}

fn transfers(cluster: &Cluster) -> usize {
    let is_transfer = |(id, event): &&(_, _)| {
        *id == replica(3) && matches!(event, Event::StateTransferred { .. })
    };
    cluster.events.iter().filter(is_transfer).count()
}

/// What replica 3 wanted to fetch, one after the other.
fn aims(cluster: &Cluster) -> Vec<SeqNum> {
    let aim = |(id, event): &(_, _)| match event {
        Event::StateTransferStarted { seq } if *id == replica(3) => Some(*seq),
        _ => None,
    };
    cluster.events.iter().filter_map(aim).collect()
}

fn check_alike(cluster: &Cluster, story: &str) {
    let log = cluster.log_of(0);
    let id = cluster.host(0).state().id();
    for other in 1..4 {
        assert_eq!(cluster.log_of(other), log, "{story}");
        assert_eq!(cluster.host(other).state().id(), id, "{story}");
    }
    assert!(cluster.halts.is_empty(), "{story}: {:?}", cluster.halts);
}

/// [CU1] [CU2]
#[test]
fn replica_that_fell_behind_fetches_the_state_and_takes_part_again() {
    let mut cluster = with_laggard();
    let before = cluster.last_executed(3);
    cluster.heal(3);
    cluster.settle();
    assert_eq!(transfers(&cluster), 1);
    assert!(cluster.last_executed(3) > before);
    assert_eq!(cluster.host(3).status().fetch, None);
    check_alike(&cluster, "after the transfer");
    cluster.cut(2);
    cluster.operate();
    cluster.heal(2);
    cluster.settle();
    check_alike(&cluster, "with the vote of replica 3");
}

#[test]
fn replica_restarts_from_the_state_it_fetched() {
    let mut cluster = with_laggard();
    cluster.heal(3);
    cluster.settle();
    cluster.kill(3);
    let disk = cluster.disk(3).restart(Crash::PowerLosingAll);
    cluster.set_disk(3, disk);
    cluster.start(3);
    check_alike(&cluster, "restarted");
    cluster.operate();
    cluster.settle();
    assert_eq!(transfers(&cluster), 1);
    check_alike(&cluster, "afterwards");
}

/// [CU2] The others went on while the fetched state was being made durable.
#[test]
fn state_that_was_overtaken_while_it_was_written_is_installed_all_the_same() {
    let mut cluster = with_laggard();
    cluster.slow_down(3);
    cluster.heal(3);
    for _ in 0..4 {
        for _ in 0..6 {
            cluster.operate();
        }
        cluster.pass(Duration::from_millis(900));
    }
    assert_eq!(transfers(&cluster), 0);
    let aims: Vec<SeqNum> = aims(&cluster);
    assert!(aims.len() > 1, "the aim moved on: {aims:?}");
    cluster.hasten(3);
    cluster.advance();
    let first = cluster.events.iter().find_map(|(id, event)| match event {
        Event::StateTransferred { seq } if *id == replica(3) => Some(*seq),
        _ => None,
    });
    assert_eq!(first, Some(aims[0]), "what was written is used");
    cluster.settle();
    check_alike(&cluster, "after all");
    let reached: Vec<SeqNum> = cluster
        .events
        .iter()
        .filter_map(|(id, event)| match event {
            Event::StateTransferred { seq } if *id == replica(3) => Some(*seq),
            _ => None,
        })
        .collect();
    assert_eq!(reached, [aims[0], *aims.last().unwrap()], "then the newest one is fetched");
}

/// [CU2] A fetched checkpoint is handed on like one of the replica's own.
#[test]
fn replica_serves_the_state_that_it_fetched() {
    let mut cluster = with_laggard();
    cluster.heal(3);
    while transfers(&cluster) == 0 {
        cluster.advance();
    }
    let (seq, id) = cluster.status(3).stable_checkpoint;
    assert!(cluster.events.contains(&(replica(3), Event::StateTransferred { seq })));
    let asked = cluster.sent.iter().find_map(|sent| match &*sent.message {
        Message::FetchState(request) if request.state_root == id.state_root => Some(request),
        _ => None,
    });
    let request = asked.expect("it asked the others for parts of that state").clone();
    let before = cluster.sent.len();
    cluster.deliver(Sender::Replica(replica(0)), replica(3), &Message::FetchState(request));
    let has_content = |message: &Message| matches!(message, Message::StateParts(parts) if !parts.parts.is_empty());
    assert!(cluster.sent[before..].iter().any(|sent| has_content(&sent.message)));
}

/// [CU2] [DU1]
#[test]
fn crash_at_any_operation_of_a_transfer_leaves_one_state_or_the_other() {
    let operations = {
        let mut cluster = with_laggard();
        let before = cluster.disk(3).operations().mutations();
        cluster.heal(3);
        cluster.settle();
        cluster.disk(3).operations().mutations() - before
    };
    for k in 1..=operations {
        let mut cluster = with_laggard();
        let before = cluster.disk(3).operations().mutations();
        cluster.disk(3).crash_at(before + k);
        cluster.heal(3);
        let restart_if_down = |cluster: &mut Cluster| {
            if !cluster.is_up(3) {
                let crash = if k % 2 == 0 { Crash::PowerLosingAll } else { Crash::Process };
                let disk = cluster.disk(3).restart(crash);
                cluster.set_disk(3, disk);
                cluster.start(3);
            }
        };
        cluster.settle_with(restart_if_down);
        check_alike(&cluster, &format!("crash at operation {k}"));
    }
}

/// [DU1]
#[test]
fn disk_that_fails_during_a_transfer_stops_the_replica() {
    for number in 1..6 {
        let mut cluster = with_laggard();
        let syncs = cluster.disk(3).operations().of(Operation::Sync);
        cluster.disk(3).fail_sync_at(syncs + number);
        cluster.heal(3);
        while !cluster.has_halted(3) {
            cluster.operate();
        }
        cluster.operate();
    }
}
