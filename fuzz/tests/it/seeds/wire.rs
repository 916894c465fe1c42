//! The golden messages, each from the first sender from whom it passes the door.

use super::{Seed, golden};
use quorate_fuzz::{Decoded, wire};

/// Replicas first, then clients.
const SENDERS: [u8; 8] = [0, 1, 2, 3, 128, 129, 130, 131];

pub(super) fn seeds() -> Vec<Seed> {
    let entries = golden::entries(golden::MESSAGES).into_iter();
    entries.map(|(name, frame)| (name, from_first_admitted(&frame))).collect()
}

fn from_first_admitted(frame: &[u8]) -> Vec<u8> {
    let from = |sender: u8| [&[sender], frame].concat();
    let is_admitted = |sender: &u8| matches!(wire(&from(*sender)), Some(Decoded::Admitted(_)));
    from(SENDERS.into_iter().find(is_admitted).unwrap_or(SENDERS[0]))
}
