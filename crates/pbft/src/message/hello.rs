//! HELLO: what two replicas tell each other before anything else, so that a replica whose disk was
//! lost or rolled back is found out before it votes [RJ1].

use crate::{Digest, Incarnation};
use borsh::{BorshDeserialize, BorshSerialize};

/// Names one start of one process: drawn at random, so that two starts that carry the same
/// counter (a rolled-back disk) are told apart.
pub type BootId = [u8; 16];

/// The sender introduces itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// Digest of the configuration file both must share.
    pub config: Digest,
    /// The lowest and the highest protocol version the sender speaks.
    pub versions: (u16, u16),
    /// Generation of the sender's keys.
    pub key_epoch: u64,
    /// How often the sender has started on this disk; durable before it is sent.
    pub boot_counter: u64,
    /// Which start this is.
    pub boot_id: BootId,
    /// How often the sender has rejoined after losing its memory.
    pub incarnation: Incarnation,
}

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct HelloReply {
    /// The start being answered.
    pub boot_id: BootId,
    /// The highest boot counter the sender has durably noted of any *other* start of the replica
    /// it answers; 0 if none.
    pub seen: u64,
}
