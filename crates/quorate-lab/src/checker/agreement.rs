//! Correct replicas commit and execute one digest at one sequence number.

use super::{Checker, Observation};
use pbft::{Digest, Event, ReplicaId, SeqNum};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Agreement {
    /// The first word on each number.
    agreed: BTreeMap<SeqNum, (Digest, ReplicaId)>,
}

impl Checker for Agreement {
    fn property(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Happened { at, event } = observation else { return Ok(()) };
        let (Event::Committed { seq, digest } | Event::Executed { seq, digest, .. }) = event else {
            return Ok(());
        };
        let (agreed, first) = self.agreed.entry(*seq).or_insert((*digest, *at));
        if agreed == digest {
            return Ok(());
        }
        Err(format!("at number {seq} replica {first} has {agreed}, replica {at} has {digest}"))
    }
}
