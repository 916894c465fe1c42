//! One operation takes effect once: at one sequence number, the same at every correct replica, and
//! once there. The workload gives every operation a tag of its own, which names it; a lying client
//! gives one to all operations of one timestamp.

use super::{Checker, Observation};
use crate::workload;
use pbft::{ClientId, Digest, ReplicaId, SeqNum};
use std::collections::{BTreeMap, BTreeSet};

/// An operation of a client.
type Name = (ClientId, Digest);

#[derive(Debug, Default)]
pub(super) struct ExactlyOnce {
    placed: BTreeMap<Name, SeqNum>,
    /// What each replica executed since its state last came from elsewhere.
    executed: BTreeMap<(ReplicaId, u64), BTreeSet<Name>>,
}

impl Checker for ExactlyOnce {
    fn property(&self) -> &'static str {
        "one execution of each operation"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Executed { at, generation, seq, client, operation, .. } = observation
        else {
            return Ok(());
        };
        let name = (*client, Digest::of("quorate lab 1 operation", &[workload::tag(operation)]));
        let placed = *self.placed.entry(name).or_insert(*seq);
        if placed != *seq {
            return Err(format!(
                "replica {at} executed an operation of client {client} at number {seq}, which was \
                 executed at number {placed} before"
            ));
        }
        if self.executed.entry((*at, *generation)).or_default().insert(name) {
            return Ok(());
        }
        Err(format!("replica {at} executed an operation of client {client} twice at number {seq}"))
    }
}
