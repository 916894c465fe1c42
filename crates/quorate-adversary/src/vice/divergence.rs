//! CHECKPOINTs of a state that is not the others', the same as every replica that lies with it.
//!
//! They pass the door. A quorum agrees without them, and f equal ones make no correct replica
//! doubt its own state; *masked*.

use super::{Vice, another, now};
use crate::{Endpoint, Identity, Sending};
use pbft::Message;

#[derive(Debug)]
pub(super) struct Divergence(pub(super) Identity);

impl Vice for Divergence {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::Checkpoint(signed) if signed.signer == self.0.id => {
                let mut body = signed.body;
                body.id.state_root = another(body.id.state_root);
                Message::Checkpoint(self.0.sign(body))
            }
            other => other,
        };
        vec![now(to, message)]
    }
}
