//! HELLO: what two replicas tell each other before anything else, so that a replica whose disk was
//! lost or rolled back is found out before it votes [RJ1].

use crate::{Digest, Incarnation, View};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Names one start of one process: drawn at random, so that two starts that carry the same
/// counter (a rolled-back disk) are told apart.
pub type BootId = [u8; 16];

/// One start of a replica, as its disk and its peers remember it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StartId {
    /// How many starts its disk had seen, this one included.
    pub counter: u64,
    /// Which start it was.
    pub boot_id: BootId,
}

/// So many starts are told in a HELLO-REPLY at most.
pub const STARTS_TOLD_MAX: usize = 64;

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
    /// Whether the sender knows that it lost its memory: then it asks for the receiver's view, and
    /// for nothing that would let it vote.
    pub amnesiac: bool,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct HelloReply {
    /// The start being answered.
    pub boot_id: BootId,
    /// The incarnation being answered.
    pub incarnation: Incarnation,
    /// The sender's view now.
    pub view: View,
    /// Other starts of the replica it answers that the sender has durably noted, at most
    /// [`STARTS_TOLD_MAX`].
    pub seen: Vec<StartId>,
}
