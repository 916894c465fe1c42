//! A correct replica that lost its memory promises nothing up to the bound of its REJOIN, and
//! answers no client before its peers have let it in.

use super::{Checker, Observation};
use pbft::{Event, Incarnation, Message, ReplicaId};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Amnesia {
    /// K.
    pub(super) checkpoint_period: u64,
    /// L.
    pub(super) log_window: u64,
    /// The highest incarnation of each replica that a REJOIN has given it.
    pub(super) incarnations: BTreeMap<ReplicaId, Incarnation>,
    pub(super) lost: BTreeMap<ReplicaId, Lost>,
}

/// A replica since it lost its memory.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// The bound, once its REJOIN was executed anywhere.
    bound: Option<u64>,
    is_admitted: bool,
}

impl Checker for Amnesia {
    fn property(&self) -> &'static str {
        "no promises without memory"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Lost { at } => {
                self.lost.insert(*at, Lost::default());
            }
            Observation::Regained { at } => {
                self.lost.remove(at);
            }
            Observation::Happened { at, event: Event::Admitted } => {
                if let Some(lost) = self.lost.get_mut(at) {
                    lost.is_admitted = true;
                }
            }
            Observation::Happened {
                event: Event::RejoinExecuted { replica, incarnation, seq },
                ..
            } => self.note_rejoin(*replica, *incarnation, seq.get()),
            Observation::Sent { from, message, .. } => return self.judge(*from, message),
            _ => {}
        }
        Ok(())
    }
}

impl Amnesia {
    fn note_rejoin(&mut self, replica: ReplicaId, incarnation: Incarnation, seq: u64) {
        let known = self.incarnations.entry(replica).or_default();
        if incarnation <= *known {
            return;
        }
        *known = incarnation;
        if let Some(lost) = self.lost.get_mut(&replica) {
            lost.bound =
                Some((seq - 1) / self.checkpoint_period * self.checkpoint_period + self.log_window);
        }
    }

    fn judge(&self, from: ReplicaId, message: &Message) -> Result<(), String> {
        let Some(lost) = self.lost.get(&from) else { return Ok(()) };
        let number = match message {
            Message::Reply(_) | Message::ReadReply(_) if !lost.is_admitted => 0,
            Message::NewView(proof) if proof.new_view.signer == from && !lost.is_admitted => 0,
            Message::PrePrepare(signed, _) | Message::Outline(signed, _)
                if signed.signer == from =>
            {
                signed.body.seq.get()
            }
            Message::Prepare(vote) | Message::Commit(vote) => vote.seq.get(),
            Message::Committed(_) if !lost.is_admitted => 0,
            Message::Checkpoint(signed) if signed.signer == from => signed.body.seq.get(),
            // It vouches for what lies above its low water mark.
            Message::ViewChange(signed) if signed.signer == from => {
                signed.body.low_water_mark.get() + 1
            }
            _ => return Ok(()),
        };
        if lost.bound.is_some_and(|bound| number > bound) {
            return Ok(());
        }
        let kind = message.kind().name();
        let may = lost.bound.map_or_else(
            || "no REJOIN of it was executed yet".to_owned(),
            |bound| format!("may promise only what lies above number {bound}"),
        );
        Err(format!(
            "replica {from} sent a {kind} about number {number}, although it lost its memory and {may}"
        ))
    }
}
