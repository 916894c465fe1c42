//! Making up what a VIEW-CHANGE tells: an entry of P, of Q or of both for every number of the
//! window, of the latest possible view and for a digest that nobody proposed, the same as every
//! replica that lies with it; or the digests of its checkpoints.
//!
//! It is well-formed and passes the door. What f replicas make up is never chosen; it can only
//! make the new primary wait for the VIEW-CHANGEs of all correct replicas. *Masked after a view
//! change*, into the same view as without it.

use super::{Vice, another, now};
use crate::{Endpoint, Fabricated, Identity, Sending};
use pbft::message::{Batch, PreparedEntry, ViewChange};
use pbft::{Message, SeqNum, View};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Fabrication {
    pub(super) identity: Identity,
    pub(super) part: Fabricated,
}

impl Fabrication {
    fn fabricated(&self, own: &ViewChange) -> ViewChange {
        let mut body = own.clone();
        match self.part {
            Fabricated::Prepared => body.prepared = self.entries(own),
            Fabricated::PrePrepared => body.pre_prepared = self.entries(own),
            Fabricated::Both => {
                body.prepared = self.entries(own);
                body.pre_prepared = self.entries(own);
            }
            Fabricated::Checkpoints => {
                for (_, id) in &mut body.checkpoints {
                    id.state_root = another(id.state_root);
                }
            }
        }
        body
    }

    fn entries(&self, own: &ViewChange) -> Vec<PreparedEntry> {
        let low = own.low_water_mark.get();
        let view = View::new(own.new_view.get().saturating_sub(1));
        let entry = |seq| PreparedEntry { seq, digest: another(Batch::NULL), view };
        let window = low + 1..=low + self.identity.config.parameters.log_window;
        window.map(SeqNum::new).map(entry).collect()
    }
}

impl Vice for Fabrication {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::ViewChange(own) if own.signer == self.identity.id => {
                Message::ViewChange(Arc::new(self.identity.sign(self.fabricated(&own.body))))
            }
            other => other,
        };
        vec![now(to, message)]
    }
}
