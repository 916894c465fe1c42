//! The optimizations that can be turned off, and the floor for slow primaries: which are on in a world, and in how many worlds of a
//! swarm each pair of them was in each of its settings.

use crate::rng::Stream;
use crate::world::Options;
use core::time::Duration;
use pbft::Parameters;
use std::collections::BTreeMap;

/// How many there are.
const COUNT: usize = 10;

/// Each, and whether it is on.
pub(super) fn of(options: &Options) -> [(&'static str, bool); COUNT] {
    let parameters = &options.parameters;
    [
        ("batches", parameters.batch_requests_max > 1),
        ("instances in flight", parameters.instances_in_flight_max > 1),
        ("gathering", !parameters.batch_gathering_max.is_zero()),
        ("shared signatures", parameters.operations_per_request_max > 1),
        ("digest replies", parameters.digest_replies),
        ("separate requests", parameters.separate_requests),
        ("requests to the primary", parameters.requests_to_primary),
        ("tentative execution", parameters.tentative_execution),
        ("reads in one round", options.workload.one_round_reads),
        ("throughput floor", parameters.throughput_floor),
    ]
}

/// In half of the worlds each is on or off as a coin falls, so that every pair of them is in each
/// of its settings in an eighth of all worlds at least.
pub(super) fn add(rng: &mut Stream, options: &mut Options) {
    if rng.chance(500_000) {
        return;
    }
    let mut coin = || rng.chance(500_000);
    let defaults = Parameters::default();
    let parameters = &mut options.parameters;
    parameters.batch_requests_max = if coin() { parameters.batch_requests_max.max(2) } else { 1 };
    parameters.instances_in_flight_max =
        if coin() { parameters.instances_in_flight_max.max(2) } else { 1 };
    let gathering = if coin() { defaults.batch_gathering_max } else { Duration::ZERO };
    (parameters.batch_gathering_max, options.client.gathering_max) = (gathering, gathering);
    parameters.operations_per_request_max =
        if coin() { defaults.operations_per_request_max } else { 1 };
    parameters.digest_replies = coin();
    parameters.tentative_execution = coin();
    parameters.throughput_floor = coin();
    options.workload.one_round_reads = coin();
    parameters.separate_requests = coin();
    parameters.requests_to_primary = coin();
}

/// A pair of switches, each with its setting.
pub type Setting = [(&'static str, bool); 2];

/// In how many worlds each pair of switches was in each of its settings.
#[derive(Clone, Debug, Default)]
pub struct Pairs(BTreeMap<Setting, u64>);

impl Pairs {
    /// Counts a world with these switches.
    pub fn count(&mut self, switches: &[(&'static str, bool)]) {
        for (place, (one, is_on)) in switches.iter().enumerate() {
            for (other, is_other_on) in &switches[place + 1..] {
                for setting in [(true, true), (true, false), (false, true), (false, false)] {
                    let runs = self.0.entry([(*one, setting.0), (*other, setting.1)]).or_default();
                    *runs += u64::from((*is_on, *is_other_on) == setting);
                }
            }
        }
    }

    /// The setting that was met least, and in how many worlds.
    pub fn rarest(&self) -> Option<(Setting, u64)> {
        self.0.iter().map(|(setting, runs)| (*setting, *runs)).min_by_key(|(_, runs)| *runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn every_pair_of_switches_is_in_each_of_its_settings_in_a_tenth_of_the_worlds() {
        let mut pairs = Pairs::default();
        for seed in 0..2_000 {
            pairs.count(&of(&crate::swarm::options_of(Seed::new(seed))));
        }
        assert_eq!(pairs.0.len(), COUNT * (COUNT - 1) / 2 * 4);
        let (rarest, runs) = pairs.rarest().expect("there are pairs");
        assert!(runs >= 200, "{rarest:?}: {runs} of 2000");
    }

    #[test]
    fn setting_that_never_came_is_the_rarest() {
        let mut pairs = Pairs::default();
        pairs.count(&[("a", true), ("b", false)]);
        assert_eq!(pairs.rarest().map(|(_, runs)| runs), Some(0));
    }
}
