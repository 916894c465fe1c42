//! A primary that orders requests twice and in changed order: each batch has the requests in the
//! reverse of their order and behind them those of the batch before; or, in the other form, its
//! first request twice.
//!
//! A request repeated in a later batch passes the door and is executed once: *masked*. A batch
//! with a request twice is malformed and refused at the door: *masked after a view change*.

use super::proposals::Proposals;
use super::{Vice, now};
use crate::{Endpoint, Identity, Repeated, Sending};
use pbft::Message;
use pbft::message::{Batch, Outline, Outlined, PrePrepare};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Repetition {
    identity: Identity,
    repeated: Repeated,
    proposals: Proposals,
    /// The requests of the batch proposed last.
    last: Vec<Outlined>,
}

impl Repetition {
    pub(super) fn new(identity: Identity, repeated: Repeated) -> Self {
        Self { identity, repeated, proposals: Proposals::default(), last: Vec::new() }
    }

    fn proposal(&mut self, honest: PrePrepare, outline: Outline) -> Message {
        let parameters = &self.identity.config.parameters;
        let (repeated, last) = (self.repeated, &mut self.last);
        let (digest, outline) = self.proposals.at((honest.view, honest.seq), || {
            let mut outline = outline;
            let before = std::mem::replace(last, outline.requests.clone());
            match repeated {
                Repeated::Same => outline.requests.extend(outline.requests.first().cloned()),
                Repeated::Later => {
                    outline.requests.reverse();
                    let own: BTreeSet<_> = outline.requests.iter().map(Outlined::digest).collect();
                    let old = before.into_iter().filter(|request| !own.contains(&request.digest()));
                    outline.requests.extend(old);
                    // A batch beyond the limits would be refused.
                    outline.requests.truncate(parameters.batch_requests_max);
                    while outline.requests.len() > 1
                        && outline.byte_count() > parameters.batch_bytes_max
                    {
                        outline.requests.pop();
                    }
                }
            }
            outline
        });
        let signed = self.identity.sign(PrePrepare { digest, ..honest });
        match outline.fill(|_| None) {
            Ok(batch) => Message::PrePrepare(signed, Arc::new(batch)),
            Err(_) => Message::Outline(signed, outline),
        }
    }
}

impl Vice for Repetition {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.identity.id => {
                let Batch { time, choice, requests, rejoins } = Batch::clone(&batch);
                let requests = requests.into_iter().map(Outlined::Whole).collect();
                self.proposal(signed.body, Outline { time, choice, requests, rejoins })
            }
            Message::Outline(signed, outline) if signed.signer == self.identity.id => {
                self.proposal(signed.body, Outline::clone(&outline))
            }
            other => other,
        };
        vec![now(to, message)]
    }

    /// The replica itself does not hear of PREPAREs for what was proposed in its name: it would
    /// find out that its primary lies.
    fn on_receive(
        &mut self,
        _from: Endpoint,
        message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        match &message {
            Message::Prepare(vote) if self.proposals.has(vote) => None,
            _ => Some(message),
        }
    }
}
