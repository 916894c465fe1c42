//! A primary that orders requests twice and in changed order: each batch has the requests in the
//! reverse of their order and behind them those of the batch before; or, in the other form, its
//! first request twice.
//!
//! A request repeated in a later batch passes the door and is executed once: *masked*. A batch
//! with a request twice is malformed and refused at the door: *masked after a view change*.

use super::proposals::Proposals;
use super::{Vice, now};
use crate::{Endpoint, Identity, Repeated, Sending};
use pbft::message::{Batch, PrePrepare};
use pbft::{ClientId, Message, Session, SignedRequest, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Repetition {
    identity: Identity,
    repeated: Repeated,
    proposals: Proposals,
    /// The requests of the batch proposed last.
    last: Vec<Arc<SignedRequest>>,
}

impl Repetition {
    pub(super) fn new(identity: Identity, repeated: Repeated) -> Self {
        Self { identity, repeated, proposals: Proposals::default(), last: Vec::new() }
    }

    fn proposal(&mut self, honest: PrePrepare, batch: &Batch) -> Message {
        let parameters = &self.identity.config.parameters;
        let (repeated, last) = (self.repeated, &mut self.last);
        let (digest, batch) = self.proposals.at((honest.view, honest.seq), || {
            let mut batch = batch.clone();
            let before = std::mem::replace(last, batch.requests.clone());
            match repeated {
                Repeated::Same => batch.requests.extend(batch.requests.first().cloned()),
                Repeated::Later => {
                    batch.requests.reverse();
                    let own: BTreeSet<_> = batch.requests.iter().map(|r| name(r)).collect();
                    let old = before.into_iter().filter(|request| !own.contains(&name(request)));
                    batch.requests.extend(old);
                    // A batch beyond the limits would be refused.
                    batch.requests.truncate(parameters.batch_requests_max);
                    while batch.requests.len() > 1
                        && batch.byte_count() > parameters.batch_bytes_max
                    {
                        batch.requests.pop();
                    }
                }
            }
            batch
        });
        Message::PrePrepare(self.identity.sign(PrePrepare { digest, ..honest }), batch)
    }
}

impl Vice for Repetition {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.identity.id => {
                self.proposal(signed.body, &batch)
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

fn name(request: &SignedRequest) -> (ClientId, Session, Timestamp) {
    let content = request.request();
    (content.client, content.session, content.timestamp)
}
