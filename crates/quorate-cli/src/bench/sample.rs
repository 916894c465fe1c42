//! What one measurement found, and what several of them say together.

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What callers found in one span of time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Operations that were answered.
    pub(super) operations: u64,
    /// Requests that carried them.
    pub(super) requests: u64,
    /// The span.
    pub(super) span: Duration,
    /// The longest time in it in which nothing was answered, if somebody looked.
    pub(super) longest_gap: Option<Duration>,
    /// What else was found, by name.
    pub(super) also: BTreeMap<&'static str, f64>,
    latencies: Histogram<u64>,
}

/// Latencies are told apart to three digits, up to a minute.
const DIGITS: u8 = 3;
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// Nanoseconds, from which no measurement here differs by more than a thousandth.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS)?)
}

/// Notes how long one operation took.
pub(super) fn note(latencies: &mut Histogram<u64>, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}

impl Sample {
    /// # Errors
    /// If nothing was answered: that is no measurement.
    pub(super) fn new(latencies: Histogram<u64>, requests: u64, span: Duration) -> Result<Self> {
        ensure!(!latencies.is_empty(), "not one operation was answered in {span:?}");
        let (operations, also) = (latencies.len(), BTreeMap::new());
        Ok(Self { operations, requests, span, longest_gap: None, also, latencies })
    }

    pub(super) fn with_longest_gap(self, longest: Duration) -> Self {
        Self { longest_gap: Some(longest), ..self }
    }

    /// With something else that was found.
    pub(super) fn and(mut self, name: &'static str, value: f64) -> Self {
        self.also.insert(name, value);
        self
    }

    pub(super) fn per_second(&self) -> f64 {
        self.operations as f64 / self.span.as_secs_f64()
    }

    /// The latency that this share of the operations did not exceed, in microseconds.
    pub(super) fn quantile_us(&self, share: f64) -> f64 {
        self.latencies.value_at_quantile(share) as f64 / 1000.0
    }
}

/// The longest time in which no caller was answered.
#[derive(Debug)]
pub(super) struct Gaps(Mutex<Gap>);

#[derive(Clone, Copy, Debug)]
struct Gap {
    since: Instant,
    longest: Duration,
}

impl Gaps {
    /// From this moment on.
    pub(super) fn from(begin: Instant) -> Self {
        Self(Mutex::new(Gap { since: begin, longest: Duration::ZERO }))
    }

    /// A caller was answered.
    pub(super) fn answered_at(&self, now: Instant) {
        let mut gap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Callers on two threads may come here in the other order.
        gap.longest = gap.longest.max(now.saturating_duration_since(gap.since));
        gap.since = gap.since.max(now);
    }

    /// The longest, once nobody calls any more.
    pub(super) fn end_at(&self, end: Instant) -> Duration {
        self.answered_at(end);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).longest
    }
}

/// The middle of some numbers, and how far apart they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// The one in the middle; the lower of two.
    pub(super) median: f64,
    /// The lowest and the highest.
    pub(super) range: (f64, f64),
}

impl Spread {
    /// `None` of no numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let median = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median, range: (first, last) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_one_of_the_numbers() {
        assert_eq!(Spread::of([]), None);
        let spread = Spread::of([3.0, 1.0, 9.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.0, range: (1.0, 9.0) });
    }

    #[test]
    fn quantiles_are_in_microseconds() {
        let mut latencies = histogram().unwrap();
        for micros in 1..=100 {
            note(&mut latencies, Duration::from_micros(micros));
        }
        let span = Duration::from_secs(2);
        let sample = Sample::new(latencies, 10, span).unwrap();
        assert_eq!(sample.per_second(), 50.0);
        assert!((sample.quantile_us(0.5) - 50.0).abs() < 0.1);
        assert!((sample.quantile_us(0.99) - 99.0).abs() < 0.2);
        assert!(Sample::new(histogram().unwrap(), 0, span).is_err());
    }

    #[test]
    fn longest_gap_counts_from_the_beginning_and_to_the_end() {
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let gaps = |answers: &[u64]| {
            let gaps = Gaps::from(begin);
            answers.iter().for_each(|millis| gaps.answered_at(after(*millis)));
            gaps.end_at(after(100)).as_millis()
        };
        assert_eq!(gaps(&[10, 60, 70]), 50);
        assert_eq!(gaps(&[70, 80]), 70);
        assert_eq!(gaps(&[10, 20]), 80);
        assert_eq!(gaps(&[60, 20, 70]), 60, "whoever comes late brings no gap");
    }
}
