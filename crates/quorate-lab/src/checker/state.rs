//! Correct replicas have the same state after the same sequence number, and one that was fetched is
//! what its digest says: nobody looks again at what a digest was once believed of.

use super::{Checker, Observation};
use crate::report::wording::state;
use pbft::message::CheckpointId;
use pbft::{Event, Message, ReplicaId, SeqNum};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct EqualStates {
    states: BTreeMap<SeqNum, (CheckpointId, ReplicaId)>,
}

impl Checker for EqualStates {
    fn property(&self) -> &'static str {
        "equal states"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let (at, seq, id) = match observation {
            Observation::Happened {
                at,
                event: Event::CheckpointTaken { seq, id } | Event::CheckpointStable { seq, id },
            } => (at, seq, id),
            Observation::Sent { from, message: Message::Checkpoint(signed), .. }
                if signed.signer == *from =>
            {
                (from, &signed.body.seq, &signed.body.id)
            }
            Observation::Fetched { at, kept, made_anew } if kept != made_anew => {
                return Err(format!("replica {at} has fetched a state that is not that of {kept}"));
            }
            _ => return Ok(()),
        };
        let (known, first) = self.states.entry(*seq).or_insert((*id, *at));
        if known == id {
            return Ok(());
        }
        let (known, other) = (state(known), state(id));
        Err(format!("after number {seq} replica {first} has {known}, replica {at} has {other}"))
    }
}
