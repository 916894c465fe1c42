//! Whole clusters in the simulated world.

mod acceptance;
mod adversaries;
mod calm;
mod catching_up;
mod corner;
mod from_python;
mod network;
mod own_service;
mod processors;
mod rejoin;
mod reports;
mod restarts;
mod scenarios;
mod slow_primary;
mod small_scope;
mod swarm;
mod tentative;
mod twins;
mod vices;
mod view_changes;
mod wide;

use pbft::ReplicaId;
use quorate_lab::rng::Seed;
use quorate_lab::scenario::Scenario;
use quorate_lab::world::{Options, Outcome, Verdict, run};

/// Runs the world, which must pass.
fn pass(seed: u64, options: &Options) -> Outcome {
    let outcome = run(Seed::new(seed), options);
    assert_eq!(outcome.verdict, Verdict::Pass, "seed {seed}: {}", outcome.verdict);
    outcome
}

fn replica(id: u32) -> ReplicaId {
    ReplicaId::new(id)
}

fn replicas(ids: std::ops::Range<u32>) -> Vec<ReplicaId> {
    ids.map(ReplicaId::new).collect()
}

/// The scenario of a file that comes with the project.
fn parsed_file(name: &str) -> Scenario {
    let path = format!("{}/../../scenarios/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the file is there");
    Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"))
}
