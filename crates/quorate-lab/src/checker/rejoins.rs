//! Two REJOINs of one replica have an effect in batches whose times are five minutes apart, whether
//! the replica is faulty or not.

use super::{Checker, Observation};
use pbft::message::Batch;
use pbft::{Digest, Event, Incarnation, Message, ReplicaId, SeqNum};
use std::collections::BTreeMap;

const GAP_MS: u64 = 5 * 60 * 1000;

#[derive(Debug, Default)]
pub(super) struct Rejoins {
    /// The times, in milliseconds, of the batches that carry REJOINs.
    proposed: BTreeMap<Digest, u64>,
    /// The last number that each replica executed, and what.
    executed: BTreeMap<ReplicaId, (SeqNum, Digest)>,
    /// When each incarnation was given, first of all.
    given: BTreeMap<(ReplicaId, Incarnation), u64>,
}

impl Checker for Rejoins {
    fn property(&self) -> &'static str {
        "a replica rejoins seldom"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Sent { message, .. } | Observation::Handled { message, .. } => {
                if let Message::PrePrepare(_, batch) | Message::Batch(batch) = message {
                    self.note(batch);
                }
            }
            Observation::Happened { at, event: Event::Executed { seq, digest, .. } } => {
                self.executed.insert(*at, (*seq, *digest));
            }
            Observation::Happened {
                at,
                event: Event::RejoinExecuted { replica, incarnation, seq },
            } => {
                // Whoever fetched the state did not see the batch; others did.
                let executed = self.executed.get(at).filter(|(last, _)| last == seq);
                let time = executed.and_then(|(_, digest)| self.proposed.get(digest)).copied();
                return time.map_or(Ok(()), |time| self.judge(*replica, *incarnation, time));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Rejoins {
    fn note(&mut self, batch: &Batch) {
        if !batch.rejoins.is_empty() {
            self.proposed.insert(batch.digest(), batch.time.as_millis());
        }
    }

    fn judge(&mut self, who: ReplicaId, incarnation: Incarnation, time: u64) -> Result<(), String> {
        self.given.entry((who, incarnation)).or_insert(time);
        let before = Incarnation::new(incarnation.get().saturating_sub(1));
        match self.given.get(&(who, before)) {
            Some(before) if time.abs_diff(*before) < GAP_MS => {
                Err(format!("replica {who} rejoins {} ms after it did", time.abs_diff(*before)))
            }
            _ => Ok(()),
        }
    }
}
