//! Bytes that are no messages, one frame of them beside each message: noise, a message cut off,
//! or a message with one bit flipped.
//!
//! Nearly all of it does not decode, or is refused at the door for what is in it. A message in
//! which the bit happened to fall where nothing checks it is a lie like any other. *Masked*, and
//! the refusals are counted against its link.

use super::{Vice, now};
use crate::dice::Dice;
use crate::{Endpoint, Identity, Payload, Sending};
use core::time::Duration;
use pbft::{Config, Message, wire};
use std::sync::Arc;

/// The longest noise, in bytes.
const NOISE_BYTES_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Garbage {
    config: Arc<Config>,
    dice: Dice,
}

impl Garbage {
    pub(super) fn new(identity: &Identity, seed: u64) -> Self {
        let config = Arc::clone(&identity.config);
        Self { config, dice: Dice::new(identity.id, seed) }
    }

    fn garbage(&mut self, message: &Message) -> Vec<u8> {
        let dice = &mut self.dice;
        if dice.below(3) == 0 {
            let len = 1 + dice.index(NOISE_BYTES_MAX);
            return dice.noise(len);
        }
        let mut bytes = wire::encode(self.config.domain.epoch, message);
        if dice.below(2) == 0 {
            bytes.truncate(1 + dice.index(bytes.len() - 1));
        } else {
            let place = dice.index(bytes.len());
            bytes[place] ^= 1 << dice.below(8);
        }
        bytes
    }
}

impl Vice for Garbage {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let payload = Payload::Bytes(self.garbage(&message));
        vec![now(to, message), Sending { delay: Duration::ZERO, to, payload }]
    }
}
