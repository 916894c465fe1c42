//! A primary that proposes just in time: it holds every PRE-PREPARE back for a part of the
//! timeout, so that no request timer runs out.
//!
//! *Masked*, after a view change, since its backups add up what it keeps waiting; where the cluster
//! asks for no such floor, without one, and at the price of speed.

use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use core::time::Duration;
use pbft::Message;

#[derive(Debug)]
pub(super) struct SlowProposals {
    pub(super) identity: Identity,
    pub(super) percent: u32,
}

impl Vice for SlowProposals {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let delay = match &message {
            Message::PrePrepare(signed, _) | Message::Outline(signed, _)
                if signed.signer == self.identity.id =>
            {
                self.identity.config.parameters.view_change_timeout * self.percent / 100
            }
            _ => Duration::ZERO,
        };
        vec![Sending { delay, ..now(to, message) }]
    }
}
