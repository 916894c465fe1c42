//! One field of one message, changed by one.

use super::fields;
use crate::{Field, Identity, Step};
use pbft::message::{NewViewProof, Question, SignedBody};
use pbft::{Message, Signed};
use std::sync::Arc;

/// Which field is changed, and which way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    pub(super) field: Field,
    pub(super) by: Step,
    /// Of which entry, if it is a field of a list: 0 is the last.
    entry: usize,
}

/// Every message that differs from `message` in one field, and there by one: those of each entry
/// of a list are fields of their own. What the replica itself signed is signed again, and what
/// others signed is left as it is.
pub fn mutants(identity: &Identity, message: &Message) -> Vec<Message> {
    let mut mutants = Vec::new();
    for (field, by) in Field::ALL.iter().flat_map(|f| Step::ALL.iter().map(|by| (*f, *by))) {
        let last = Edit::of_the_last(field, by);
        mutants.extend(last.apply(identity, message));
        if field.is_of_a_list() {
            let others = (1..).map(|entry| Edit { entry, ..last });
            mutants.extend(others.map_while(|edit| edit.apply(identity, message)));
        }
    }
    mutants
}

impl Edit {
    pub(super) const fn of_the_last(field: Field, by: Step) -> Self {
        Self { field, by, entry: 0 }
    }

    /// The entry that is meant.
    pub(super) fn of<T>(self, list: &mut [T]) -> Option<&mut T> {
        list.iter_mut().nth_back(self.entry)
    }

    /// The message with this field changed; `None` if it has no such field, or if it is in what
    /// another replica signed.
    pub(super) fn apply(self, identity: &Identity, message: &Message) -> Option<Message> {
        let Self { field, by, .. } = self;
        let mut message = message.clone();
        let is_changed = match &mut message {
            Message::Hello(hello) => match &mut hello.question {
                _ if field == Field::HelloKeyEpoch => fields::number(&mut hello.key_epoch, by),
                Question::Admission(introduction) => {
                    resign(identity, &mut introduction.start, |body| fields::start(body, self))
                }
                Question::View(_) => false,
            },
            Message::HelloReply(reply) => fields::hello_reply(reply, self),
            Message::Reply(reply) => fields::reply(reply, self),
            Message::PrePrepare(signed, batch) if field == Field::PrePrepareTime => {
                let batch = Arc::make_mut(batch);
                fields::time(&mut batch.time, by);
                let digest = batch.digest();
                resign(identity, signed, |body| {
                    body.digest = digest;
                    true
                })
            }
            Message::Outline(signed, outline) if field == Field::PrePrepareTime => {
                let outline = Arc::make_mut(outline);
                fields::time(&mut outline.time, by);
                let digest = outline.digest();
                resign(identity, signed, |body| {
                    body.digest = digest;
                    true
                })
            }
            Message::PrePrepare(signed, _) | Message::Outline(signed, _) => {
                resign(identity, signed, |body| fields::pre_prepare(body, self))
            }
            Message::Prepare(vote) => fields::prepare(vote, self),
            Message::Commit(vote) => fields::commit(vote, self),
            Message::Checkpoint(signed) => {
                resign(identity, signed, |body| fields::checkpoint(body, self))
            }
            Message::ViewChange(signed) => {
                let signed = Arc::make_mut(signed);
                resign(identity, signed, |body| fields::view_change(body, self))
            }
            Message::NewView(proof) => {
                let NewViewProof { new_view, .. } = Arc::make_mut(proof);
                resign(identity, new_view, |body| fields::new_view(body, self))
            }
            Message::Status(status) => fields::status(status, self),
            Message::Committed(committed) => fields::committed(committed, self),
            Message::FetchBatch(digest) => {
                field == Field::FetchBatchDigest && fields::digest(digest, by)
            }
            Message::Batch(batch) => {
                field == Field::BatchTime && fields::time(&mut Arc::make_mut(batch).time, by)
            }
            Message::FetchPrePrepare(_, seq) => {
                field == Field::FetchPrePrepareSeq && fields::seq(seq, by)
            }
            Message::PrePrepareSeen(signed) => resign(identity, signed, |body| {
                field == Field::PrePrepareSeenDigest && fields::digest(&mut body.digest, by)
            }),
            Message::FetchState(request) => {
                field == Field::FetchStateSeq && fields::seq(&mut request.seq, by)
            }
            Message::StateParts(parts) => {
                field == Field::StatePartsSeq && fields::seq(&mut parts.seq, by)
            }
            Message::Request(_)
            | Message::Stable(_)
            | Message::Rejoin(_)
            | Message::Read(_)
            | Message::ReadReply(_) => false,
        };
        is_changed.then_some(message)
    }
}

/// Changes what the replica itself signed, and signs it again.
fn resign<T: SignedBody + Clone>(
    identity: &Identity,
    signed: &mut Signed<T>,
    change: impl FnOnce(&mut T) -> bool,
) -> bool {
    let is_changed = signed.signer == identity.id && change(&mut signed.body);
    if is_changed {
        *signed = identity.sign(signed.body.clone());
    }
    is_changed
}
