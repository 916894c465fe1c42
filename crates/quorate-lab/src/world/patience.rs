//! How long the work may take once the world has healed, as far as timers and delays decide it.

use super::{Fault, Options};
use core::time::Duration;
use quorate_adversary::Behaviour;

/// So long at least, whatever the timers are.
const PATIENCE_MIN: Duration = Duration::from_secs(60);

/// For everything that takes no timer.
const WORK: Duration = Duration::from_secs(30);

/// Times above this one would overflow sums of them.
const PATIENCE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The messages that follow one another until a request is answered: PRE-PREPARE, PREPARE, COMMIT
/// and REPLY.
const STEPS: u32 = 4;

impl Options {
    /// How long to wait, after healing, before the work counts as not done: never shorter than what
    /// correct replicas and clients may need, f faulty replicas among them.
    pub fn patience(&self) -> Duration {
        PATIENCE_MIN.max(self.timers_need() + WORK)
    }

    /// How long their timers, the delay of slow replicas and the clients' own pace may take
    /// together after healing.
    fn timers_need(&self) -> Duration {
        let operations = u32::try_from(self.workload.operations).unwrap_or(u32::MAX);
        let pace = self.workload.begins_at.saturating_sub(self.heals_at)
            + self.workload.think_max.saturating_mul(operations);
        [pace, self.slow_replicas(), self.view_changes(), self.retransmissions()]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add)
            .min(PATIENCE_MAX)
    }

    /// How long the work may take because of slow replicas, if every quorum needs one of them and
    /// the operations follow one another.
    pub(crate) fn slow_replicas(&self) -> Duration {
        let operations = u32::try_from(self.workload.operations).unwrap_or(u32::MAX);
        self.slowest().saturating_mul(STEPS).saturating_mul(operations.saturating_add(1))
    }

    /// The view that the world heals in may fail, and those of f faulty primaries: each takes a
    /// timeout, which doubles [TM2]. A view change before the healing has doubled it already, but
    /// only as often as there was time for it.
    fn view_changes(&self) -> Duration {
        let longest = self.parameters.view_change_timeout_max;
        let grown = self.parameters.view_change_timeout.saturating_add(self.heals_at);
        doubling(grown.min(longest), longest, self.fault_bound() + 2)
    }

    /// A request may be lost before the healing, and once more while replicas let one another in.
    /// The interval doubles, or follows the latency, and is spread by a quarter [CL2].
    fn retransmissions(&self) -> Duration {
        let longest = self.client.retransmit_max;
        let grown = self.client.retransmit_min.saturating_add(self.heals_at.saturating_mul(4));
        doubling(grown.min(longest), longest, 2).saturating_mul(5) / 4
    }

    /// The longest delay of a slow replica.
    fn slowest(&self) -> Duration {
        let delays = self.timeline.iter().filter_map(|(_, fault)| match fault {
            Fault::Behave(_, Behaviour::Slow { delay, .. }) => Some(*delay),
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// Why a run that came to no end may have been stopped too soon, if it may.
    pub fn impatience(&self) -> Option<String> {
        let patience = self.recovery_max;
        if patience >= self.timers_need() {
            return None;
        }
        let timers = [
            ("the delay of slow nodes", self.slowest()),
            ("client.retransmission_timeout", self.client.retransmit_min),
            ("cluster.view_change_timeout", self.parameters.view_change_timeout),
        ];
        let (name, longest) = timers.into_iter().max_by_key(|(_, span)| *span)?;
        Some(format!(
            "stopped {} s after the world healed, while a timer of {} s ({name}) may still have been \
             running: set expect.within higher, or leave it out and it follows the timers",
            patience.as_secs_f64(),
            longest.as_secs_f64()
        ))
    }

    /// Why nothing can be agreed on if only so many replicas take part, if they are too few.
    pub fn too_few(&self, taking_part: usize) -> Option<String> {
        let quorum = ((self.replica_count + self.fault_bound()) / 2 + 1) as usize;
        (taking_part < quorum).then(|| {
            format!(
                "no quorum takes part: {quorum} of {} replicas must have let one another in, and \
                 {taking_part} have; until then requests wait with their clients; start more \
                 replicas, or let fewer be silent or down",
                self.replica_count
            )
        })
    }
}

/// The sum of so many spans, of which each is twice the one before it, up to the longest.
fn doubling(first: Duration, longest: Duration, count: u32) -> Duration {
    let spans =
        core::iter::successors(Some(first), |span| Some(span.saturating_mul(2).min(longest)));
    spans.take(count as usize).fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbft::ReplicaId;
    use quorate_adversary::Slowed;

    const T: Duration = Duration::from_secs(200);

    fn with_timers(timeout: Duration, retransmission: Duration) -> Options {
        let mut options = Options::calm(4);
        options.parameters.view_change_timeout = timeout;
        options.parameters.view_change_timeout_max = timeout * 16;
        options.client.retransmit_min = retransmission;
        options.client.retransmit_max = retransmission * 16;
        options
    }

    #[test]
    fn patience_is_a_minute_unless_timers_take_longer() {
        assert_eq!(Options::calm(4).patience(), Duration::from_secs(60));
        // The view that the world heals in, and one of a faulty primary, and one that follows.
        let slow_to_change = with_timers(T, Duration::from_millis(150));
        assert!(slow_to_change.patience() > T * (1 + 2 + 4));
        let slow_to_repeat = with_timers(Duration::from_millis(500), T);
        assert!(slow_to_repeat.patience() > T * (1 + 2));
    }

    /// What has grown before the healing counts, but no more than it can have grown.
    #[test]
    fn timers_that_grew_before_the_healing_count() {
        let mut options = with_timers(Duration::from_secs(3), Duration::from_millis(150));
        let calm = options.patience();
        options.heals_at = Duration::from_secs(30);
        let disturbed = options.patience();
        options.heals_at = Duration::from_secs(3_000);
        assert!(calm < disturbed && disturbed < options.patience());
        assert!(options.patience() < Duration::from_secs(3 * 16 * 4));
    }

    #[test]
    fn slow_replicas_and_late_clients_take_their_time() {
        let mut options = Options::calm(4);
        options.workload.operations = 5;
        let delay = Duration::from_secs(20);
        let behaviour = Behaviour::Slow { delay, slowed: Slowed::Replies };
        let slow = Fault::Behave(ReplicaId::new(1), behaviour);
        options.timeline.push((Duration::ZERO, slow));
        assert!(options.patience() >= delay * 4 * 6);
        options = Options::calm(4);
        options.workload.begins_at = Duration::from_secs(100);
        assert!(options.patience() >= Duration::from_secs(130));
        options.workload.think_max = Duration::from_secs(1 << 40);
        assert!(options.patience() <= PATIENCE_MAX + WORK);
    }

    #[test]
    fn impatience_is_told_with_the_longest_timer() {
        let mut options = with_timers(Duration::from_secs(3), T);
        options.recovery_max = Duration::from_secs(60);
        let told = options.impatience().expect("60 s are too short");
        assert!(told.contains("stopped 60 s") && told.contains("200 s (client.retrans"), "{told}");
        options.recovery_max = options.patience();
        assert_eq!(options.impatience(), None);
    }

    #[test]
    fn too_few_are_fewer_than_a_quorum() {
        let told = Options::calm(4).too_few(2).expect("two of four");
        assert!(
            told.contains("3 of 4 replicas must have let one another in, and 2 have"),
            "{told}"
        );
        assert_eq!(Options::calm(4).too_few(3), None);
        assert!(Options::calm(10).too_few(6).is_some());
        assert_eq!(Options::calm(10).too_few(7), None);
    }
}
