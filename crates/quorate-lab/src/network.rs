//! The simulated network: what becomes of each message, and when it arrives.
//!
//! A message sent over a link that is cut is lost; otherwise it may be lost or duplicated by
//! chance, and each copy takes its own time. Unless links reorder, a copy never overtakes an earlier
//! one on the same link, as on TCP. The network does not forge: what arrives over a link was sent
//! over it.

use crate::rng::Stream;
use core::time::Duration;
use pbft::Time;
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// How the network treats messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkOptions {
    /// How long a message is under way.
    pub delay: Delay,
    /// How many messages in a million are lost.
    pub loss_per_million: u64,
    /// How many messages in a million arrive twice.
    pub duplicate_per_million: u64,
    /// Whether messages overtake one another on a link.
    pub reorders: bool,
}

/// A distribution of delays: evenly between two bounds, with a tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub min: Duration,
    /// The longest, outside the tail.
    pub max: Duration,
    /// How many messages in a million are in the tail.
    pub tail_per_million: u64,
    /// The longest in the tail.
    pub tail_max: Duration,
}

impl NetworkOptions {
    /// A network in one building that loses nothing and keeps the order on each link.
    pub const LOCAL: Self = Self {
        delay: Delay {
            min: Duration::from_micros(100),
            max: Duration::from_micros(500),
            tail_per_million: 0,
            tail_max: Duration::ZERO,
        },
        loss_per_million: 0,
        duplicate_per_million: 0,
        reorders: false,
    };

    /// Two continents and a bad line: every twentieth message lost, many late, some twice.
    pub const WIDE_AND_LOSSY: Self = Self {
        delay: Delay {
            min: Duration::from_millis(20),
            max: Duration::from_millis(60),
            tail_per_million: 20_000,
            tail_max: Duration::from_millis(300),
        },
        loss_per_million: 50_000,
        duplicate_per_million: 20_000,
        reorders: true,
    };
}

/// The network of one run.
#[derive(Debug)]
pub(crate) struct Network {
    options: NetworkOptions,
    rng: Stream,
    /// Links that carry nothing, from sender to receiver.
    cut: BTreeSet<(Endpoint, Endpoint)>,
    /// When the last message on a link arrives. *(When links keep their order.)*
    latest: BTreeMap<(Endpoint, Endpoint), Time>,
}

impl Network {
    pub(crate) fn new(options: NetworkOptions, rng: Stream) -> Self {
        Self { options, rng, cut: BTreeSet::new(), latest: BTreeMap::new() }
    }

    /// When the copies of a message sent now arrive; none if it is lost.
    pub(crate) fn arrivals(&mut self, now: Time, from: Endpoint, to: Endpoint) -> Vec<Time> {
        if self.cut.contains(&(from, to)) || self.rng.chance(self.options.loss_per_million) {
            return Vec::new();
        }
        let copies = 1 + u32::from(self.rng.chance(self.options.duplicate_per_million));
        (0..copies).map(|_| self.arrival(now, (from, to))).collect()
    }

    /// From now on the link carries nothing in this direction.
    pub(crate) fn cut(&mut self, from: Endpoint, to: Endpoint) {
        self.cut.insert((from, to));
    }

    /// From now on the link carries messages again. Returns whether it was cut.
    pub(crate) fn mend(&mut self, from: Endpoint, to: Endpoint) -> bool {
        self.cut.remove(&(from, to))
    }

    /// From now on messages are treated like this.
    pub(crate) fn change(&mut self, options: NetworkOptions) {
        self.options = options;
    }

    fn arrival(&mut self, now: Time, link: (Endpoint, Endpoint)) -> Time {
        let Delay { min, max, tail_per_million, tail_max } = self.options.delay;
        let in_tail = self.rng.chance(tail_per_million);
        let bounds =
            if in_tail { micros(max)..=micros(tail_max) } else { micros(min)..=micros(max) };
        let arrival = now.after(Duration::from_micros(self.rng.within(bounds)));
        if self.options.reorders {
            return arrival;
        }
        let latest = self.latest.entry(link).or_default();
        *latest = arrival.max(*latest);
        *latest
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{MILLION, Seed};
    use pbft::ReplicaId;

    const A: Endpoint = Endpoint::Replica(ReplicaId::new(0));
    const B: Endpoint = Endpoint::Replica(ReplicaId::new(1));

    fn network(options: NetworkOptions) -> Network {
        Network::new(options, Seed::new(1).stream("network"))
    }

    #[test]
    fn a_cut_link_carries_nothing_in_that_direction_until_it_is_mended() {
        let mut network = network(NetworkOptions::LOCAL);
        network.cut(A, B);
        assert!(network.arrivals(Time::ZERO, A, B).is_empty());
        assert_eq!(network.arrivals(Time::ZERO, B, A).len(), 1);
        assert!(network.mend(A, B) && !network.mend(A, B));
        assert_eq!(network.arrivals(Time::ZERO, A, B).len(), 1);
    }

    #[test]
    fn order_is_kept_on_a_link_unless_links_reorder() {
        for reorders in [false, true] {
            let mut network = network(NetworkOptions { reorders, ..NetworkOptions::LOCAL });
            let arrivals: Vec<Time> = (0..200u64)
                .flat_map(|sent| network.arrivals(Time::from_micros(sent), A, B))
                .collect();
            assert_eq!(arrivals.is_sorted(), !reorders);
        }
    }

    #[test]
    fn loss_and_duplication_have_their_shares() {
        let options = NetworkOptions {
            loss_per_million: MILLION / 2,
            duplicate_per_million: MILLION / 2,
            ..NetworkOptions::LOCAL
        };
        let mut network = network(options);
        let counts: Vec<usize> =
            (0..1_000).map(|_| network.arrivals(Time::ZERO, A, B).len()).collect();
        let share = |count| counts.iter().filter(|copies| **copies == count).count();
        assert!((400..600).contains(&share(0)));
        assert!((180..320).contains(&share(1)) && (180..320).contains(&share(2)));
    }
}
