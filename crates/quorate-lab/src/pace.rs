//! How fast the clients of a run were answered.

use core::time::Duration;
use pbft::Time;

/// The answers of a run, and when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    first_call: Option<Time>,
    last_answer: Time,
    latencies: Vec<Duration>,
}

impl Pace {
    /// An operation that was called then is answered now.
    pub fn answered(&mut self, called: Time, now: Time) {
        self.first_call = Some(self.first_call.map_or(called, |first| first.min(called)));
        self.last_answer = self.last_answer.max(now);
        self.latencies.push(now.since(called));
    }

    /// The longest time from a call to its answer.
    pub fn slowest(&self) -> Duration {
        self.latencies.iter().copied().max().unwrap_or_default()
    }

    /// As many answers took longer as took less time; `None` without any.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Operations answered in a second, from the first call to the last answer; `None` if that took
    /// no time.
    pub fn operations_per_second(&self) -> Option<f64> {
        let span = self.last_answer.since(self.first_call?).as_secs_f64();
        (span > 0.0).then(|| self.latencies.len() as f64 / span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn pace_runs_from_the_first_call_to_the_last_answer() {
        let mut pace = Pace::default();
        assert_eq!((pace.median(), pace.operations_per_second()), (None, None));
        pace.answered(at(1_500), at(1_510));
        pace.answered(at(1_000), at(1_400));
        pace.answered(at(1_900), at(3_000));
        assert_eq!(pace.slowest(), Duration::from_millis(1_100));
        assert_eq!(pace.median(), Some(Duration::from_millis(400)));
        assert_eq!(pace.operations_per_second(), Some(1.5));
    }
}
