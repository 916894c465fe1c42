//! Twins (Bano et al.): a faulty replica is correct code that runs twice with one key, and a schedule
//! says, view by view, who can talk to whom. So equivocation, double votes, and forgetting arise
//! without a line of code that lies.
//!
//! PBFT fixes the primary of each view, so whose identity is doubled takes the place of the paper's
//! schedules of primaries.

use crate::rng::{Seed, Stream};
use crate::world::{Counts, Interference, Options, Verdict, run_with};
use core::fmt;
use core::ops::Range;
use core::time::Duration;
use pbft::ReplicaId;
use std::collections::BTreeMap;

/// How much is explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// n.
    pub replica_count: u32,
    /// How many identities run twice.
    pub twins: u32,
    /// How many views have a partition; later ones, and all once the world has healed, have none.
    pub views: u32,
    /// Which schedules.
    pub schedules: Schedules,
}

/// Which schedules are explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedules {
    /// Each choice of twins with each partition, the same in all views.
    Static,
    /// For each of these seeds one choice of twins, with another partition in each view.
    Rotating(Range<u64>),
}

/// Who runs twice, and who can talk to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The identities that run twice.
    pub twins: Vec<u32>,
    /// For each view, the part of the network in which each instance is: first one of each replica,
    /// then the second ones of the twins.
    pub partitions: Vec<Vec<u32>>,
}

/// What an exploration came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many schedules were run.
    pub schedules: u64,
    /// How many of them ended in which view.
    pub views: BTreeMap<u64, u64>,
    /// In how many of them twins were convicted.
    pub convicting: u64,
    /// Those that did not pass.
    pub failures: Vec<(Schedule, Verdict)>,
}

/// Runs every schedule within the bounds. `progress` is told how many are done, and of how many.
///
/// # Panics
/// If there are fewer than four replicas, or more twins than replicas.
pub fn explore(bounds: &Bounds, progress: &mut dyn FnMut(u64, u64)) -> Report {
    let schedules = schedules(bounds);
    let count = schedules.len() as u64;
    let mut report = Report::default();
    for schedule in schedules {
        let (verdict, counts) = play(bounds.replica_count, &schedule);
        report.schedules += 1;
        *report.views.entry(counts.view.get()).or_default() += 1;
        report.convicting += u64::from(!counts.convicted.is_empty());
        if verdict != Verdict::Pass {
            report.failures.push((schedule, verdict));
        }
        progress(report.schedules, count);
    }
    report
}

/// The schedules within the bounds.
pub fn schedules(bounds: &Bounds) -> Vec<Schedule> {
    let Bounds { replica_count, twins, views, .. } = *bounds;
    let instances = replica_count + twins;
    match &bounds.schedules {
        Schedules::Static => {
            let partitions = partitions(instances);
            let all = choices(replica_count, twins).into_iter().flat_map(|twins| {
                partitions.iter().map(move |partition| {
                    let partitions = vec![partition.clone(); views as usize];
                    Schedule { twins: twins.clone(), partitions }
                })
            });
            all.collect()
        }
        Schedules::Rotating(seeds) => seeds
            .clone()
            .map(|seed| {
                let mut rng = Seed::new(seed).stream("twins");
                let all = choices(replica_count, twins);
                let twins = rng.pick(&all).cloned().unwrap_or_default();
                let partitions = (0..views).map(|_| any_partition(&mut rng, instances)).collect();
                Schedule { twins, partitions }
            })
            .collect(),
    }
}

fn play(replica_count: u32, schedule: &Schedule) -> (Verdict, Counts) {
    let interference = Interference {
        twins: schedule.twins.iter().copied().map(ReplicaId::new).collect(),
        partitions: schedule.partitions.clone(),
        ..Interference::default()
    };
    let outcome = run_with(Seed::new(1), &options(replica_count), interference);
    (outcome.verdict, outcome.counts)
}

/// A few operations, and timeouts short enough for the views of a schedule to pass before the world
/// heals.
fn options(replica_count: u32) -> Options {
    let mut options = Options::calm(replica_count);
    options.parameters.view_change_timeout = Duration::from_millis(100);
    options.parameters.view_change_timeout_max = Duration::from_millis(400);
    options.workload.clients = 2;
    options.workload.concurrency = 1;
    options.workload.operations = 10;
    options.workload.think_max = Duration::from_millis(200);
    options.heals_at = Duration::from_secs(3);
    options
}

/// Every set of `size` numbers below `count`.
fn choices(count: u32, size: u32) -> Vec<Vec<u32>> {
    let mut chosen = vec![Vec::new()];
    for number in 0..count {
        let with: Vec<Vec<u32>> =
            chosen.iter().map(|set: &Vec<u32>| [&set[..], &[number]].concat()).collect();
        chosen.extend(with);
    }
    chosen.retain(|set| set.len() == size as usize);
    chosen.sort();
    chosen
}

/// Every way to divide so many instances into parts: of each the number of its part, where a part
/// has the lowest number that is free when its first member comes.
fn partitions(instances: u32) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new()];
    for _ in 0..instances {
        let grown = |partition: &Vec<u32>| {
            let partition = partition.clone();
            let next = partition.iter().max().map_or(0, |last| last + 1);
            (0..=next).map(move |part| [&partition[..], &[part]].concat())
        };
        all = all.iter().flat_map(grown).collect();
    }
    all
}

/// At most three parts.
fn any_partition(rng: &mut Stream, instances: u32) -> Vec<u32> {
    let parts = rng.within(1..=3);
    (0..instances).map(|_| u32::try_from(rng.below(parts)).unwrap_or(0)).collect()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twins {:?}, parts of the network by view {:?}", self.twins, self.partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_and_every_choice_is_there_once() {
        // The Bell numbers and the binomial coefficients.
        let counts: Vec<usize> = (1..=6).map(|count| partitions(count).len()).collect();
        assert_eq!(counts, [1, 2, 5, 15, 52, 203]);
        assert_eq!(choices(4, 2).len(), 6);
        let bounds = Bounds { replica_count: 4, twins: 1, views: 4, schedules: Schedules::Static };
        assert_eq!(schedules(&bounds).len(), 4 * 52);
    }
}
