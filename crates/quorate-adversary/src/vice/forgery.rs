//! Speaking in the names of others. On a link the sender is who holds its key, so names can be
//! forged only where a message carries its signer: CHECKPOINT and VIEW-CHANGE, a PRE-PREPARE as
//! if of the primary, a REQUEST as if of its client. (A NEW-VIEW with a forged VIEW-CHANGE is a
//! vice of its own.)
//!
//! Beside each of its own CHECKPOINTs, VIEW-CHANGEs and COMMITs it sends forged messages; they
//! carry its own signature, having no other. All of them are refused at the door, as badly signed
//! or as said by another than the signer; *masked*, and the refusals are counted against its link.

use super::{Vice, another, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::{Batch, Checkpoint, PrePrepare, Request, SignedBody, ViewChange, Vote};
use pbft::{Message, ReplicaId, Signed, SignedRequest};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Forgery {
    identity: Identity,
    victim: ReplicaId,
    /// The last request seen: the next one of its client is forged.
    request: Option<Request>,
}

impl Forgery {
    pub(super) fn new(identity: Identity, victim: Option<ReplicaId>) -> Self {
        let next = (identity.id.get() + 1) % identity.config.replica_count();
        let victim = victim.unwrap_or(ReplicaId::new(next));
        Self { identity, victim, request: None }
    }

    /// Signed with the liar's key, in the name of another.
    fn forge<T: SignedBody>(&self, signer: ReplicaId, body: T) -> Signed<T> {
        Signed::sign(&self.identity.config.domain, &self.identity.key, signer, body)
    }

    fn checkpoints(&self, own: &Checkpoint) -> [Message; 2] {
        let mut body = Checkpoint { replica: self.victim, ..*own };
        body.id.state_root = another(body.id.state_root);
        [self.forge(self.victim, body), self.identity.sign(body)].map(Message::Checkpoint)
    }

    fn view_changes(&self, own: &ViewChange) -> [Message; 2] {
        let (prepared, pre_prepared) = (Vec::new(), Vec::new());
        let body = ViewChange { replica: self.victim, prepared, pre_prepared, ..own.clone() };
        let forged = [self.forge(self.victim, body.clone()), self.identity.sign(body)];
        forged.map(|signed| Message::ViewChange(Arc::new(signed)))
    }

    /// What others might have said where it commits itself.
    fn proposal_and_request(&self, vote: Vote) -> Vec<Message> {
        let mut forged = Vec::new();
        let primary = self.identity.config.primary(vote.view);
        if primary != self.identity.id {
            let batch = Batch::default();
            let body = PrePrepare { view: vote.view, seq: vote.seq, digest: batch.digest() };
            forged.push(Message::PrePrepare(self.forge(primary, body), Arc::new(batch)));
        }
        if let Some(seen) = &self.request {
            let request = Request { timestamp: seen.timestamp.next(), ..seen.clone() };
            let Identity { config, key, .. } = &self.identity;
            let signed = SignedRequest::sign(&config.domain, key, request);
            forged.push(Message::Request(Arc::new(signed)));
        }
        forged
    }
}

impl Vice for Forgery {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let is_own = |signer: ReplicaId| signer == self.identity.id;
        let forged = match &message {
            Message::Checkpoint(own) if is_own(own.signer) => self.checkpoints(&own.body).into(),
            Message::ViewChange(own) if is_own(own.signer) => self.view_changes(&own.body).into(),
            Message::Commit(vote) => self.proposal_and_request(*vote),
            _ => Vec::new(),
        };
        forged.into_iter().chain([message]).map(|message| now(to, message)).collect()
    }

    fn on_receive(
        &mut self,
        _from: Endpoint,
        message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        if let Message::Request(request) = &message {
            self.request = Some(request.request().clone());
        }
        Some(message)
    }
}
