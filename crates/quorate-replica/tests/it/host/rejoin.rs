//! Rejoining with an empty folder: the mark of the loss is in the journal, the table of those who
//! rejoined is in the state, and both survive.

use super::cluster::{Cluster, replica};
use pbft::message::Kind;
use pbft::{Event, Incarnation, Message, Record};
use quorate_replica::Crash;

/// L of the cluster's configuration, which is 2K.
const WINDOW: u64 = 8;

/// A cluster that has worked a while, whose replica 1 then lost its disk. What was sent before is
/// forgotten.
fn after_loss() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.start_all();
    (0..10).for_each(|_| drop(cluster.operate()));
    cluster.settle();
    cluster.sent.clear();
    cluster.start_without_memory(1);
    cluster
}

fn executed_at(cluster: &Cluster) -> Option<u64> {
    cluster.events.iter().find_map(|(_, event)| match event {
        Event::RejoinExecuted { seq, .. } => Some(seq.get()),
        _ => None,
    })
}

/// The numbers that replica 1 voted for, or took checkpoints at, since it lost its memory.
fn promised(cluster: &Cluster) -> Vec<u64> {
    let own = cluster.sent.iter().filter(|sent| sent.from == replica(1));
    own.filter_map(|sent| match &*sent.message {
        Message::Prepare(vote) | Message::Commit(vote) => Some(vote.seq.get()),
        Message::PrePrepare(signed, _) => Some(signed.body.seq.get()),
        Message::Checkpoint(signed) => Some(signed.body.seq.get()),
        Message::Committed(committed) => Some(committed.seq.get()),
        Message::ViewChange(signed) => Some(signed.body.low_water_mark.get() + 1),
        _ => None,
    })
    .collect()
}

fn assert_no_promise_up_to_the_bound(cluster: &Cluster) {
    let promised = promised(cluster);
    let bound = executed_at(cluster).map(|seq| (seq - 1) / 4 * 4 + WINDOW);
    let is_kept = promised.iter().all(|number| bound.is_some_and(|bound| *number > bound));
    assert!(is_kept, "{promised:?} with the bound {bound:?}");
}

fn wait_until_rejoined(cluster: &mut Cluster) {
    while !cluster.status(1).admitted {
        cluster.advance();
        assert_no_promise_up_to_the_bound(cluster);
    }
    cluster.settle();
}

/// [RJ2] [RJ3] [RJ5]
#[test]
fn replica_with_an_empty_folder_rejoins_and_is_needed_afterwards() {
    let mut cluster = after_loss();
    let before = cluster.log_of(0);
    wait_until_rejoined(&mut cluster);
    cluster.kill(0);
    cluster.operate();
    assert_no_promise_up_to_the_bound(&cluster);
    assert!(!promised(&cluster).is_empty());
    assert!(cluster.log_of(1).starts_with(&before));
    assert!(cluster.halts.is_empty() && cluster.evidence.is_empty(), "{:?}", cluster.halts);
}

/// [RJ3] Power fails at any moment of the way back: what is on the disk says that it is one.
#[test]
fn power_cut_on_the_way_back_leaves_the_replica_on_its_way() {
    for moment in (0..120).step_by(4) {
        let mut cluster = after_loss();
        (0..moment).for_each(|_| cluster.advance());
        cluster.kill(1);
        let kind = if moment % 8 == 0 { Crash::PowerLosingAll } else { Crash::PowerKeepingAll };
        let disk = cluster.disk(1).restart(kind);
        cluster.set_disk(1, disk);
        cluster.start(1);
        wait_until_rejoined(&mut cluster);
        cluster.kill(2);
        cluster.operate();
        assert_no_promise_up_to_the_bound(&cluster);
        assert!(cluster.halts.is_empty(), "moment {moment}: {:?}", cluster.halts);
    }
}

/// [RJ1] [RJ2] After a rejoin a restart is one like any other, from a snapshot behind the REJOIN,
/// too.
#[test]
fn rejoined_replica_restarts_as_the_incarnation_it_has_become() {
    let mut cluster = after_loss();
    wait_until_rejoined(&mut cluster);
    (0..20).for_each(|_| drop(cluster.operate()));
    cluster.settle();
    for id in [1, 0] {
        cluster.kill(id);
        let disk = cluster.disk(id).restart(Crash::PowerLosingAll);
        cluster.set_disk(id, disk);
        cluster.start(id);
        cluster.operate();
        cluster.settle();
        assert!(cluster.status(id).admitted && !cluster.status(id).amnesiac);
    }
    let incarnations = cluster.host(1).core().durable_records().into_iter().filter_map(|record| {
        let Record::Boot { incarnation, .. } = record else { return None };
        Some(incarnation)
    });
    assert_eq!(incarnations.last(), Some(Incarnation::new(1)));
    assert!(cluster.halts.is_empty(), "{:?}", cluster.halts);
}

/// [DU1] [RJ2] The mark is durable before the REJOIN leaves.
#[test]
fn rejoin_leaves_when_the_loss_is_noted() {
    let mut cluster = after_loss();
    cluster.delay_journal(1, u64::MAX);
    (0..200).for_each(|_| cluster.advance());
    let kinds: Vec<Kind> = cluster
        .sent
        .iter()
        .filter(|sent| sent.from == replica(1))
        .map(|sent| sent.message.kind())
        .collect();
    assert!(!kinds.contains(&Kind::Rejoin), "{kinds:?}");
    cluster.flush_journal(1);
    cluster.delay_journal(1, 1);
    wait_until_rejoined(&mut cluster);
}
