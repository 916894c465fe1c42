//! How fast a sender is read: a rate with a burst, for frames and for bytes.

use std::time::Duration;
use tokio::time::Instant;

/// A rate that may be exceeded for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units per second that are allowed for ever; at least 1.
    pub per_second: u64,
    /// Units that may come at once after a rest.
    pub burst: u64,
}

/// Keeps one sender to its [`Rate`].
///
/// This is a bucket that leaks at the rate: instead of its level it keeps the moment at which it
/// would be empty, so that nothing has to run in between.
#[derive(Debug)]
pub(crate) struct Meter {
    rate: Rate,
    empty_at: Instant,
}

impl Meter {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, empty_at: now }
    }

    /// Charges `amount` units and returns how long to wait before the next are admitted.
    pub(crate) fn charge(&mut self, amount: u64, now: Instant) -> Duration {
        self.empty_at = self.empty_at.max(now) + self.time_for(amount);
        (self.empty_at - now).saturating_sub(self.time_for(self.rate.burst))
    }

    /// How long the rate needs for `amount` units.
    fn time_for(&self, amount: u64) -> Duration {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.rate.per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Keeps one sender to a rate of frames and to one of bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    frames: Meter,
    bytes: Meter,
}

impl Budget {
    pub(crate) fn new(frames: Rate, bytes: Rate, now: Instant) -> Self {
        Self { frames: Meter::new(frames, now), bytes: Meter::new(bytes, now) }
    }

    /// Charges a frame and returns how long to leave its sender unread.
    pub(crate) fn charge(&mut self, frame_bytes: usize, now: Instant) -> Duration {
        self.frames.charge(1, now).max(self.bytes.charge(frame_bytes as u64, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 100, burst: 10 };
    const UNIT: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn burst_passes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let mut meter = Meter::new(RATE, now);
        for _ in 0..10 {
            assert_eq!(meter.charge(1, now), Duration::ZERO);
        }
        assert_eq!(meter.charge(1, now), UNIT);
        assert_eq!(meter.charge(1, now + UNIT), UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn rest_earns_no_more_than_the_burst() {
        let now = Instant::now();
        let mut meter = Meter::new(RATE, now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(meter.charge(10, later), Duration::ZERO);
        assert_eq!(meter.charge(1, later), UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn amount_above_the_burst_is_paid_back_in_time() {
        let now = Instant::now();
        let mut meter = Meter::new(RATE, now);
        assert_eq!(meter.charge(110, now), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn absurd_amounts_do_not_overflow() {
        let now = Instant::now();
        let mut meter = Meter::new(Rate { per_second: 1 << 40, burst: 0 }, now);
        assert!(meter.charge(1 << 50, now) > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_charged_by_number_and_by_length() {
        let now = Instant::now();
        let bytes = Rate { per_second: 1000, burst: 100 };
        let mut budget = Budget::new(RATE, bytes, now);
        for _ in 0..10 {
            assert_eq!(budget.charge(1, now), Duration::ZERO);
        }
        assert_eq!(budget.charge(1, now), UNIT);
        assert_eq!(budget.charge(1089, now), Duration::from_secs(1));
    }
}
