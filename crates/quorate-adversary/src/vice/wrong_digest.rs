//! Speaking for a digest that nobody proposed.

use super::{Vice, another, now};
use crate::{Endpoint, Identity, Phase, Sending};
use pbft::Message;
use pbft::message::{PrePrepare, Vote};

/// As primary: a well-signed PRE-PREPARE whose digest is not that of its batch. Refused at the
/// door; *masked after a view change*.
#[derive(Debug)]
pub(super) struct WrongPrePrepare(pub(super) Identity);

impl Vice for WrongPrePrepare {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.0.id => {
                let body = PrePrepare { digest: another(signed.body.digest), ..signed.body };
                Message::PrePrepare(self.0.sign(body), batch)
            }
            other => other,
        };
        vec![now(to, message)]
    }
}

/// A vote of one phase for another digest, and an honest one in the other phase. It passes the
/// door and counts for nothing; *masked*.
#[derive(Debug)]
pub(super) struct WrongVote(pub(super) Phase);

impl Vice for WrongVote {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match (self.0, message) {
            (Phase::Prepare, Message::Prepare(vote)) => Message::Prepare(corrupted(vote)),
            (Phase::Commit, Message::Commit(vote)) => Message::Commit(corrupted(vote)),
            (_, other) => other,
        };
        vec![now(to, message)]
    }
}

/// The vote for another digest.
pub(super) fn corrupted(vote: Vote) -> Vote {
    Vote { digest: another(vote.digest), ..vote }
}
