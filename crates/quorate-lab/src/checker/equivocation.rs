//! A correct replica never sends two different messages of one type for one place, not before and
//! after a restart either: PRE-PREPARE, PREPARE and COMMIT have one for each view and number,
//! CHECKPOINT for each number, VIEW-CHANGE and NEW-VIEW for each view.

use super::{Checker, Observation};
use pbft::message::Kind;
use pbft::{Digest, Message, ReplicaId, SeqNum, View};
use std::collections::BTreeMap;

type Place = (ReplicaId, Kind, View, SeqNum);

#[derive(Debug, Default)]
pub(super) struct NoEquivocation {
    said: BTreeMap<Place, Digest>,
}

impl Checker for NoEquivocation {
    fn property(&self) -> &'static str {
        "no correct replica equivocates"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { from, message, .. } = observation else { return Ok(()) };
        let Some((view, seq, digest)) = place(*from, message) else { return Ok(()) };
        let kind = message.kind();
        let said = self.said.entry((*from, kind, view, seq)).or_insert(digest);
        if *said == digest {
            return Ok(());
        }
        Err(format!(
            "replica {from} sent two different {} for view {view} and number {seq}: {said} and \
             {digest}",
            kind.name()
        ))
    }
}

/// Where a message of the sender's own making stands, and what it says there.
fn place(from: ReplicaId, message: &Message) -> Option<(View, SeqNum, Digest)> {
    match message {
        Message::PrePrepare(signed, _) | Message::Outline(signed, _) if signed.signer == from => {
            Some((signed.body.view, signed.body.seq, signed.body.digest))
        }
        Message::Prepare(vote) | Message::Commit(vote) => Some((vote.view, vote.seq, vote.digest)),
        Message::Checkpoint(signed) if signed.signer == from => {
            Some((View::ZERO, signed.body.seq, signed.digest()))
        }
        Message::ViewChange(signed) if signed.signer == from => {
            Some((signed.body.new_view, SeqNum::ZERO, signed.digest()))
        }
        Message::NewView(proof) if proof.new_view.signer == from => {
            Some((proof.new_view.body.view, SeqNum::ZERO, proof.new_view.digest()))
        }
        _ => None,
    }
}
