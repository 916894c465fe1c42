//! Speaking for a digest that nobody proposed.

use super::{Vice, another, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::{PrePrepare, Vote};
use pbft::{Message, Signed};

/// As primary: a well-signed PRE-PREPARE whose digest is not that of its batch.
#[derive(Debug)]
pub(super) struct WrongPrePrepare(pub(super) Identity);

impl Vice for WrongPrePrepare {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.0.id => {
                let body = PrePrepare { digest: another(signed.body.digest), ..signed.body };
                let Identity { config, id, key, .. } = &self.0;
                Message::PrePrepare(Signed::sign(&config.domain, key, *id, body), batch)
            }
            other => other,
        };
        vec![now(to, message)]
    }
}

/// A PREPARE for another digest, and an honest COMMIT.
#[derive(Debug)]
pub(super) struct WrongPrepare;

impl Vice for WrongPrepare {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::Prepare(vote) => Message::Prepare(corrupted(vote)),
            other => other,
        };
        vec![now(to, message)]
    }
}

/// The vote for another digest.
pub(super) fn corrupted(vote: Vote) -> Vote {
    Vote { digest: another(vote.digest), ..vote }
}
