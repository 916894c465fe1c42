//! The simulated network: what becomes of each message, and when it arrives.
//!
//! A message sent over a link that is cut is lost; otherwise it may be lost or duplicated by
//! chance, and each copy takes its own time. Unless links reorder, a copy never overtakes an earlier
//! one on the same link, as on TCP. The network does not forge: what arrives over a link was sent
//! over it.
//!
//! Two things belong to the network and not to what is wrong with it, so they stay when the world
//! heals: where everybody stands ([`Distances`]), and how much a link carries.

mod distances;
mod wires;

pub use distances::{Distances, RoundTrips};

use crate::rng::{Seed, Stream};
use core::fmt;
use core::time::Duration;
use pbft::message::Kind;
use pbft::{ReplicaId, Time};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use wires::Wires;

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

impl Delay {
    /// Evenly between two bounds.
    pub const fn between(min: Duration, max: Duration) -> Self {
        Self { min, max, tail_per_million: 0, tail_max: Duration::ZERO }
    }
}

impl NetworkOptions {
    /// A network in one building that loses nothing and keeps the order on each link.
    pub const LOCAL: Self = Self {
        delay: Delay::between(Duration::from_micros(100), Duration::from_micros(500)),
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

/// Some of what some replicas send to some others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Who sends it.
    pub from: Vec<ReplicaId>,
    /// To whom.
    pub to: Vec<ReplicaId>,
    /// Messages of these kinds, or of every kind if it is empty.
    pub kinds: Vec<Kind>,
}

impl Traffic {
    fn contains(&self, from: Endpoint, to: Endpoint, kind: Option<Kind>) -> bool {
        let (Endpoint::Replica(from), Endpoint::Replica(to)) = (from, to) else { return false };
        self.from.contains(&from)
            && self.to.contains(&to)
            && (self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(&kind)))
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &[ReplicaId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        let what = if kinds.is_empty() { "everything".to_owned() } else { kinds.join(", ") };
        let (from, to) = (list(&self.from).join(", "), list(&self.to).join(", "));
        write!(f, "{what} from replicas {from} to {to}")
    }
}

/// The network of one run.
#[derive(Debug)]
pub(crate) struct Network {
    options: NetworkOptions,
    distances: Option<Distances>,
    wires: Option<Wires>,
    rng: Stream,
    /// Apart from the others, so that how often replicas introduce themselves decides nothing about
    /// what they say afterwards.
    rng_of_hello: Stream,
    /// Links that carry nothing, from sender to receiver.
    cut: BTreeSet<(Endpoint, Endpoint)>,
    /// What is lost on links that carry everything else.
    dropped: Vec<Traffic>,
    /// What takes another time than everything else, at least and at most; the last one counts.
    delayed: Vec<(Traffic, Duration, Duration)>,
    /// When the last message on a link arrives. *(When links keep their order.)*
    latest: BTreeMap<(Endpoint, Endpoint), Time>,
}

impl Network {
    pub(crate) fn new(options: NetworkOptions, seed: Seed) -> Self {
        Self {
            options,
            distances: None,
            wires: None,
            rng: seed.stream("network"),
            rng_of_hello: seed.stream("network, hello"),
            cut: BTreeSet::new(),
            dropped: Vec::new(),
            delayed: Vec::new(),
            latest: BTreeMap::new(),
        }
    }

    /// Everybody stands where this says.
    pub(crate) fn spread(&mut self, distances: Distances) {
        self.distances = Some(distances);
    }

    /// Each link carries so many bytes in a second, in each direction.
    pub(crate) fn limit(&mut self, bytes_per_second: NonZeroU64) {
        self.wires = Some(Wires::new(bytes_per_second));
    }

    /// When the copies of a message of this kind sent now arrive; none if it is lost. Bytes that are
    /// no message have no kind. What is lost on its way takes its place on the link all the same;
    /// `size` is asked only where links are bounded.
    pub(crate) fn arrivals(
        &mut self,
        now: Time,
        (from, to): (Endpoint, Endpoint),
        kind: Option<Kind>,
        size: impl FnOnce() -> u64,
    ) -> Vec<Time> {
        if self.cut.contains(&(from, to)) {
            return Vec::new();
        }
        let now = match &mut self.wires {
            None => now,
            Some(wires) => wires.departure(now, (from, to), size()),
        };
        let NetworkOptions { loss_per_million, duplicate_per_million, .. } = self.options;
        if self.dropped.iter().any(|traffic| traffic.contains(from, to, kind))
            || self.rng_for(kind).chance(loss_per_million)
        {
            return Vec::new();
        }
        let copies = 1 + u32::from(self.rng_for(kind).chance(duplicate_per_million));
        (0..copies).map(|_| self.arrival(now, (from, to), kind)).collect()
    }

    /// From now on this is lost.
    pub(crate) fn lose(&mut self, traffic: Traffic) {
        self.dropped.push(traffic);
    }

    /// From now on this takes so long. What is of certain kinds is overtaken by everything else.
    pub(crate) fn delay(&mut self, traffic: Traffic, min: Duration, max: Duration) {
        self.delayed.push((traffic, min, max));
    }

    /// From now on all messages on all links are treated alike.
    pub(crate) fn treat_all_alike(&mut self) {
        self.dropped.clear();
        self.delayed.clear();
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

    fn arrival(&mut self, now: Time, link: (Endpoint, Endpoint), kind: Option<Kind>) -> Time {
        let delayed =
            self.delayed.iter().rev().find(|(traffic, ..)| traffic.contains(link.0, link.1, kind));
        let is_overtaken = delayed.is_some_and(|(traffic, ..)| !traffic.kinds.is_empty());
        let Delay { min, max, tail_per_million, tail_max } = match delayed {
            Some((_, min, max)) => Delay::between(*min, *max),
            None => self.delay_between(link),
        };
        let in_tail = self.rng_for(kind).chance(tail_per_million);
        let bounds =
            if in_tail { micros(max)..=micros(tail_max) } else { micros(min)..=micros(max) };
        let arrival = now.after(Duration::from_micros(self.rng_for(kind).within(bounds)));
        if self.options.reorders || is_overtaken {
            return arrival;
        }
        let latest = self.latest.entry(link).or_default();
        *latest = arrival.max(*latest);
        *latest
    }

    /// What decides by chance about a message of this kind.
    fn rng_for(&mut self, kind: Option<Kind>) -> &mut Stream {
        if kind == Some(Kind::Hello) { &mut self.rng_of_hello } else { &mut self.rng }
    }

    fn delay_between(&self, (from, to): (Endpoint, Endpoint)) -> Delay {
        let delay = self.options.delay;
        let far = self.distances.as_ref().and_then(|distances| distances.one_way(from, to));
        far.map_or(delay, |(min, max)| Delay {
            min,
            max,
            tail_max: delay.tail_max.max(max),
            ..delay
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::MILLION;

    const A: Endpoint = Endpoint::Replica(ReplicaId::new(0));
    const COMMIT: Option<Kind> = Some(Kind::Commit);
    const B: Endpoint = Endpoint::Replica(ReplicaId::new(1));

    fn network(options: NetworkOptions) -> Network {
        Network::new(options, Seed::new(1))
    }

    #[test]
    fn a_cut_link_carries_nothing_in_that_direction_until_it_is_mended() {
        let mut network = network(NetworkOptions::LOCAL);
        network.cut(A, B);
        assert!(network.arrivals(Time::ZERO, (A, B), COMMIT, || 0).is_empty());
        assert_eq!(network.arrivals(Time::ZERO, (B, A), COMMIT, || 0).len(), 1);
        assert!(network.mend(A, B) && !network.mend(A, B));
        assert_eq!(network.arrivals(Time::ZERO, (A, B), COMMIT, || 0).len(), 1);
    }

    #[test]
    fn some_traffic_is_lost_or_takes_its_time_until_all_is_treated_alike() {
        let [from, to] = [0, 1].map(|id| vec![ReplicaId::new(id)]);
        let commits = Traffic { from, to, kinds: vec![Kind::Commit] };
        let mut network = network(NetworkOptions::LOCAL);
        network.lose(commits.clone());
        assert!(network.arrivals(Time::ZERO, (A, B), COMMIT, || 0).is_empty());
        assert_eq!(network.arrivals(Time::ZERO, (A, B), Some(Kind::Prepare), || 0).len(), 1);
        assert_eq!(network.arrivals(Time::ZERO, (B, A), COMMIT, || 0).len(), 1);
        network.treat_all_alike();
        let late = Duration::from_secs(2);
        network.delay(commits, late, late);
        assert_eq!(network.arrivals(Time::ZERO, (A, B), COMMIT, || 0), [Time::ZERO.after(late)]);
        let prepare = network.arrivals(Time::ZERO, (A, B), Some(Kind::Prepare), || 0)[0];
        assert!(prepare < Time::ZERO.after(late), "it overtakes");
        network.treat_all_alike();
        assert!(network.arrivals(Time::ZERO, (A, B), COMMIT, || 0)[0] < Time::ZERO.after(late));
    }

    #[test]
    fn order_is_kept_on_a_link_unless_links_reorder() {
        for reorders in [false, true] {
            let mut network = network(NetworkOptions { reorders, ..NetworkOptions::LOCAL });
            let arrivals: Vec<Time> = (0..200u64)
                .flat_map(|sent| network.arrivals(Time::from_micros(sent), (A, B), COMMIT, || 0))
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
            (0..1_000).map(|_| network.arrivals(Time::ZERO, (A, B), COMMIT, || 0).len()).collect();
        let share = |count| counts.iter().filter(|copies| **copies == count).count();
        assert!((400..600).contains(&share(0)));
        assert!((180..320).contains(&share(1)) && (180..320).contains(&share(2)));
    }
}
