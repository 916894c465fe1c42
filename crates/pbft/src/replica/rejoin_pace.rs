//! How often a replica is let rejoin. Whoever executes a REJOIN leaves its view, so a faulty replica
//! must not have one after the other executed. This is judged by each replica by its own monotonic
//! clock, which nobody sets: the time of the batches may stand still, and there are two sides from
//! which it may be lied about [RJ2].

use crate::{ReplicaId, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// A primary orders no REJOIN of a replica for so long after it has executed one.
pub const REJOIN_GAP: Duration = Duration::from_secs(5 * 60);

/// So much earlier a backup accepts one, and so much later it expects it to be ordered: correct
/// replicas execute a REJOIN at different moments.
pub const REJOIN_GAP_TOLERANCE: Duration = Duration::from_secs(2 * 60);

/// For so long after it was composed a REJOIN may be ordered, by the time of the batches.
pub(super) const REJOIN_LIFE: Duration = Duration::from_secs(5 * 60);

/// When this replica has learnt of the last REJOIN of each.
#[derive(Clone, Debug, Default)]
pub(super) struct RejoinPace(BTreeMap<ReplicaId, Learnt>);

#[derive(Clone, Copy, Debug)]
struct Learnt {
    at: Time,
    /// Whether it was known already when this replica started.
    is_old: bool,
}

impl RejoinPace {
    pub(super) fn note(&mut self, replica: ReplicaId, at: Time, is_old: bool) {
        self.0.insert(replica, Learnt { at, is_old });
    }

    /// Whether a primary orders a REJOIN by now; for a backup, whether every correct primary does.
    pub(super) fn is_due(&self, replica: ReplicaId, now: Time, is_primary: bool) -> bool {
        let tolerance = if is_primary { Duration::ZERO } else { REJOIN_GAP_TOLERANCE };
        self.0.get(&replica).is_none_or(|last| now.since(last.at) >= REJOIN_GAP + tolerance)
    }

    /// Whether no correct primary orders a REJOIN yet. Whoever started since the last one does not
    /// know, and trusts the others; not so who fetched a state, which liars may have made it do.
    pub(super) fn is_too_soon(&self, replica: ReplicaId, now: Time) -> bool {
        self.0.get(&replica).is_some_and(|last| {
            !last.is_old && now.since(last.at) < REJOIN_GAP - REJOIN_GAP_TOLERANCE
        })
    }
}
