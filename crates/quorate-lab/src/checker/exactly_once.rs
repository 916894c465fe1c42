//! One operation takes effect once: at one sequence number, the same at every correct replica, and
//! once there. What is executed tentatively takes effect when it is committed, or not at all. The
//! workload gives every operation a tag of its own, which names it; a lying client
//! gives one to all operations of one timestamp.

use super::{Checker, Observation};
use crate::workload;
use pbft::{ClientId, Digest, Event, ReplicaId, SeqNum};
use std::collections::{BTreeMap, BTreeSet};

/// An operation of a client.
type Name = (ClientId, Digest);

#[derive(Debug, Default)]
pub(super) struct ExactlyOnce {
    placed: BTreeMap<Name, SeqNum>,
    /// What each replica executed since its state last came from elsewhere.
    executed: BTreeMap<(ReplicaId, u64), BTreeSet<Name>>,
    /// What each replica executed and has not said to be committed, by its number, and in which
    /// generation of its state.
    pending: BTreeMap<(ReplicaId, SeqNum), (u64, Vec<Name>)>,
}

impl Checker for ExactlyOnce {
    fn property(&self) -> &'static str {
        "one execution of each operation"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match *observation {
            Observation::Executed { at, generation, seq, client, operation, .. } => {
                let tag = workload::tag(operation);
                let name = (client, Digest::of("quorate lab 1 operation", &[tag]));
                let (_, names) = self.pending.entry((at, seq)).or_insert((generation, Vec::new()));
                names.push(name);
                Ok(())
            }
            Observation::Undone { at, from } => {
                self.pending.retain(|(replica, seq), _| *replica != at || *seq < from);
                Ok(())
            }
            Observation::Happened { at, event: Event::Executed { seq, .. } } => {
                let Some((generation, names)) = self.pending.remove(&(at, *seq)) else {
                    return Ok(());
                };
                names.into_iter().try_for_each(|name| self.place(at, generation, *seq, name))
            }
            _ => Ok(()),
        }
    }
}

impl ExactlyOnce {
    /// The operation has taken effect at this replica.
    fn place(
        &mut self,
        at: ReplicaId,
        generation: u64,
        seq: SeqNum,
        name: Name,
    ) -> Result<(), String> {
        let (client, _) = name;
        let placed = *self.placed.entry(name).or_insert(seq);
        if placed != seq {
            return Err(format!(
                "replica {at} executed an operation of client {client} at number {seq}, which was \
                 executed at number {placed} before"
            ));
        }
        if self.executed.entry((at, generation)).or_default().insert(name) {
            return Ok(());
        }
        Err(format!("replica {at} executed an operation of client {client} twice at number {seq}"))
    }
}
