//! A service does the same thing at every correct replica, and again after a restart, as long as it
//! is given the same.
//!
//! What it was given is its side of the comparison, not what it did: where two replicas first differ
//! in what the state showed, their states had parted before, and that is no fault of this execution.

use super::{Checker, Observation};
use crate::watched::Step;
use crate::watched::steps::Readable;
use crate::workload::untagged;
use pbft::{ClientId, ReplicaId, SeqNum};
use std::collections::BTreeMap;

/// An operation, and where it was ordered.
type Name = (SeqNum, ClientId, Vec<u8>);

#[derive(Debug, Default)]
pub(super) struct Determinism {
    /// What each operation made the service do, and where that was first seen.
    first: BTreeMap<Name, (ReplicaId, Vec<Step>)>,
}

impl Checker for Determinism {
    fn property(&self) -> &'static str {
        "determinism of the service"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Executed { at, seq, client, operation, steps, .. } = observation else {
            return Ok(());
        };
        if steps.is_empty() {
            return Ok(());
        }
        let name = (*seq, *client, operation.to_vec());
        let (first, known) = self.first.entry(name).or_insert_with(|| (*at, steps.to_vec()));
        let parted = known.iter().zip(*steps).find(|(one, other)| one != other);
        let Some((one, other)) = parted.filter(|(one, other)| !one.is_given() || !other.is_given())
        else {
            return Ok(());
        };
        let who = if first == at {
            format!("replica {at} did one thing, and another when it executed it once more")
        } else {
            format!("replicas {first} and {at} parted")
        };
        Err(format!(
            "the service is not deterministic: at number {seq}, operation {} of client {client}, \
             {who}: replica {first} {one}, replica {at} {other}",
            Readable(untagged(operation)),
        ))
    }
}
