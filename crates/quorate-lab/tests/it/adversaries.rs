//! Faulty replicas within the budget change nothing, and beyond it are seen: the test of the tests.

use super::{pass, replica};
use core::time::Duration;
use pbft::ReplyRule;
use quorate_adversary::{Behaviour, Phase, ReplyLie, Slowed};
use quorate_lab::rng::Seed;
use quorate_lab::world::{Fault, Options, Verdict, run};

fn with(replica_count: u32, faulty: &[u32], behaviour: Behaviour) -> Options {
    let mut options = Options::calm(replica_count);
    options.workload.operations = 60;
    options.timeline =
        faulty.iter().map(|id| (Duration::ZERO, Fault::Behave(replica(*id), behaviour))).collect();
    options
}

#[test]
fn every_behaviour_is_masked_at_the_primary_and_at_a_backup() {
    for mut behaviour in Behaviour::ALL {
        if let Behaviour::DosAttacker { factor } | Behaviour::Flooding { factor } = &mut behaviour {
            *factor = 3;
        }
        for (replica_count, faulty) in
            [(4, vec![0]), (4, vec![2]), (7, vec![0, 1]), (7, vec![3, 5])]
        {
            pass(11, &with(replica_count, &faulty, behaviour));
        }
    }
}

#[test]
fn an_equivocating_primary_is_convicted_and_replaced() {
    for (replica_count, faulty) in [(4, vec![0]), (7, vec![0, 1])] {
        let outcome = pass(
            5,
            &with(
                replica_count,
                &faulty,
                Behaviour::EquivocatingPrimary { second: None, both: false },
            ),
        );
        assert!(outcome.counts.convicted.contains(&replica(0)), "{replica_count} replicas");
        assert!(outcome.counts.view.get() >= faulty.len() as u64);
    }
}

#[test]
fn a_silent_primary_costs_one_view_and_a_silent_backup_none() {
    for replica_count in [4, 7] {
        let primary = pass(5, &with(replica_count, &[0], Behaviour::NonResponding));
        assert_eq!(primary.counts.view.get(), 1);
        let backup = pass(5, &with(replica_count, &[2], Behaviour::NonResponding));
        assert_eq!(backup.counts.view.get(), 0);
    }
}

#[test]
fn as_many_silent_backups_as_are_tolerated_cost_nothing() {
    for (replica_count, silent) in
        [(4, vec![3]), (7, vec![2, 6]), (10, vec![7, 8, 9]), (13, vec![3, 5, 8, 11])]
    {
        let outcome = pass(5, &with(replica_count, &silent, Behaviour::NonResponding));
        assert_eq!(outcome.counts.view.get(), 0);
        assert!(outcome.counts.events.contains_key("checkpoint stable"));
    }
}

#[test]
fn a_slow_replica_below_the_timeout_causes_no_view_change() {
    let behaviour =
        Behaviour::Slow { delay: Duration::from_millis(40), slowed: Slowed::Everything };
    assert_eq!(pass(5, &with(4, &[1], behaviour)).counts.view.get(), 0);
}

#[test]
fn more_liars_than_are_tolerated_are_caught_when_clients_believe_f_plus_1() {
    for (replica_count, liars) in [(4, vec![1, 2]), (7, vec![1, 2, 4])] {
        let mut options =
            with(replica_count, &liars, Behaviour::FaultyReplies { lie: ReplyLie::Changed });
        options.workload.operations = 600;
        options.client.reply_rule = ReplyRule::WeakUnlessTentative;
        let outcome = run(Seed::new(1), &options);
        let Verdict::Violation(violation) = &outcome.verdict else { panic!("{}", outcome.verdict) };
        let property = "accepted results are results of correct replicas";
        assert_eq!(violation.property, property, "{violation}");
    }
}

/// Nobody proposed what they vote for, so no correct replica counts it. What makes f+1 of them
/// dangerous is in `scenarios/beyond`.
#[test]
fn more_wrong_votes_than_are_tolerated_break_nothing() {
    for phase in [Phase::Prepare, Phase::Commit] {
        for (replica_count, liars) in [(4, vec![1, 2]), (7, vec![1, 2, 4])] {
            let mut options = with(replica_count, &liars, Behaviour::FaultyNode { phase });
            options.recovery_max = Duration::from_secs(20);
            for seed in 0..4 {
                let outcome = run(Seed::new(seed), &options);
                let is_broken = matches!(outcome.verdict, Verdict::Violation(_));
                assert!(!is_broken, "{phase:?}, seed {seed}: {}", outcome.verdict);
            }
        }
    }
}

#[test]
fn more_silent_replicas_than_are_tolerated_stop_the_cluster_and_break_nothing() {
    let mut options = with(4, &[1, 2], Behaviour::NonResponding);
    options.recovery_max = Duration::from_secs(20);
    let outcome = run(Seed::new(1), &options);
    assert!(matches!(outcome.verdict, Verdict::NoProgress(_)), "{}", outcome.verdict);
}
