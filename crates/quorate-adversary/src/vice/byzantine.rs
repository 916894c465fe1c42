//! At random slow, silent, or with a wrong digest in PREPARE and COMMIT: what the teaching
//! programs call a Byzantine node. *Masked*; at the primary *after a view change*.

use super::wrong_digest::corrupted;
use super::{Vice, now};
use crate::dice::Dice;
use crate::{Endpoint, Identity, Sending};
use core::time::Duration;
use pbft::Message;

/// The longest delay, in milliseconds.
const DELAY_MAX_MS: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Byzantine {
    dice: Dice,
}

impl Byzantine {
    pub(super) fn new(identity: &Identity, seed: u64) -> Self {
        Self { dice: Dice::new(identity.id, seed) }
    }
}

impl Vice for Byzantine {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        match self.dice.below(4) {
            0 => vec![now(to, message)],
            1 => Vec::new(),
            2 => {
                let delay = Duration::from_millis(self.dice.below(DELAY_MAX_MS));
                vec![Sending { delay, ..now(to, message) }]
            }
            _ => {
                let message = match message {
                    Message::Prepare(vote) => Message::Prepare(corrupted(vote)),
                    Message::Commit(vote) => Message::Commit(corrupted(vote)),
                    other => other,
                };
                vec![now(to, message)]
            }
        }
    }
}
