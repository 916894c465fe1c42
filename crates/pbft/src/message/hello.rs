//! HELLO: what two replicas tell each other before anything else, so that a replica whose disk was
//! lost or rolled back is found out before it votes [RJ1].

use super::SignedBody;
use crate::{Digest, Incarnation, Signed, View, WallTime};
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

/// A start as its replica signs it: who heard of it can prove it to others, and nobody can make one
/// up [RJ1].
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Start {
    /// How often the replica has rejoined after losing its memory.
    pub incarnation: Incarnation,
    /// Which start.
    pub id: StartId,
}

impl SignedBody for Start {
    const CONTEXT: &'static str = "quorate pbft v1: START";
}

/// So many starts of one replica are remembered, told and named at most.
pub const STARTS_MAX: usize = 64;

/// The sender introduces itself.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// Digest of the configuration file both must share.
    pub config: Digest,
    /// The lowest and the highest protocol version the sender speaks.
    pub versions: (u16, u16),
    /// Generation of the sender's keys.
    pub key_epoch: u64,
    /// What it asks.
    pub question: Question,
}

/// What a HELLO asks.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Question {
    /// For the receiver's view and clock. The sender knows that it lost its memory; this is its
    /// start, and leaves no trace.
    View(BootId),
    /// To be let in.
    Admission(Introduction),
}

/// How a replica asks to be let in after a start.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Introduction {
    /// The start; durable before it is sent.
    pub start: Signed<Start>,
    /// Starts that its disk remembers, or that are void, at most [`STARTS_MAX`]: who remembers this
    /// one need not remember those.
    pub knows: Vec<StartId>,
    /// How often the sender has asked in this start.
    pub round: u64,
    /// Whether the sender rejoins and has to be told what is remembered of others.
    pub takes_over: bool,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct HelloReply {
    /// The start being answered.
    pub boot_id: BootId,
    /// To what it asked.
    pub answer: Answer,
}

/// What a HELLO-REPLY answers.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// The sender's view and clock now.
    View(View, WallTime),
    /// What the sender remembers of starts.
    Starts(Remembered),
}

/// Starts that a replica has durably noted.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Remembered {
    /// The incarnation being answered.
    pub incarnation: Incarnation,
    /// Starts that keep the replica out that asked, at most [`STARTS_MAX`]; if there are none, it is
    /// let in, and what it introduced is noted.
    pub seen: Vec<StartId>,
    /// Starts of all other replicas, the sender's own included, if it has to be told; at most
    /// [`STARTS_MAX`] of each.
    pub others: Vec<Signed<Start>>,
    /// Whether the sender's own disk is the right one, as far as enough of its peers know: only
    /// then is what it notes there remembered.
    pub is_confirmed: bool,
    /// The sender's own start.
    pub by: BootId,
    /// The round that is answered.
    pub round: u64,
}
