//! Claiming to be in a view far beyond the others, in STATUS, COMMIT and REPLY, and sending
//! a VIEW-CHANGE for it, beside each STATUS and in place of its own.
//!
//! It passes the door, unless the view is beyond all that the arithmetic allows. Nobody follows
//! fewer than f+1, and a client believes no view that f of its replicas may have made up;
//! *masked*.

use super::{Vice, another, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::{CheckpointId, Reply, Status, ViewChange, Vote};
use pbft::{Digest, Message, SeqNum, View};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct HugeView {
    pub(super) identity: Identity,
    pub(super) view: View,
}

impl HugeView {
    /// A well-formed VIEW-CHANGE, always the same. What it tells of does not matter.
    fn view_change(&self) -> Message {
        let nowhere = another(Digest::default());
        let id = CheckpointId { state_root: nowhere, history_root: nowhere };
        let body = ViewChange {
            new_view: self.view,
            replica: self.identity.id,
            low_water_mark: SeqNum::ZERO,
            checkpoints: vec![(SeqNum::ZERO, id)],
            prepared: Vec::new(),
            pre_prepared: Vec::new(),
        };
        Message::ViewChange(Arc::new(self.identity.sign(body)))
    }
}

impl Vice for HugeView {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let view = self.view;
        let messages = match message {
            Message::Status(status) => {
                vec![Message::Status(Status { view, ..status }), self.view_change()]
            }
            Message::ViewChange(own) if own.signer == self.identity.id => {
                vec![self.view_change()]
            }
            Message::Commit(vote) => vec![Message::Commit(Vote { view, ..vote })],
            Message::Reply(reply) => vec![Message::Reply(Reply { view, ..reply })],
            other => vec![other],
        };
        messages.into_iter().map(|message| now(to, message)).collect()
    }
}
