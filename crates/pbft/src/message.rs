//! The messages of the protocol (TOCS 2002, table of messages; deviations in `docs/protocol.md`).
//!
//! What authenticates a message depends on whether anybody has to be convinced by it later:
//! PREPARE, COMMIT, STATUS, REPLY, READ and the fetch messages are believed because of the link they
//! arrive on; REQUEST, PRE-PREPARE, CHECKPOINT, VIEW-CHANGE and NEW-VIEW carry a signature, since
//! they are relayed or become proof.

mod agreement;
mod checkpoint;
mod hello;
mod outline;
mod read;
mod request;
mod status;
mod view_change;

pub use agreement::{Batch, Committed, PrePrepare, Vote};
pub use checkpoint::{
    Checkpoint, CheckpointId, PartId, Rest, StableProof, StatePart, StatePartRequest, StateParts,
};
pub use hello::{
    Answer, BootId, Hello, HelloReply, Introduction, Question, Remembered, STARTS_MAX, Start,
    StartId,
};
pub use outline::{Outline, Outlined, SHORT_REQUEST_BYTES_MAX};
pub use read::{Read, ReadReply};
pub use request::{
    Certainty, Operation, Outcome, Rejoin, Reply, ReplyBody, Request, RequestBody, ServiceId,
};
pub use status::{SlotSet, Status};
pub use view_change::{NewView, NewViewProof, PreparedEntry, ViewChange};

use crate::auth::{Signed, SignedRequest};
use crate::{Digest, SeqNum, View};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A message between replicas, or between a client and a replica. The order of the variants is
/// part of the wire format.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// The first message on every link between replicas.
    Hello(Hello),
    /// The answer to HELLO: what I durably know of your earlier starts.
    HelloReply(HelloReply),
    /// REQUEST, from a client, or relayed by a backup to the primary.
    Request(Arc<SignedRequest>),
    /// REPLY, to a client.
    Reply(Reply),
    /// PRE-PREPARE with the batch it assigns a sequence number to.
    PrePrepare(Signed<PrePrepare>, Arc<Batch>),
    /// PREPARE.
    Prepare(Vote),
    /// COMMIT.
    Commit(Vote),
    /// CHECKPOINT.
    Checkpoint(Signed<Checkpoint>),
    /// VIEW-CHANGE.
    ViewChange(Arc<Signed<ViewChange>>),
    /// NEW-VIEW with the VIEW-CHANGEs it names.
    NewView(Arc<NewViewProof>),
    /// STATUS: what the sender has and lacks.
    Status(Status),
    /// An answer to STATUS: this batch is committed at the sender, whatever the view.
    Committed(Committed),
    /// Asks for the body of a batch by its digest.
    FetchBatch(Digest),
    /// The body of a batch; believed because of its digest.
    Batch(Arc<Batch>),
    /// Asks the sender of a contradicting PREPARE for the PRE-PREPARE it saw.
    FetchPrePrepare(View, SeqNum),
    /// The answer to that: a signed PRE-PREPARE without its batch.
    PrePrepareSeen(Signed<PrePrepare>),
    /// Asks for parts of the state at a checkpoint.
    FetchState(StatePartRequest),
    /// One part of the state; believed because of its digest.
    StateParts(StateParts),
    /// A replica asks to be let back in after it lost its memory, or another relays that; becomes
    /// part of a batch.
    Rejoin(Signed<Rejoin>),
    /// The proof that a checkpoint is stable, for a peer whose window is far behind.
    Stable(StableProof),
    /// READ, from a client.
    Read(Read),
    /// The answer to READ.
    ReadReply(ReadReply),
    /// PRE-PREPARE with an outline of the batch it assigns a sequence number to.
    Outline(Signed<PrePrepare>, Arc<Outline>),
}

/// What kind of message it is: for counters, budgets, traces and pictures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// HELLO or its answer.
    Hello,
    /// REQUEST, or READ.
    Request,
    /// REPLY, to either.
    Reply,
    /// PRE-PREPARE.
    PrePrepare,
    /// PREPARE.
    Prepare,
    /// COMMIT.
    Commit,
    /// CHECKPOINT, alone or as many as prove it stable.
    Checkpoint,
    /// VIEW-CHANGE.
    ViewChange,
    /// NEW-VIEW.
    NewView,
    /// STATUS.
    Status,
    /// COMMITTED, and the fetching of batches and PRE-PREPAREs.
    Repair,
    /// State transfer.
    StateTransfer,
    /// REJOIN.
    Rejoin,
}

impl Kind {
    /// Every kind, in the order of its declaration.
    pub const ALL: [Self; 13] = [
        Self::Hello,
        Self::Request,
        Self::Reply,
        Self::PrePrepare,
        Self::Prepare,
        Self::Commit,
        Self::Checkpoint,
        Self::ViewChange,
        Self::NewView,
        Self::Status,
        Self::Repair,
        Self::StateTransfer,
        Self::Rejoin,
    ];

    /// The papers' name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Request => "REQUEST",
            Self::Reply => "REPLY",
            Self::PrePrepare => "PRE-PREPARE",
            Self::Prepare => "PREPARE",
            Self::Commit => "COMMIT",
            Self::Checkpoint => "CHECKPOINT",
            Self::ViewChange => "VIEW-CHANGE",
            Self::NewView => "NEW-VIEW",
            Self::Status => "STATUS",
            Self::Repair => "REPAIR",
            Self::StateTransfer => "STATE-TRANSFER",
            Self::Rejoin => "REJOIN",
        }
    }
}

impl Message {
    /// The kind of this message.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) | Self::HelloReply(_) => Kind::Hello,
            Self::Request(_) | Self::Read(_) => Kind::Request,
            Self::Reply(_) | Self::ReadReply(_) => Kind::Reply,
            Self::PrePrepare(..) | Self::Outline(..) => Kind::PrePrepare,
            Self::Prepare(_) => Kind::Prepare,
            Self::Commit(_) => Kind::Commit,
            Self::Checkpoint(_) | Self::Stable(_) => Kind::Checkpoint,
            Self::ViewChange(_) => Kind::ViewChange,
            Self::NewView(_) => Kind::NewView,
            Self::Status(_) => Kind::Status,
            Self::Committed(_)
            | Self::FetchBatch(_)
            | Self::Batch(_)
            | Self::FetchPrePrepare(..)
            | Self::PrePrepareSeen(_) => Kind::Repair,
            Self::FetchState(_) | Self::StateParts(_) => Kind::StateTransfer,
            Self::Rejoin(_) => Kind::Rejoin,
        }
    }

    /// What the primary signed of a PRE-PREPARE, be it with the batch or with an outline of it.
    pub const fn pre_prepare(&self) -> Option<&Signed<PrePrepare>> {
        match self {
            Self::PrePrepare(signed, _) | Self::Outline(signed, _) => Some(signed),
            _ => None,
        }
    }
}

/// A body of which [`Signed`] makes a signed message.
pub trait SignedBody: BorshSerialize {
    /// Separates what is signed here from everything else that is signed.
    const CONTEXT: &'static str;
}

/// Encodes a value of ours. Encoding into memory fails only for lengths beyond 4 GiB, which no
/// bounded message reaches.
pub(crate) fn encode(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).expect("a bounded value always encodes into memory")
}
