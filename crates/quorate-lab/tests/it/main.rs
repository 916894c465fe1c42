//! Whole clusters in the simulated world.

mod acceptance;
mod adversaries;
mod calm;
mod catching_up;
mod corner;
mod network;
mod own_service;
mod rejoin;
mod restarts;
mod scenarios;
mod small_scope;
mod swarm;
mod twins;
mod vices;
mod view_changes;

use pbft::ReplicaId;
use quorate_lab::rng::Seed;
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
