//! Links of bounded bandwidth: the bytes of a message leave one after the other, and those of the
//! next message behind them.

use core::time::Duration;
use pbft::Time;
use quorate_adversary::Endpoint;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// What leaves on every link of a network whose links all carry as much.
#[derive(Debug)]
pub(super) struct Wires {
    bytes_per_second: NonZeroU64,
    /// When the last byte of the last message leaves, in nanoseconds: many messages of a fast link
    /// leave within one microsecond.
    free_at: BTreeMap<(Endpoint, Endpoint), u128>,
}

impl Wires {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, free_at: BTreeMap::new() }
    }

    /// When the last byte of a message of this size, handed to the link now, has left.
    pub(super) fn departure(&mut self, now: Time, link: (Endpoint, Endpoint), bytes: u64) -> Time {
        let takes = u128::from(bytes) * NANOS_PER_SECOND / u128::from(self.bytes_per_second.get());
        let free_at = self.free_at.entry(link).or_default();
        *free_at = (u128::from(now.as_micros()) * 1_000).max(*free_at) + takes;
        let micros = free_at.div_ceil(1_000);
        Time::ZERO.after(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbft::ReplicaId;

    #[test]
    fn messages_queue_on_their_own_link_and_in_their_own_direction() {
        let [a, b] = [0, 1].map(|id| Endpoint::Replica(ReplicaId::new(id)));
        let mut wires = Wires::new(NonZeroU64::new(1_000_000).expect("it is above zero"));
        let mut departure =
            |now, link, bytes| wires.departure(Time::from_micros(now), link, bytes).as_micros();
        assert_eq!(departure(10, (a, b), 100), 110);
        assert_eq!(departure(20, (a, b), 50), 160, "it waits for the first");
        assert_eq!(departure(20, (b, a), 50), 70);
        assert_eq!(departure(500, (a, b), 1), 501, "an idle link gathers no credit");
    }

    #[test]
    fn many_small_messages_take_as_long_as_one_large() {
        let link = (0, 1);
        let link = [link.0, link.1].map(|id| Endpoint::Replica(ReplicaId::new(id)));
        let gigabit = NonZeroU64::new(125_000_000).expect("it is above zero");
        let (mut one, mut many) = (Wires::new(gigabit), Wires::new(gigabit));
        let last = (0..1_000).map(|_| many.departure(Time::ZERO, link.into(), 100)).last();
        assert_eq!(last, Some(one.departure(Time::ZERO, link.into(), 100_000)));
    }
}
