//! Crashes at every operation on the disk.

use super::cluster::{Cluster, replica};
use pbft::message::Message;
use pbft::{Digest, View};
use quorate_replica::Crash;
use std::collections::BTreeMap;

/// Says what a replica promised with a message: a slot, and what it said there.
fn promise(message: &Message) -> Option<((&'static str, u64, u64), Digest)> {
    let bytes = |message: &Message| {
        Digest::of("test message", &[&pbft::wire::encode(pbft::Epoch::ZERO, message)])
    };
    match message {
        Message::PrePrepare(signed, _) => {
            Some((("proposal", signed.body.view.get(), signed.body.seq.get()), signed.body.digest))
        }
        Message::Prepare(vote) => {
            Some((("proposal", vote.view.get(), vote.seq.get()), vote.digest))
        }
        Message::Commit(vote) => Some((("commit", vote.view.get(), vote.seq.get()), vote.digest)),
        Message::Checkpoint(signed) => {
            Some((("checkpoint", 0, signed.body.seq.get()), bytes(message)))
        }
        Message::ViewChange(signed) => {
            Some((("view change", signed.body.new_view.get(), 0), bytes(message)))
        }
        Message::NewView(proof) => {
            Some((("new view", proof.new_view.body.view.get(), 0), bytes(message)))
        }
        _ => None,
    }
}

/// Whether a message was signed or voted by this replica itself: it relays others' VIEW-CHANGEs,
/// CHECKPOINTs and PRE-PREPAREs.
fn is_own(message: &Message, id: u32) -> bool {
    match message {
        Message::PrePrepare(signed, _) => signed.signer == replica(id),
        Message::Checkpoint(signed) => signed.signer == replica(id),
        Message::ViewChange(signed) => signed.signer == replica(id),
        Message::NewView(proof) => proof.new_view.signer == replica(id),
        _ => true,
    }
}

/// The first promise that a replica broke, whenever it crashed.
fn broken_promise(cluster: &Cluster, id: u32) -> Option<String> {
    let mut promised = BTreeMap::new();
    let mut left_below = View::ZERO;
    let own = cluster.sent.iter().filter(|sent| sent.from == replica(id));
    for sent in own.filter(|sent| is_own(&sent.message, id)) {
        if let Some((slot, said)) = promise(&sent.message)
            && *promised.entry(slot).or_insert(said) != said
        {
            return Some(format!("two different messages for {slot:?}"));
        }
        let voted_in = match &*sent.message {
            Message::PrePrepare(signed, _) => signed.body.view,
            Message::Prepare(vote) | Message::Commit(vote) => vote.view,
            Message::ViewChange(signed) => {
                left_below = left_below.max(signed.body.new_view);
                continue;
            }
            _ => continue,
        };
        if voted_in < left_below {
            return Some(format!("a vote in view {voted_in}, which was left"));
        }
    }
    None
}

/// What a replica told the client is still what it has executed.
fn check_answers(cluster: &mut Cluster, id: u32, story: &str) {
    let told = cluster.outcomes_of(id);
    for timestamp in told.keys() {
        cluster.transmit(*timestamp, &[id]);
    }
    cluster.settle();
    for (timestamp, outcomes) in cluster.outcomes_of(id) {
        assert_eq!(outcomes.len(), 1, "{story}: two answers to {timestamp}: {outcomes:?}");
    }
}

fn restart_if_down(cluster: &mut Cluster, id: u32, seed: u64) {
    if cluster.is_up(id) || cluster.has_halted(id) {
        return;
    }
    let mut state = seed;
    let mut choose = |versions: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % (versions + 1)
    };
    let crash = match seed % 4 {
        0 => Crash::Process,
        1 => Crash::PowerLosingAll,
        2 => Crash::PowerKeepingAll,
        _ => Crash::PowerTearing(&mut choose),
    };
    let disk = cluster.disk(id).restart(crash);
    cluster.set_disk(id, disk);
    cluster.start(id);
}

/// One life of a cluster: the normal case, checkpoints and snapshots, the loss of the primary,
/// and its return. `meanwhile` is called between any two steps.
fn live(cluster: &mut Cluster, mut meanwhile: impl FnMut(&mut Cluster)) {
    let mut operate = |cluster: &mut Cluster, count: usize| {
        for _ in 0..count {
            let timestamp = cluster.submit_operation();
            cluster.advance();
            meanwhile(cluster);
            cluster.await_outcome(timestamp);
            meanwhile(cluster);
        }
    };
    operate(cluster, 6);
    cluster.cut(0);
    operate(cluster, 2);
    cluster.heal(0);
    operate(cluster, 4);
}

/// How many operations on the disk of `id` one life takes.
fn operations_of_a_life(id: u32) -> u64 {
    let mut cluster = Cluster::new();
    cluster.start_all();
    live(&mut cluster, |_| {});
    cluster.settle();
    cluster.disk(id).operations().mutations()
}

/// One life in which replica `id` crashes at its `k`th operation on the disk, and starts again.
fn life_with_crash(mut cluster: Cluster, id: u32, k: u64) -> Cluster {
    for other in 0..4 {
        cluster.create(other);
    }
    let before = cluster.disk(id).operations().mutations();
    cluster.disk(id).crash_at(before + k);
    for other in 0..4 {
        cluster.start(other);
        restart_if_down(&mut cluster, id, k);
    }
    let opening = cluster.submit_open_session();
    cluster.advance();
    restart_if_down(&mut cluster, id, k);
    cluster.await_outcome(opening);
    live(&mut cluster, |cluster| restart_if_down(cluster, id, k));
    cluster.settle_with(|cluster| restart_if_down(cluster, id, k));
    cluster
}

fn check_life_with_crash(id: u32, k: u64) {
    let story = format!("replica {id} crashes at operation {k}");
    let mut cluster = life_with_crash(Cluster::new(), id, k);
    assert!(cluster.halts.is_empty(), "{story}: {:?}", cluster.halts);
    assert_eq!(broken_promise(&cluster, id), None, "{story}");
    assert!(cluster.evidence.is_empty(), "{story}: {:?}", cluster.evidence);
    check_answers(&mut cluster, id, &story);
    let log = cluster.log_of(0);
    assert_eq!(log.len(), 12, "{story}: each operation was executed once");
    for other in 1..4 {
        assert_eq!(cluster.log_of(other), log, "{story}");
    }
}

/// [DU1] [RS1] The primary of view 0, which is cut off and replaced meanwhile.
#[test]
fn primary_that_crashes_at_any_operation_breaks_no_promise() {
    for k in 1..=operations_of_a_life(0) {
        check_life_with_crash(0, k);
    }
}

/// [DU1] [RS1] A backup, which becomes the primary of view 1.
#[test]
fn backup_that_crashes_at_any_operation_breaks_no_promise() {
    for k in 1..=operations_of_a_life(1) {
        check_life_with_crash(1, k);
    }
}

/// [EV1] A test of the tests above: a replica that in effect sends before it persists is found out
/// by the contradiction in what it sends, of which its peers keep the evidence.
#[test]
fn replica_that_sends_before_it_persists_is_found_out() {
    let is_found_out = |k: &u64| {
        let mut cluster = Cluster::new();
        cluster.deceive(0);
        let cluster = life_with_crash(cluster, 0, *k);
        broken_promise(&cluster, 0).is_some() && !cluster.evidence.is_empty()
    };
    assert!((1..=operations_of_a_life(0)).any(|k| is_found_out(&k)));
}
