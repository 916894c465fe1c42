//! What comes out of a host: what is to be done outside of it, on whatever thread.

use crate::executor::CheckpointState;
use pbft::{ClientId, Event, Evidence, HaltReason, Message, Position, Recipients, SeqNum};
use std::sync::Arc;

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Do this with the journal, behind every earlier task.
    Journal(JournalTask),
    /// Make this state a durable snapshot, in place of the earlier one; answered by
    /// [`HostInput::SnapshotDurable`](super::HostInput::SnapshotDurable).
    WriteSnapshot(CheckpointState),
    /// Compute [`CheckpointState::id`]; answered by
    /// [`HostInput::CheckpointHashed`](super::HostInput::CheckpointHashed).
    HashCheckpoint(CheckpointState),
    /// Send to replicas.
    Send {
        /// To whom.
        to: Recipients,
        /// What.
        message: Arc<Message>,
    },
    /// Send to a client.
    Reply {
        /// To whom.
        client: ClientId,
        /// REPLY, or the answer to READ.
        message: Message,
    },
    /// Keep this proof of a lie.
    Evidence(Evidence),
    /// Tell people and checkers.
    Event(Event),
    /// Stop for good and say why. Nothing comes after it.
    Halt(HaltCause),
}

/// Something to be done with the journal. The tasks must be done in the order of the effects;
/// [`Folder::perform`](super::folder::Folder::perform) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalTask {
    /// Append these records and make them durable; answered by
    /// [`HostInput::Durable`](super::HostInput::Durable) with this position. Several appends may
    /// share one sync, and one answer.
    Append {
        /// The encoded records.
        records: Vec<Vec<u8>>,
        /// The position of the last one.
        position: Position,
    },
    /// Begin a new segment with these records, which restate everything that the older segments
    /// say and that matters beyond the snapshot written next.
    Rotate {
        /// The encoded records.
        base: Vec<Vec<u8>>,
    },
    /// Remove the segments before the one begun last: a durable snapshot covers them.
    DropOldSegments,
}

/// Why a replica stopped for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltCause {
    /// The core doubts its own state.
    #[error("{0}")]
    Replica(HaltReason),
    /// The disk failed.
    #[error("the disk failed, so that it is not known what is durable: {0}")]
    Storage(String),
    /// f+1 replicas signed a digest that is no state's.
    #[error(
        "what f+1 replicas signed at checkpoint {seq} is not the digest of any state: more than f \
         replicas are faulty, or this one runs another version"
    )]
    NoState {
        /// The checkpoint.
        seq: SeqNum,
    },
}
