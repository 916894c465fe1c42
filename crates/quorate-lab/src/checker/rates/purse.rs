//! So many at once, and one more after each so long a time.

use core::time::Duration;
use pbft::Time;

#[derive(Debug)]
pub(super) struct Purse {
    left: u64,
    /// Time alone fills it up to here.
    most: u64,
    interval_micros: u64,
    filled: Time,
}

impl Purse {
    /// A full one at `now`.
    pub(super) fn new(now: Time, most: u64, interval: Duration) -> Self {
        let interval_micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
        Self { left: most, most, interval_micros, filled: now }
    }

    pub(super) fn gain(&mut self, count: u64) {
        self.left += count;
    }

    /// Pays for one, if there is enough.
    pub(super) fn pay(&mut self, now: Time) -> bool {
        let earned = now.since(self.filled).as_micros() as u64 / self.interval_micros;
        self.filled =
            self.filled.after(Duration::from_micros(earned.saturating_mul(self.interval_micros)));
        let room = self.most.saturating_sub(self.left);
        self.left += earned.min(room);
        let fewer = self.left.checked_sub(1);
        self.left = fewer.unwrap_or(0);
        fewer.is_some()
    }
}
