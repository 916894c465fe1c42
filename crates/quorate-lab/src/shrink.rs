//! From a failing world to a small one that fails in the same way: events, operations, clients and
//! disturbances are left out as long as it still fails.

use crate::network::NetworkOptions;
use crate::scenario::{Expectation, Scenario, verdict_name};
use crate::world::{self, Options, Outcome, Verdict};
use core::time::Duration;

/// The smallest failing scenario found, or `None` if this one passes. `on_run` is told before each
/// run how many events are left.
pub fn shrink(scenario: &Scenario, on_run: &mut dyn FnMut(usize)) -> Option<Scenario> {
    let first = world::run(scenario.seed, &scenario.options);
    let failure = Failure::of(&first)?;
    let mut search = Search { scenario: scenario.clone(), failure, on_run };
    loop {
        let before = size(&search.scenario.options);
        search.drop_events();
        search.drop_work();
        search.calm_down();
        if size(&search.scenario.options) == before {
            break;
        }
    }
    let mut smallest = search.scenario;
    // What else the scenario must come to, without what was left out it need not.
    smallest.expect = Expectation {
        verdict: verdict_name(&first.verdict),
        property: failure.property().map(str::to_owned),
        ..Expectation::default()
    };
    smallest.text = crate::scenario::write(&smallest);
    Some(smallest)
}

/// How a run failed: a smaller one must fail so too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failure {
    NoProgress,
    Violation(&'static str),
}

impl Failure {
    fn of(outcome: &Outcome) -> Option<Self> {
        match &outcome.verdict {
            Verdict::Pass => None,
            Verdict::NoProgress(_) => Some(Self::NoProgress),
            Verdict::Violation(violation) => Some(Self::Violation(violation.property)),
        }
    }

    const fn property(self) -> Option<&'static str> {
        match self {
            Self::NoProgress => None,
            Self::Violation(property) => Some(property),
        }
    }
}

struct Search<'a> {
    scenario: Scenario,
    failure: Failure,
    on_run: &'a mut dyn FnMut(usize),
}

impl Search<'_> {
    /// Keeps the change if the world still fails in the same way.
    fn attempt(&mut self, change: impl FnOnce(&mut Options)) -> bool {
        let mut options = self.scenario.options.clone();
        change(&mut options);
        if size(&options) >= size(&self.scenario.options) || options.check().is_err() {
            return false;
        }
        (self.on_run)(options.timeline.len());
        let outcome = world::run(self.scenario.seed, &options);
        let fails = Failure::of(&outcome) == Some(self.failure);
        if fails {
            self.scenario.options = options;
        }
        fails
    }

    /// Leaves events out: halves first, then ever smaller parts, in the end one by one.
    fn drop_events(&mut self) {
        let mut part = self.scenario.options.timeline.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < self.scenario.options.timeline.len() {
                let dropped = self.attempt(|options| {
                    let to = (from + part).min(options.timeline.len());
                    options.timeline.drain(from..to);
                });
                if !dropped {
                    from += part;
                }
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
    }

    fn drop_work(&mut self) {
        // A scenario has at least one client and one operation.
        let many = |shrinker: &Self| shrinker.scenario.options.workload.operations > 1;
        while many(self) && self.attempt(|options| options.workload.operations /= 2) {}
        while many(self) && self.attempt(|options| options.workload.operations -= 1) {}
        while self.scenario.options.workload.clients > 1
            && self.attempt(|options| options.workload.clients -= 1)
        {}
        self.attempt(|options| options.workload.concurrency = 1);
        self.attempt(|options| options.workload.keys = 1);
    }

    /// Takes disturbances away that are there all the time.
    fn calm_down(&mut self) {
        self.attempt(|options| options.network.loss_per_million = 0);
        self.attempt(|options| options.network.duplicate_per_million = 0);
        self.attempt(|options| options.network.reorders = false);
        self.attempt(|options| options.network = NetworkOptions::LOCAL);
        let calm = Options::calm(self.scenario.options.replica_count);
        self.attempt(|options| options.sync = calm.sync);
        self.attempt(|options| options.workload.think_max = Duration::ZERO);
        let last = self.scenario.options.timeline.last().map_or(Duration::ZERO, |(at, _)| *at);
        self.attempt(|options| options.heals_at = last);
    }
}

/// How much there is to read in a world; every kept change makes it smaller.
fn size(options: &Options) -> u64 {
    let workload = &options.workload;
    let network = &options.network;
    let disturbances = [
        network.loss_per_million > 0,
        network.duplicate_per_million > 0,
        network.reorders,
        *network != NetworkOptions::LOCAL,
        options.sync != Options::calm(options.replica_count).sync,
        !workload.think_max.is_zero(),
    ];
    let last = options.timeline.last().map_or(Duration::ZERO, |(at, _)| *at);
    options.timeline.len() as u64 * 1_000
        + workload.operations
        + u64::from(workload.clients)
        + u64::from(workload.concurrency)
        + workload.keys
        + disturbances.iter().map(|is_there| u64::from(*is_there)).sum::<u64>() * 10
        + u64::from(options.heals_at > last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a quorum nothing is answered, however little is asked.
    #[test]
    fn what_fails_with_any_work_is_left_with_one_operation_of_one_client() {
        let text = "format = 1\ntitle = \"t\"\nbeyond_budget = true\n[workload]\nclients = 2\n\
                    operations = 3\n[[start]]\nat = 0\nhonest_node = 2\nnon_responding_node = 2\n\
                    [expect]\nverdict = \"no_progress\"\n";
        let scenario = Scenario::parse("s.toml", text).unwrap_or_else(|error| panic!("{error}"));
        let smallest = shrink(&scenario, &mut |_| {}).expect("it fails");
        let workload = &smallest.options.workload;
        assert_eq!((workload.operations, workload.clients), (1, 1));
        Scenario::parse("smallest.toml", &smallest.text).expect("it can be read again");
    }
    /// What is left violates the same property, and its file says which.
    #[test]
    fn what_violates_a_property_is_left_with_the_name_of_that() {
        let text = include_str!("../../../scenarios/beyond/disks-set-back-n4.toml");
        let scenario = Scenario::parse("s.toml", text).unwrap_or_else(|error| panic!("{error}"));
        let property = scenario.expect.property.clone();
        assert!(property.is_some());
        let smallest = shrink(&scenario, &mut |_| {}).expect("it fails");
        let read = Scenario::parse("smallest.toml", &smallest.text);
        let read = read.unwrap_or_else(|error| panic!("{error}\n{}", smallest.text));
        assert_eq!(read.expect.property, property);
        assert_eq!(read.misses(&world::run(read.seed, &read.options)), [""; 0]);
    }
}
