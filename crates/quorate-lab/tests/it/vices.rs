//! Every vice, with what is to be expected of it, at n = 4 and at n = 7 with f liars.

mod clients;
mod collusion;
mod messages;
mod mutants;
mod new_views;
mod primaries;
mod silence;
mod state;
mod suspects;
mod votes;

use super::{pass, replica, replicas};
use core::time::Duration;
use pbft::{Reject, ReplicaId};
use quorate_adversary::{Behaviour, Endpoint};
use quorate_lab::world::{Fault, Options, Outcome};
use std::collections::BTreeSet;

/// A world in which nothing goes wrong but that these replicas behave so from the beginning.
/// The behaviour is written as in a scenario.
fn world(replica_count: u32, liars: &[u32], behaviour: &str) -> Options {
    let behaviour: Behaviour = behaviour.parse().expect("a behaviour, as a scenario spells it");
    let mut options = Options::calm(replica_count);
    options.workload.operations = 60;
    options.timeline =
        liars.iter().map(|id| (Duration::ZERO, Fault::Behave(replica(*id), behaviour))).collect();
    options
}

/// When work is in full swing: replicas let each other in first, and clients try again after that.
const AT_WORK: Duration = Duration::from_millis(230);

/// The same, and the first primary is cut off for a while, long enough to be deposed. It comes
/// back before the next view times out. No checkpoint becomes stable until then, so that the new
/// view has something to choose.
fn deposing(replica_count: u32, liars: &[u32], behaviour: &str) -> Options {
    let mut options = world(replica_count, liars, behaviour);
    options.parameters.checkpoint_period = 64;
    options.parameters.log_window = 256;
    let (first, others) = (replicas(0..1), replicas(1..replica_count));
    let at = AT_WORK;
    options.timeline.push((at, Fault::Cut(first.clone(), others.clone())));
    options.timeline.push((at, Fault::Cut(others, first)));
    options.heals_at = Duration::from_millis(1_100);
    options
}

/// f backups: the last ones.
fn backups(replica_count: u32) -> Vec<u32> {
    (replica_count - (replica_count - 1) / 3..replica_count).collect()
}

/// f primaries in a row: the first ones.
fn primaries(replica_count: u32) -> Vec<u32> {
    (0..(replica_count - 1) / 3).collect()
}

/// How many messages correct replicas dropped for this reason that came from any of these.
fn dropped(outcome: &Outcome, liars: &[u32], reason: Reject) -> u64 {
    let count = |id: &u32| {
        let sender = Endpoint::Replica(replica(*id));
        outcome.counts.rejected.get(&(sender, reason)).copied().unwrap_or(0)
    };
    liars.iter().map(count).sum()
}

fn named(ids: &[u32]) -> BTreeSet<ReplicaId> {
    ids.iter().map(|id| replica(*id)).collect()
}

/// The run passes in the view it began in, and nobody is convicted.
fn masked(options: &Options) -> Outcome {
    masked_in_view(options, 0)
}

/// The run passes, ends in this view, and nobody is convicted.
fn masked_in_view(options: &Options, view: u64) -> Outcome {
    let outcome = pass(5, options);
    assert_eq!(outcome.counts.view.get(), view, "{:?}", options.timeline);
    assert_eq!(outcome.counts.convicted, named(&[]), "{:?}", options.timeline);
    outcome
}

#[test]
fn an_honest_node_changes_nothing() {
    for replica_count in [4, 7] {
        let outcome = masked(&world(replica_count, &primaries(replica_count), "honest_node"));
        assert_eq!(outcome.counts.operations, 60);
    }
}
