//! Changing single fields by one, and signing again what the replica itself had signed.
//!
//! Some of it is refused at the door, some passes and contradicts what others say, some is a
//! different truth. *Masked*; at the primary *after a view change* where the field is one of a
//! PRE-PREPARE, and *detected and named* where two of its signatures contradict each other.

mod edit;
mod fields;

pub use edit::mutants;

use super::{Vice, now};
use crate::dice::Dice;
use crate::{Endpoint, Field, Identity, Sending, Step};
use edit::Edit;
use pbft::Message;

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

    /// The message with the field that is meant changed, or with a random one, every other time, but
    /// not in HELLO; `None` if it stays as it is.
    fn mutated(&mut self, message: &Message) -> Option<Message> {
        let by = self.by.unwrap_or_else(|| Step::ALL[self.dice.index(Step::ALL.len())]);
        if let Some(field) = self.field {
            return Edit::of_the_last(field, by).apply(&self.identity, message);
        }
        // A replica that names other starts than its own is not let in, and says nothing more.
        let introduces = matches!(message, Message::Hello(_));
        if introduces || self.dice.below(2) == 0 {
            return None;
        }
        let first = self.dice.index(Field::ALL.len());
        let mut fields = Field::ALL.iter().cycle().skip(first).take(Field::ALL.len());
        fields.find_map(|field| Edit::of_the_last(*field, by).apply(&self.identity, message))
    }
}

impl Vice for Mutation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let mutated = self.mutated(&message);
        vec![now(to, mutated.unwrap_or(message))]
    }
}
