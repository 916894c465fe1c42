//! The two clocks of a replica.

use pbft::{Now, Time, WallTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Reads both clocks; its origin is the start of the replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { monotonic: Time::from_micros(elapsed), wall: WallTime::from_millis(millis) }
    }

    /// When a moment of the replica's time is, for the runtime's timers. A moment beyond what
    /// they can express comes in a day, and is then waited for again.
    pub(super) fn instant(&self, time: Time) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 60 * 60);
        let moment = self.started.checked_add(Duration::from_micros(time.as_micros()));
        moment.unwrap_or_else(|| Instant::now() + FAR)
    }
}

/// The processor time that this process has taken, all its threads together.
pub fn processor_time() -> Duration {
    let taken = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(taken).unwrap_or_default()
}
