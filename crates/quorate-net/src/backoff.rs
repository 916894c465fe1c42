//! Pauses between attempts: doubling, capped, and never the same for everybody.

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, BACKOFF_RESET_AFTER};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    /// The longest the next pause may be.
    ceiling: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { ceiling: BACKOFF_MIN }
    }

    /// The pause after an attempt: between half of the ceiling and the ceiling, as `jitter` falls
    /// on the whole range of its type. The attempt had served for `lasted` before it ended.
    pub(crate) fn pause(&mut self, lasted: Duration, jitter: u32) -> Duration {
        if lasted >= BACKOFF_RESET_AFTER {
            self.ceiling = BACKOFF_MIN;
        }
        let half = self.ceiling / 2;
        let part = half.as_micros() * u128::from(jitter) / u128::from(u32::MAX);
        self.ceiling = (self.ceiling * 2).min(BACKOFF_MAX);
        half + Duration::from_micros(u64::try_from(part).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Duration = Duration::ZERO;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..10).map(|_| backoff.pause(FAILED, u32::MAX)).collect();
        assert_eq!(pauses[0], BACKOFF_MIN);
        assert_eq!(pauses[1], BACKOFF_MIN * 2);
        assert_eq!(pauses[9], BACKOFF_MAX);
        assert!(pauses.is_sorted());
    }

    #[test]
    fn jitter_spreads_a_pause_over_its_upper_half() {
        assert_eq!(Backoff::new().pause(FAILED, 0), BACKOFF_MIN / 2);
        let middle = Backoff::new().pause(FAILED, u32::MAX / 2);
        assert!(middle > BACKOFF_MIN / 2 && middle < BACKOFF_MIN);
    }

    #[test]
    fn link_that_served_for_a_while_starts_over_and_one_that_flaps_does_not() {
        let mut backoff = Backoff::new();
        for _ in 0..10 {
            backoff.pause(FAILED, 0);
        }
        assert_eq!(backoff.pause(Duration::from_millis(1), u32::MAX), BACKOFF_MAX);
        assert_eq!(backoff.pause(BACKOFF_RESET_AFTER, u32::MAX), BACKOFF_MIN);
    }
}
