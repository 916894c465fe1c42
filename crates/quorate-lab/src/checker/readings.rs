//! What a replica has shown to a reader it does not take back: it may have been what completed a
//! quorum, and no later reader may be shown less, whether the replica has restarted or not.

use super::{Checker, Observation};
use pbft::{Message, ReplicaId, SeqNum};
use quorate_adversary::Endpoint;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Readings {
    /// The highest number whose effects each replica has shown.
    shown: BTreeMap<ReplicaId, SeqNum>,
}

impl Checker for Readings {
    fn property(&self) -> &'static str {
        "no reading goes back"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { from, to: Endpoint::Client(_), message: Message::ReadReply(reply) } =
            observation
        else {
            return Ok(());
        };
        let shown = self.shown.entry(*from).or_default();
        if reply.executed < *shown {
            let executed = reply.executed;
            return Err(format!("replica {from} shows its state at {executed} after {shown}"));
        }
        *shown = reply.executed;
        Ok(())
    }
}
