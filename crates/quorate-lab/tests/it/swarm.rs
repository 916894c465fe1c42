//! Random worlds. Every seed that ever failed stays here, with what went wrong.

use quorate_adversary::Behaviour;
use quorate_lab::rng::Seed;
use quorate_lab::swarm::{options_of, run_one, swarm};
use quorate_lab::world::{ClientLie, Fault, Verdict};

#[test]
fn random_worlds_within_the_budget_pass() {
    let swarm = swarm(0..150);
    assert!(swarm.failures.is_empty(), "{:?}", swarm.failures);
    for what in [
        "a view change",
        "two view changes in a row",
        "a state transfer",
        "evidence",
        "a rejoin",
        "a window race at a checkpoint",
    ] {
        assert!(swarm.coverage.get(what) > Some(&0), "no run had {what}");
    }
}

/// K = 1 and L = 2 on a disk that takes tens of milliseconds for a sync: every operation waits for
/// a checkpoint of its own, and most of them see the request timer run out. Slow, not stuck.
#[test]
fn worlds_whose_disk_is_slower_than_their_timers_finish() {
    for seed in [513, 949].map(Seed::new) {
        assert_eq!(run_one(seed).outcome.verdict, Verdict::Pass, "seed {}", seed.get());
    }
}

/// An emptied disk, and then in its place a copy from before it was lost that lacks nothing, since
/// the replica had promised nothing in between: no amnesia.
#[test]
fn disk_that_is_lost_and_comes_back_whole_has_forgotten_nothing() {
    assert_eq!(run_one(Seed::new(2180)).outcome.verdict, Verdict::Pass);
}

/// One replica without its memory; the COMMITs of the others reached one of them only, which waits
/// for nothing then. The one that left the view alone did not say its COMMIT again, and all stood
/// still.
#[test]
fn number_that_one_replica_alone_knows_to_be_committed_is_executed_by_all() {
    assert_eq!(run_one(Seed::new(481)).outcome.verdict, Verdict::Pass);
}

/// One replica has stopped for good and every quorum needs the slow one: slow, not stuck.
#[test]
fn worlds_in_which_every_quorum_needs_a_slow_replica_finish() {
    assert_eq!(run_one(Seed::new(16574)).outcome.verdict, Verdict::Pass);
}

/// A client repeats a request that was executed while the replica rejoined.
#[test]
fn reply_of_a_replica_that_has_just_rejoined_waits_until_that_is_durable() {
    for seed in [1063, 7190].map(Seed::new) {
        assert_eq!(run_one(seed).outcome.verdict, Verdict::Pass, "seed {}", seed.get());
    }
}

/// The folder of before a rejoin is put back: the replica stops, and rejoins again.
#[test]
fn folder_of_before_a_rejoin_is_found_out() {
    assert_eq!(run_one(Seed::new(5310)).outcome.verdict, Verdict::Pass);
}

/// Each lie is in more than one world of a hundred.
#[test]
fn every_vice_of_replicas_and_clients_is_drawn_often() {
    let worlds: Vec<_> = (0..2_000).map(|seed| options_of(Seed::new(seed))).collect();
    let is_often = |name: &str, is_drawn: &dyn Fn(&quorate_lab::world::Options) -> bool| {
        let count = worlds.iter().filter(|options| is_drawn(options)).count();
        assert!(count >= 30, "{name} is in {count} of 2000 worlds");
    };
    for vice in Behaviour::vices() {
        let is_it =
            |fault: &Fault| matches!(fault, Fault::Behave(_, drawn) if drawn.name() == vice.name());
        is_often(vice.name(), &|options| options.timeline.iter().any(|(_, fault)| is_it(fault)));
    }
    for lie in ClientLie::ALL {
        is_often(lie.name(), &|options| options.lying_clients.contains(&lie));
    }
}
