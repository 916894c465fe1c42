//! Slow primaries are replaced, and others are not.

use super::{parsed_file, pass};
use quorate_lab::network::{Delay, NetworkOptions};
use quorate_lab::rng::Seed;
use quorate_lab::swarm::options_of;
use quorate_lab::trace::Line;
use quorate_lab::world::{Options, Outcome, Verdict, run_observed};

/// Runs a scenario that comes with the project, with or without its faults.
fn run_file(name: &str, is_faulty: bool) -> Outcome {
    let mut scenario = parsed_file(name);
    if !is_faulty {
        scenario.options.timeline.clear();
    }
    pass(scenario.seed.get(), &scenario.options)
}

/// [SP1] After a primary that is as slow as the timeout lets it be, and after one that is a good
/// deal faster than that, a long run has at least half of the throughput of one without it.
#[test]
fn throughput_beside_a_slow_primary_is_half_of_what_it_is_without() {
    for replicas in [4, 7] {
        for which in ["primary-as-slow-as-it-may-be", "primary-at-a-fifth-of-the-timeout"] {
            let name = format!("acceptance/E45-{which}-n{replicas}.toml");
            let pace = |is_faulty: bool| {
                let mut scenario = parsed_file(&name);
                scenario.options.workload.operations = 2_000;
                if !is_faulty {
                    scenario.options.timeline.clear();
                }
                let outcome = pass(scenario.seed.get(), &scenario.options);
                assert_eq!(outcome.counts.slow_primaries > 0, is_faulty, "{name}");
                outcome.counts.pace.operations_per_second().unwrap_or_default()
            };
            let (slow, fast) = (pace(true), pace(false));
            assert!(slow * 2.0 > fast, "{name}: {slow} of {fast} operations per second");
        }
    }
}

/// [SP5] Timeouts that were driven up do not help the slow primary that comes to power then: at the
/// end operations are as fast as if nothing had happened.
#[test]
fn slow_primary_is_replaced_although_timeouts_were_driven_up() {
    for replicas in [4, 7] {
        let name = format!("acceptance/E46-timeouts-driven-up-n{replicas}.toml");
        let (faulty, calm) = (run_file(&name, true), run_file(&name, false));
        assert!(faulty.counts.slow_primaries > 0);
        let median = |outcome: &Outcome| outcome.counts.pace.median().unwrap_or_default();
        assert!(median(&faulty) < median(&calm) * 2, "{:?}", median(&faulty));
    }
}

/// [SP1] [SP3] Without faults no view is left because its primary is slow, however far the replicas
/// are from each other, however slow their disks, short their window and small their batches; unless
/// they are all so slow that requests wait for a whole timeout as well.
#[test]
fn no_primary_is_slow_where_nothing_fails() {
    let mut slow = Vec::new();
    for seed in (0..150).map(Seed::new) {
        let mut first_cause = None;
        let options = without_faults(options_of(seed));
        let outcome = run_observed(seed, &options, &mut |line| match line {
            Line::Event(event) if event.event == "view change started" => {
                first_cause.get_or_insert(event.detail.unwrap_or_default());
            }
            _ => {}
        });
        assert_eq!(outcome.verdict, Verdict::Pass, "seed {seed:?}");
        if first_cause.is_some_and(|cause| cause.contains("slow")) {
            slow.push(seed.get());
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

fn without_faults(mut options: Options) -> Options {
    options.timeline.clear();
    options.lying_clients.clear();
    options.network = NetworkOptions {
        delay: Delay { tail_per_million: 0, ..options.network.delay },
        loss_per_million: 0,
        duplicate_per_million: 0,
        reorders: false,
    };
    options.parameters.throughput_floor = true;
    options
}
