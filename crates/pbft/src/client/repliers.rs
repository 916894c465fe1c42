//! Whom a client names to send a result whole [DR6].

use crate::{ReplicaId, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// So long a replica is not named that did not deliver. Nobody is hurt if that was not its fault:
/// the others take its turns, and with nobody to name all send results whole.
const PASSED_OVER_FOR: Duration = Duration::from_secs(10);

/// Bounded by the number of replicas.
#[derive(Clone, Debug, Default)]
pub(super) struct Repliers {
    /// When each replica answered last.
    answered: BTreeMap<ReplicaId, Time>,
    /// Until when replicas are not named.
    passed_over: BTreeMap<ReplicaId, Time>,
    /// Who was named last.
    last: ReplicaId,
}

impl Repliers {
    pub(super) fn answered(&mut self, now: Time, replica: ReplicaId) {
        self.answered.insert(replica, now);
    }

    /// This replica was named and did not deliver.
    pub(super) fn pass_over(&mut self, now: Time, replica: ReplicaId) {
        self.passed_over.insert(replica, now.after(PASSED_OVER_FOR));
    }

    /// The next in turn of those that answered lately: no more than `lately` before the last answer
    /// of all, however long ago that was.
    pub(super) fn next(&mut self, now: Time, lately: Duration) -> Option<ReplicaId> {
        let latest = self.answered.values().max().copied()?;
        self.passed_over.retain(|_, until| *until > now);
        let candidates = || {
            let recent = self.answered.iter().filter(|(_, at)| latest.since(**at) <= lately);
            recent.map(|(replica, _)| *replica).filter(|id| !self.passed_over.contains_key(id))
        };
        let next = candidates().find(|id| *id > self.last).or_else(|| candidates().next())?;
        self.last = next;
        Some(next)
    }
}

#[cfg(test)]
mod tests;
