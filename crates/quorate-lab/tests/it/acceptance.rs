//! What acceptance scenarios ask for beyond what a scenario file can say. `docs/acceptance.md` lists
//! all of them.

use super::{pass, replica, replicas};
use core::time::Duration;
use pbft::message::Kind;
use quorate_lab::network::Traffic;
use quorate_lab::rng::Seed;
use quorate_lab::scenario::Scenario;
use quorate_lab::trace::Line;
use quorate_lab::world::{CrashKind, Fault, Options, run, run_observed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The acceptance scenario of this name for so many replicas.
fn acceptance(name: &str, replica_count: u32) -> Scenario {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/acceptance");
    let path = folder.join(format!("{name}-n{replica_count}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Scenario::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

/// E5: while all have something to ask for, the slowest of two hundred clients gets at least half of
/// what clients get on the average.
#[test]
fn slowest_of_many_clients_gets_half_of_the_average() {
    for replica_count in [4, 7] {
        let Scenario { seed, mut options, .. } = acceptance("E05-many-clients", replica_count);
        let clients = u64::from(options.workload.clients);
        options.workload.operations = clients * 8;
        let mut answered: BTreeMap<u32, u64> = BTreeMap::new();
        let mut total = 0;
        run_observed(seed, &options, &mut |line| {
            // The last ones are called by whoever happens to be free.
            if let Line::Answered { client, .. } = line
                && total < clients * 6
            {
                total += 1;
                *answered.entry(client).or_default() += 1;
            }
        });
        let slowest = (0..options.workload.clients).map(|id| answered.get(&id).copied());
        let slowest = slowest.map(Option::unwrap_or_default).min().unwrap_or_default();
        assert!(slowest * clients * 2 >= total, "{slowest} of {total} for {clients} clients");
    }
}

/// E27: the replica at which alone a batch is committed may be any backup, and be cut off at any
/// moment after that.
#[test]
fn batch_committed_at_any_one_replica_is_never_lost() {
    for (replica_count, moments) in [(4, 6), (7, 2)] {
        for lonely in 1..replica_count {
            for moment in 0..moments {
                let mut options = Options::calm(replica_count);
                options.workload.operations = 30;
                options.workload.begins_at = Duration::from_millis(300);
                options.heals_at = Duration::from_secs(5);
                let all = replicas(0..replica_count);
                let others: Vec<_> =
                    all.iter().copied().filter(|id| *id != replica(lonely)).collect();
                let kinds = vec![Kind::Commit, Kind::Repair];
                let lost = Traffic { from: all, to: others.clone(), kinds };
                let at = Duration::from_millis(340 + 7 * moment);
                let cut = |others: &[_]| {
                    let alone = vec![replica(lonely)];
                    [Fault::Cut(alone.clone(), others.to_vec()), Fault::Cut(others.to_vec(), alone)]
                };
                let back = Duration::from_millis(1_000);
                options.timeline.push((Duration::from_millis(320), Fault::Drop(lost)));
                options.timeline.extend(cut(&others).map(|fault| (at, fault)));
                options.timeline.push((at, Fault::Crash(replica(0), CrashKind::Power)));
                options.timeline.push((back, Fault::Mend));
                options.timeline.extend(cut(&others).map(|fault| (back, fault)));
                options.timeline.push((back, Fault::Restart(replica(0))));
                let outcome = pass(moment, &options);
                assert!(outcome.counts.view.get() >= 1, "{lonely} of {replica_count}");
            }
        }
    }
}

/// E33: who seems to have sent the bad NEW-VIEW is who sent it.
#[test]
fn nobody_else_is_suspected_of_a_bad_new_view() {
    for replica_count in [4, 7] {
        for lie in ["dropped", "null", "checkpoint"] {
            let Scenario { seed, options, .. } =
                acceptance(&format!("E33-new-view-{lie}"), replica_count);
            let outcome = run(seed, &options);
            let suspected: BTreeSet<_> = outcome.culprits.iter().map(|c| c.replica).collect();
            // Replica 0 was cut off.
            assert_eq!(suspected, BTreeSet::from([replica(0), replica(1)]), "{lie}");
        }
    }
}

/// E40: windows that move at different times are no reason to leave a view, whatever the seed.
/// `docs/acceptance.md` says how many seeds were run by hand.
#[test]
fn no_view_is_left_because_of_late_checkpoints() {
    for (replica_count, seeds) in [(4, 60), (7, 20)] {
        let scenario = acceptance("E40-window-race", replica_count);
        for seed in 0..seeds {
            let outcome = run(Seed::new(seed), &scenario.options);
            assert_eq!(scenario.misses(&outcome), [""; 0], "seed {seed}, n = {replica_count}");
        }
    }
}
