//! REQUEST and REPLY (OSDI '99 section 4.1), with sessions, several outstanding requests per
//! client and several operations under one signature.

use super::{SignedBody, StartId};
use crate::{ClientId, Digest, Incarnation, ReplicaId, Session, Timestamp, View, WallTime};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Which of the replicated services an operation is for.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize,
)]
pub struct ServiceId(pub u16);

/// One operation for one service.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Operation {
    /// Whose operation it is.
    pub service: ServiceId,
    /// In the service's own encoding.
    pub body: Vec<u8>,
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum RequestBody {
    /// Opens the session named in the request and fences every older one of the client [CL4].
    OpenSession,
    /// Operations to execute in this order, coalesced under one signature.
    Operations(Vec<Operation>),
}

/// The signed content of a REQUEST.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// The client that signs.
    pub client: ClientId,
    /// Its session, from 1.
    pub session: Session,
    /// Its counter within the session, from 1; 0 to open the session. One execution per (client,
    /// session, timestamp).
    pub timestamp: Timestamp,
    /// The client has the results of every earlier timestamp, so that their replies may be
    /// forgotten and its window may move [CL6].
    pub acknowledged_below: Timestamp,
    /// Who alone sends the result whole, where the others may send its digest; if it is nobody, all
    /// send it whole. What is agreed on and what is executed do not depend on it [DR1].
    pub replier: Option<ReplicaId>,
    /// What to do.
    pub body: RequestBody,
}

impl SignedBody for Request {
    const CONTEXT: &'static str = "quorate pbft v1: REQUEST";
}

/// What became of a request: the part of a REPLY on which replies must match.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// The session is open.
    SessionOpened,
    /// The results of the operations, in their order. If there are fewer results than operations,
    /// the remaining ones were not executed, because the results had grown too large for one reply
    /// [CL8].
    Executed(Vec<Vec<u8>>),
    /// It was executed, but its results were too large to be kept for a retransmission; their
    /// digest was.
    ExecutedBefore(Digest),
    /// A newer session of the client is open. The request will not be executed; whether it was
    /// before that session was opened went with the old one.
    Fenced {
        /// The client's session.
        current: Session,
    },
    /// It was not executed: its timestamp is outside the client's window.
    OutsideWindow,
}

/// The result in a REPLY: whole, or by digest when another replica was designated to send it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum ReplyBody {
    /// The whole outcome.
    Full(Outcome),
    /// Its digest.
    Digest(Digest),
}

/// What the sender of a REPLY knows of the batch in which it executed the request.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize,
)]
pub enum Certainty {
    /// It is committed.
    #[default]
    Committed,
    /// It has prepared in the sender's view, and everything before it is committed (TOCS 2002
    /// section 5.1).
    Tentative,
    /// It is committed; and it has prepared, or was committed, in the sender's view, so that this
    /// goes together with what is tentative in that view [TE6].
    CommittedInView,
}

impl Certainty {
    /// Whether the batch is committed at the sender.
    pub const fn is_committed(self) -> bool {
        matches!(self, Self::Committed | Self::CommittedInView)
    }

    /// Whether the sender's view belongs to what it says.
    pub const fn is_of_a_view(self) -> bool {
        matches!(self, Self::Tentative | Self::CommittedInView)
    }
}

/// REPLY.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Reply {
    /// The sender's view, from which the client learns the primary. It must match where `certainty`
    /// is of a view.
    pub view: View,
    /// The client's session.
    pub session: Session,
    /// Which request.
    pub timestamp: Timestamp,
    /// What the sender knows of the batch.
    pub certainty: Certainty,
    /// The replica that sends the whole result: the one that the request named, where the others
    /// send its digest, and else the sender itself.
    pub designated: ReplicaId,
    /// The result.
    pub body: ReplyBody,
}

/// The ordered request by which a replica that lost its memory comes back [RJ2].
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Rejoin {
    /// Who comes back.
    pub replica: ReplicaId,
    /// Its new incarnation, one more than the last.
    pub incarnation: Incarnation,
    /// The start that asks. Drawn at random after the memory was lost, it shows that whatever was
    /// ordered before the loss does not contain this request.
    pub start: StartId,
    /// A view above every one that it may have taken part in [RJ4].
    pub view: View,
    /// It has no effect in a batch with a later time, so that one which was given up does not
    /// stop its replica for ever after [RJ2].
    pub expires: WallTime,
}

impl SignedBody for Rejoin {
    const CONTEXT: &'static str = "quorate pbft v1: REJOIN";
}

impl Outcome {
    /// The digest by which a replica vouches for an outcome it does not send whole.
    pub fn digest(&self) -> Digest {
        Digest::of("quorate pbft v1: outcome", &[&super::encode(self)])
    }
}
