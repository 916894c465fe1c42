//! Changing single fields by one, and signing again what the replica itself had signed.
//!
//! Some of it is refused at the door, some passes and contradicts what others say, some is a
//! different truth. *Masked*; at the primary *after a view change* where the field is one of a
//! PRE-PREPARE, and *detected and named* where two of its signatures contradict each other.

mod fields;

use super::{Vice, now};
use crate::dice::Dice;
use crate::{Endpoint, Field, Identity, Sending, Step};
use pbft::message::{NewViewProof, SignedBody};
use pbft::{Message, Signed};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Mutation {
    identity: Identity,
    field: Option<Field>,
    by: Option<Step>,
    dice: Dice,
}

impl Mutation {
    pub(super) fn new(
        identity: Identity,
        field: Option<Field>,
        by: Option<Step>,
        seed: u64,
    ) -> Self {
        let dice = Dice::new(identity.id, seed);
        Self { identity, field, by, dice }
    }

    /// The message with the field that is meant changed, or with a random one, every other time;
    /// `None` if it stays as it is.
    fn mutated(&mut self, message: &Message) -> Option<Message> {
        let by = self.by.unwrap_or_else(|| Step::ALL[self.dice.index(Step::ALL.len())]);
        if let Some(field) = self.field {
            return self.changed(message, field, by);
        }
        if self.dice.below(2) == 0 {
            return None;
        }
        let first = self.dice.index(Field::ALL.len());
        let mut fields = Field::ALL.iter().cycle().skip(first).take(Field::ALL.len());
        fields.find_map(|field| self.changed(message, *field, by))
    }

    /// The message with this field changed; `None` if it has no such field, or if it is in what
    /// another replica signed.
    fn changed(&self, message: &Message, field: Field, by: Step) -> Option<Message> {
        let mut message = message.clone();
        let is_changed = match &mut message {
            Message::Hello(hello) => fields::hello(hello, field, by),
            Message::HelloReply(reply) => fields::hello_reply(reply, field, by),
            Message::Reply(reply) => fields::reply(reply, field, by),
            Message::PrePrepare(signed, batch) if field == Field::PrePrepareTime => {
                let batch = Arc::make_mut(batch);
                fields::batch_time(batch, by);
                let digest = batch.digest();
                self.resign(signed, |body| {
                    body.digest = digest;
                    true
                })
            }
            Message::PrePrepare(signed, _) => {
                self.resign(signed, |body| fields::pre_prepare(body, field, by))
            }
            Message::Prepare(vote) => fields::prepare(vote, field, by),
            Message::Commit(vote) => fields::commit(vote, field, by),
            Message::Checkpoint(signed) => {
                self.resign(signed, |body| fields::checkpoint(body, field, by))
            }
            Message::ViewChange(signed) => {
                let signed = Arc::make_mut(signed);
                self.resign(signed, |body| fields::view_change(body, field, by))
            }
            Message::NewView(proof) => {
                let NewViewProof { new_view, .. } = Arc::make_mut(proof);
                self.resign(new_view, |body| fields::new_view(body, field, by))
            }
            Message::Status(status) => fields::status(status, field, by),
            Message::Committed(committed) => fields::committed(committed, field, by),
            Message::FetchBatch(digest) => {
                field == Field::FetchBatchDigest && fields::digest(digest, by)
            }
            Message::Batch(batch) => {
                field == Field::BatchTime && fields::batch_time(Arc::make_mut(batch), by)
            }
            Message::FetchPrePrepare(_, seq) => {
                field == Field::FetchPrePrepareSeq && fields::seq(seq, by)
            }
            Message::PrePrepareSeen(signed) => self.resign(signed, |body| {
                field == Field::PrePrepareSeenDigest && fields::digest(&mut body.digest, by)
            }),
            Message::FetchState(request) => {
                field == Field::FetchStateSeq && fields::seq(&mut request.seq, by)
            }
            Message::StatePart(part) => {
                field == Field::StatePartSeq && fields::seq(&mut part.seq, by)
            }
            Message::Request(_) | Message::Stable(_) | Message::Rejoin(_) => false,
        };
        is_changed.then_some(message)
    }

    /// Changes what the replica itself signed, and signs it again.
    fn resign<T: SignedBody + Clone>(
        &self,
        signed: &mut Signed<T>,
        change: impl FnOnce(&mut T) -> bool,
    ) -> bool {
        let is_changed = signed.signer == self.identity.id && change(&mut signed.body);
        if is_changed {
            *signed = self.identity.sign(signed.body.clone());
        }
        is_changed
    }
}

impl Vice for Mutation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let mutated = self.mutated(&message);
        vec![now(to, mutated.unwrap_or(message))]
    }
}
