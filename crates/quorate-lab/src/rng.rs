//! All randomness of a run: one seed, and a named stream for each consumer.
//!
//! A stream's numbers depend on the seed and its name alone. So a new consumer, or one that draws
//! more often, does not shift what the others get: a failing seed stays close to what it was while
//! the code around it changes.

use pbft::Digest;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::ops::RangeInclusive;

/// The number that decides everything in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed(u64);

/// The random numbers of one consumer.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Seed {
    /// Wraps the number.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The stream of the consumer called `name`.
    pub fn stream(self, name: &str) -> Stream {
        let seed = Digest::of("quorate lab 1 stream", &[&self.0.to_le_bytes(), name.as_bytes()]);
        Stream(ChaCha8Rng::from_seed(*seed.as_bytes()))
    }

    /// The stream of the `index`-th of several alike consumers.
    pub fn stream_of(self, name: &str, index: u64) -> Stream {
        self.stream(&format!("{name}/{index}"))
    }
}

/// One in a million.
pub const MILLION: u64 = 1_000_000;

impl Stream {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 128-bit product: its bias, below bound / 2^64, is of no consequence
        // here, and unlike rejection it always takes one draw.
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a 128-bit product has 64 bits")
    }

    /// An index below `len`; 0 if `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("a number below a usize is one")
    }

    /// A number in the range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let span = range.end().saturating_sub(*range.start());
        range.start().saturating_add(self.below(span.saturating_add(1)))
    }

    /// True with a probability of so many in a million.
    pub fn chance(&mut self, per_million: u64) -> bool {
        self.below(MILLION) < per_million
    }

    /// One of the elements, all equally likely; `None` if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// Puts the elements in random order.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for end in (1..elements.len()).rev() {
            elements.swap(end, self.index(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_name_alone() {
        let draw = |seed: u64, name: &str| Seed::new(seed).stream(name).bits();
        assert_eq!(draw(7, "network"), draw(7, "network"));
        assert_ne!(draw(7, "network"), draw(7, "disk"));
        assert_ne!(draw(7, "network"), draw(8, "network"));
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut stream = Seed::new(1).stream("test");
        let drawn: Vec<u64> = (0..1_000).map(|_| stream.within(3..=5)).collect();
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert!((3..=5).all(|number| drawn.contains(&number)));
        assert_eq!(stream.below(0), 0);
        assert!(!stream.chance(0) && stream.chance(MILLION));
    }

    #[test]
    fn shuffling_keeps_every_element() {
        let mut elements: Vec<u32> = (0..100).collect();
        Seed::new(3).stream("test").shuffle(&mut elements);
        assert_ne!(elements, (0..100).collect::<Vec<_>>());
        elements.sort_unstable();
        assert_eq!(elements, (0..100).collect::<Vec<_>>());
    }
}
