//! Attacks on admission and on the way back. Each test says what a correct cluster owes.

mod old_disks;
mod rejoins;
mod starts;
mod taking_over;

use std::time::Duration;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
