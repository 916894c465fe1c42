//! Speaking for a digest that nobody proposed.

use super::{Vice, another, now, own_pre_prepare, with_pre_prepare};
use crate::{Endpoint, Identity, Phase, Sending};
use pbft::Message;
use pbft::message::{Batch, Committed, PrePrepare, Vote};

/// As primary: a well-signed PRE-PREPARE whose digest is not that of its batch. Refused at the
/// door; *masked after a view change*.
#[derive(Debug)]
pub(super) struct WrongPrePrepare(pub(super) Identity);

impl Vice for WrongPrePrepare {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match own_pre_prepare(&self.0, &message) {
            Some(body) => {
                let body = PrePrepare { digest: another(body.digest), ..body };
                with_pre_prepare(message, self.0.sign(body))
            }
            None => message,
        };
        vec![now(to, message)]
    }
}

/// Another digest in the votes of one phase, or in COMMITTED, and the truth in the others. It passes
/// the door; a vote for what nobody proposed counts for nothing, and f false claims are too few;
/// *masked*. A claim names the null request, which needs no batch: so f+1 of them are believed.
#[derive(Debug)]
pub(super) struct WrongVote(pub(super) Phase);

impl Vice for WrongVote {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match (self.0, message) {
            (Phase::Prepare, Message::Prepare(vote)) => Message::Prepare(corrupted(vote)),
            (Phase::Commit, Message::Commit(vote)) => Message::Commit(corrupted(vote)),
            (Phase::Committed, Message::Committed(claim)) => {
                let is_null = claim.digest == Batch::NULL;
                let digest = if is_null { another(claim.digest) } else { Batch::NULL };
                Message::Committed(Committed { digest, ..claim })
            }
            (_, other) => other,
        };
        vec![now(to, message)]
    }
}

/// The vote for another digest.
pub(super) fn corrupted(vote: Vote) -> Vote {
    Vote { digest: another(vote.digest), ..vote }
}
