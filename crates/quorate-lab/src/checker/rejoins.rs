//! Two REJOINs of one replica have an effect minutes apart, whether the replica is faulty or not, as
//! long as those who have executed the first one know since when.

use super::{Checker, Observation};
use core::time::Duration;
use pbft::{Event, Incarnation, ReplicaId, Time};
use std::collections::BTreeMap;

/// The least that a correct backup insists on.
const GAP: Duration = Duration::from_secs(3 * 60);

#[derive(Debug, Default)]
pub(super) struct Rejoins {
    now: Time,
    /// When each incarnation was given, first of all.
    given: BTreeMap<(ReplicaId, Incarnation), Time>,
    /// When a replica last started, and learnt of REJOINs executed before.
    learnt: Time,
}

impl Checker for Rejoins {
    fn property(&self) -> &'static str {
        "a replica rejoins seldom"
    }

    fn pass_time(&mut self, now: Time) {
        self.now = now;
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Durable { starts: true, .. } => {
                self.learnt = self.now;
                Ok(())
            }
            Observation::Happened {
                event: Event::RejoinExecuted { replica, incarnation, .. },
                ..
            } if !self.given.contains_key(&(*replica, *incarnation)) => {
                self.judge(*replica, *incarnation)
            }
            _ => Ok(()),
        }
    }
}

impl Rejoins {
    fn judge(&mut self, who: ReplicaId, incarnation: Incarnation) -> Result<(), String> {
        self.given.insert((who, incarnation), self.now);
        let last = Incarnation::new(incarnation.get().saturating_sub(1));
        let last = self.given.get(&(who, last)).filter(|last| **last > self.learnt);
        match last.map(|last| self.now.since(*last)) {
            Some(span) if span < GAP => {
                Err(format!("replica {who} rejoins {} ms after it did", span.as_millis()))
            }
            _ => Ok(()),
        }
    }
}
