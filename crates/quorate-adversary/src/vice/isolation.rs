//! A primary that keeps some backups in the dark: they get neither its PRE-PREPAREs nor its
//! COMMITs, nor anything that would repair that.
//!
//! Up to f in the dark is *masked*, without a view change: any backup passes the PRE-PREPARE on, a
//! quorum of COMMITs suffices without it, and whoever has committed says so. With more nothing
//! commits in time: *masked after a view change*.

use super::{Vice, now};
use crate::{Endpoint, Identity, ReplicaSet, Sending};
use pbft::Message;

#[derive(Debug)]
pub(super) struct Isolation {
    identity: Identity,
    dark: ReplicaSet,
}

impl Isolation {
    pub(super) fn new(identity: Identity, dark: Option<ReplicaSet>) -> Self {
        let faults = (identity.config.replica_count() as usize - 1) / 3;
        let dark = dark.unwrap_or_else(|| identity.others().rev().take(faults).collect());
        Self { identity, dark }
    }

    fn is_withheld(&self, message: &Message) -> bool {
        match message {
            Message::PrePrepare(signed, _) | Message::Outline(signed, _) => {
                signed.signer == self.identity.id
            }
            Message::Commit(vote) => self.identity.config.primary(vote.view) == self.identity.id,
            Message::Batch(_) | Message::Committed(_) => true,
            _ => false,
        }
    }
}

impl Vice for Isolation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let is_dark = matches!(to, Endpoint::Replica(backup) if self.dark.contains(backup));
        if is_dark && self.is_withheld(&message) {
            return Vec::new();
        }
        vec![now(to, message)]
    }
}
