//! Asking for help all the time: beside every vote and every STATUS to a replica it sends STATUS
//! that lacks everything, and asks for a batch, a PRE-PREPARE and a part of the state, which the
//! others have. (Not beside its answers, else two flooders would fuel each other.)
//!
//! All of it passes the door. Each peer is answered seldom and within a budget, and else refused;
//! *masked*, and the refusals are counted against its link.

use super::{Vice, now};
use crate::{Endpoint, Sending};
use pbft::message::{CheckpointId, Kind, PartId, StatePartRequest, Status, Vote};
use pbft::{Message, SeqNum};

#[derive(Debug)]
pub(super) struct Flood {
    factor: u32,
    /// What the replica itself last said it has.
    status: Option<Status>,
    vote: Option<Vote>,
    checkpoint: Option<(SeqNum, CheckpointId)>,
}

impl Flood {
    pub(super) fn new(factor: u32) -> Self {
        Self { factor, status: None, vote: None, checkpoint: None }
    }

    fn note(&mut self, message: &Message) {
        match message {
            Message::Status(status) => self.status = Some(status.clone()),
            Message::Prepare(vote) | Message::Commit(vote) => self.vote = Some(*vote),
            Message::Checkpoint(signed) => {
                self.checkpoint = Some((signed.body.seq, signed.body.id));
            }
            _ => {}
        }
    }

    /// Every question that it can think of.
    fn questions(&self) -> Vec<Message> {
        let status = self.status.iter().map(|status| {
            Message::Status(Status {
                low_water_mark: SeqNum::ZERO,
                last_executed: SeqNum::ZERO,
                missing: self.vote.iter().map(|vote| vote.digest).collect(),
                ..status.clone()
            })
        });
        let vote = self.vote.iter().flat_map(|vote| {
            [Message::FetchBatch(vote.digest), Message::FetchPrePrepare(vote.view, vote.seq)]
        });
        let state = self.checkpoint.iter().map(|(seq, id)| {
            let (seq, state_root) = (*seq, id.state_root);
            // The root of the tree: no turns to it, and no chunk.
            let root = PartId { path: vec![0; 3], digest: state_root };
            Message::FetchState(StatePartRequest { seq, state_root, parts: vec![root] })
        });
        status.chain(vote).chain(state).collect()
    }
}

impl Vice for Flood {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        self.note(&message);
        let is_answer = !matches!(message.kind(), Kind::Prepare | Kind::Commit | Kind::Status);
        let mut sendings = vec![now(to, message)];
        if !is_answer {
            let questions = self.questions();
            let count = questions.len() * self.factor as usize;
            let asked = questions.into_iter().cycle().take(count);
            sendings.extend(asked.map(|question| now(to, question)));
        }
        sendings
    }
}
