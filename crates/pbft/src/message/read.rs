//! READ and its answer: a request that is not ordered, since it changes nothing (OSDI '99 section
//! 5.1.3). Both are believed because of the link they come on.

use super::Operation;
use crate::{Reading, SeqNum, Session};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// READ, from a client to every replica.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Read {
    /// The client's session, which no other process of the client has.
    pub session: Session,
    /// Its counter within the session.
    pub number: u64,
    /// Answer once this number is executed, and not before.
    pub not_before: SeqNum,
    /// What to read. Whatever would have to write is not answered.
    pub operations: Vec<Operation>,
}

/// The answer to READ.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ReadReply {
    /// The client's session.
    pub session: Session,
    /// Which READ.
    pub number: u64,
    /// The last number whose effects the readings show.
    pub executed: SeqNum,
    /// Of each operation, in their order; `None` for one that would have to write, and for those
    /// that had no room in this message. There may be fewer than there were operations.
    pub readings: Vec<Option<Reading>>,
}
