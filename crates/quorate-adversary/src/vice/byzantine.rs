//! At random slow, silent, or with a wrong digest in PREPARE and COMMIT: what the teaching
//! programs call a Byzantine node.

use super::wrong_digest::corrupted;
use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use core::time::Duration;
use pbft::{Digest, Message};

/// The longest delay, in milliseconds.
const DELAY_MAX_MS: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Byzantine {
    /// Each draw is a digest of the seed and the number of the draw.
    seed: [u8; 12],
    draws: u64,
}

impl Byzantine {
    pub(super) fn new(identity: &Identity, seed: u64) -> Self {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..].copy_from_slice(&identity.id.get().to_le_bytes());
        Self { seed: bytes, draws: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draws += 1;
        let drawn =
            Digest::of("quorate adversary v1: chance", &[&self.seed, &self.draws.to_le_bytes()]);
        let (low, _) = drawn.as_bytes().split_at(8);
        low.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)) % bound
    }
}

impl Vice for Byzantine {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        match self.below(4) {
            0 => vec![now(to, message)],
            1 => Vec::new(),
            2 => {
                let delay = Duration::from_millis(self.below(DELAY_MAX_MS));
                vec![Sending { delay, to, message }]
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
