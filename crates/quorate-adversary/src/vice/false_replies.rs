//! Answering clients with a wrong result, whatever they asked, and the same as every replica that
//! lies with it. Sessions it opens honestly. No correct client believes f liars; *masked*.

use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use pbft::Message;
use pbft::message::{Outcome, ReplyBody};

#[derive(Debug)]
pub(super) struct FalseReplies(pub(super) Identity);

impl Vice for FalseReplies {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::Reply(mut reply) => {
                if let ReplyBody::Full(Outcome::Executed(results)) = &mut reply.body {
                    for result in results {
                        *result = (self.0.forge)(result);
                    }
                }
                Message::Reply(reply)
            }
            Message::ReadReply(mut reply) => {
                for reading in reply.readings.iter_mut().flatten() {
                    reading.content = (self.0.forge)(&reading.content);
                }
                Message::ReadReply(reply)
            }
            other => other,
        };
        vec![now(to, message)]
    }
}
