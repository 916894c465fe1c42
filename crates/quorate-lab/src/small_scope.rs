//! Small-scope mutation (ByzzFuzz, Winter et al.): in a few rounds what a faulty replica sends has
//! one field changed by one, or is what it said in an earlier round, and is signed with its real
//! key; and in a few rounds the network is split. Most lies that break a protocol are that small.

mod plan;
mod variants;

pub(crate) use plan::{Plan, Tampering};

use crate::network::NetworkOptions;
use crate::rng::{Seed, Stream};
use crate::world::{Counts, Fault, Interference, Options, Verdict, run_with};
use core::ops::{Range, RangeInclusive};
use core::time::Duration;
use pbft::ReplicaId;

/// How much is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// n.
    pub replica_count: u32,
    /// In how many rounds messages are changed: each count in turn.
    pub changed_rounds: RangeInclusive<u32>,
    /// In how many rounds the network is split: each count in turn.
    pub split_rounds: RangeInclusive<u32>,
    /// The seeds of each pair of counts.
    pub seeds: Range<u64>,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// In how many rounds messages are changed.
    pub changed_rounds: u32,
    /// In how many rounds the network is split.
    pub split_rounds: u32,
    /// What decides the rest.
    pub seed: u64,
}

/// What the runs came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many runs there were.
    pub runs: u64,
    /// In how many of them a view change happened.
    pub with_view_change: u64,
    /// In how many of them the liar was convicted.
    pub convicting: u64,
    /// Those that did not pass.
    pub failures: Vec<(Case, Verdict)>,
}

/// Runs every case within the bounds. `progress` is told how many are done, and of how many.
///
/// # Panics
/// If there are fewer than four replicas.
pub fn explore(bounds: &Bounds, progress: &mut dyn FnMut(u64, u64)) -> Report {
    let cases = cases(bounds);
    let count = cases.len() as u64;
    let mut report = Report::default();
    for case in cases {
        let (verdict, counts) = play(bounds.replica_count, case);
        report.runs += 1;
        report.with_view_change += u64::from(counts.view.get() > 0);
        report.convicting += u64::from(!counts.convicted.is_empty());
        if verdict != Verdict::Pass {
            report.failures.push((case, verdict));
        }
        progress(report.runs, count);
    }
    report
}

fn cases(bounds: &Bounds) -> Vec<Case> {
    let pairs = bounds.changed_rounds.clone().flat_map(|changed_rounds| {
        bounds.split_rounds.clone().map(move |split_rounds| (changed_rounds, split_rounds))
    });
    let all = pairs.flat_map(|(changed_rounds, split_rounds)| {
        let case = move |seed| Case { changed_rounds, split_rounds, seed };
        bounds.seeds.clone().map(case)
    });
    all.collect()
}

fn play(replica_count: u32, case: Case) -> (Verdict, Counts) {
    let seed = Seed::new(case.seed);
    let mut rng = seed.stream("small scope");
    let mut options = options(replica_count, &mut rng);
    for _ in 0..case.split_rounds {
        split(&mut rng, &mut options);
    }
    options.timeline.sort_by_key(|(at, _)| *at);
    // The first primaries have most to lie about.
    let any = u32::try_from(rng.below(u64::from(replica_count))).unwrap_or(0);
    let liar = ReplicaId::new(*rng.pick(&[0, 0, 1, 1, any]).unwrap_or(&0));
    let plan = Plan::any(&mut rng, liar, case.changed_rounds);
    let interference = Interference { plan: Some(plan), ..Interference::default() };
    let outcome = run_with(seed, &options, interference);
    (outcome.verdict, outcome.counts)
}

/// Little work with checkpoints in it, and timeouts short enough for several views.
fn options(replica_count: u32, rng: &mut Stream) -> Options {
    let mut options = Options::calm(replica_count);
    options.parameters.checkpoint_period = rng.within(2..=4);
    options.parameters.log_window = 4 * options.parameters.checkpoint_period;
    options.parameters.view_change_timeout = Duration::from_millis(150);
    options.parameters.view_change_timeout_max = Duration::from_millis(600);
    options.workload.clients = 2;
    options.workload.concurrency = 1;
    options.workload.operations = 16;
    options.workload.think_max = Duration::from_millis(150);
    options.network = NetworkOptions { reorders: rng.chance(500_000), ..NetworkOptions::LOCAL };
    options.heals_at = Duration::from_secs(2);
    options
}

/// For a while nothing passes between two groups of replicas.
fn split(rng: &mut Stream, options: &mut Options) {
    let at = Duration::from_millis(rng.within(0..=700));
    let mut ids: Vec<ReplicaId> = (0..options.replica_count).map(ReplicaId::new).collect();
    rng.shuffle(&mut ids);
    let (one, other) = ids.split_at(1 + rng.index(ids.len() - 1));
    let (one, other) = (one.to_vec(), other.to_vec());
    options.timeline.push((at, Fault::Cut(one.clone(), other.clone())));
    options.timeline.push((at, Fault::Cut(other, one)));
    options.timeline.push((at + Duration::from_millis(rng.within(20..=900)), Fault::Mend));
}
