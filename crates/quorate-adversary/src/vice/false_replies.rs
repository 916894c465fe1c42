//! Lying to clients. No correct client believes f liars; *masked*.
//!
//! With `lie=changed` about every result, and the same as every replica that lies with it; where it
//! is to send the digest of a result only, it sends the right one. With `lie=withheld` it never
//! sends a result whole, only its right digest. With `lie=contradicted` it sends first the right
//! digest and then a wrong result. With `lie=lost` it says that it kept no result. Sessions it opens
//! honestly.

use super::{Vice, now};
use crate::behaviour::ReplyLie;
use crate::{Endpoint, Identity, Sending};
use pbft::Message;
use pbft::message::{Outcome, Reply, ReplyBody};

#[derive(Debug)]
pub(super) struct FalseReplies {
    pub(super) identity: Identity,
    pub(super) lie: ReplyLie,
}

impl Vice for FalseReplies {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        match message {
            Message::Reply(reply) => {
                let bodies = self.bodies(&reply.body).into_iter();
                let said = |body| now(to, Message::Reply(Reply { body, ..reply.clone() }));
                bodies.map(said).collect()
            }
            Message::ReadReply(mut reply) if self.lie == ReplyLie::Changed => {
                for reading in reply.readings.iter_mut().flatten() {
                    reading.content = (self.identity.forge)(&reading.content);
                }
                vec![now(to, Message::ReadReply(reply))]
            }
            other => vec![now(to, other)],
        }
    }
}

impl FalseReplies {
    /// What is said in place of one answer.
    fn bodies(&self, body: &ReplyBody) -> Vec<ReplyBody> {
        let (digest, results) = match body {
            ReplyBody::Full(outcome @ Outcome::Executed(results)) => (outcome.digest(), results),
            ReplyBody::Digest(digest) if self.lie == ReplyLie::Lost => {
                return vec![ReplyBody::Full(Outcome::ExecutedBefore(*digest))];
            }
            other => return vec![other.clone()],
        };
        let forged = || {
            let forged = results.iter().map(|result| (self.identity.forge)(result)).collect();
            ReplyBody::Full(Outcome::Executed(forged))
        };
        match self.lie {
            ReplyLie::Changed => vec![forged()],
            ReplyLie::Withheld => vec![ReplyBody::Digest(digest)],
            ReplyLie::Contradicted => vec![ReplyBody::Digest(digest), forged()],
            ReplyLie::Lost => vec![ReplyBody::Full(Outcome::ExecutedBefore(digest))],
        }
    }
}
