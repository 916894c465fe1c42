//! What a recording consists of.

use super::belief::check_clocks;
use super::origin::Origin;
use super::output::OutputMark;
use crate::HostInput;
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::CheckpointId;
use pbft::{Config, Now, Position, Reject, ReplicaId, Sender, SeqNum, wire};

/// One thing in a recording. First comes an origin, then the large values, the pages and the
/// records it announces, then the outputs of the start; from then on inputs, each with its outputs
/// behind it, and at last an end, unless the recording was cut. The order of the variants is part of
/// the format.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Entry {
    /// What the replica started from.
    Origin(Origin),
    /// A large value of the state it started from.
    Value {
        /// Its key.
        key: Vec<u8>,
        /// The value.
        content: Vec<u8>,
    },
    /// A page of the state it started from.
    Page {
        /// Its first key.
        key: Vec<u8>,
        /// The page as it is hashed.
        content: Vec<u8>,
    },
    /// A record of the journal it started from.
    Record(Vec<u8>),
    /// Something happened. It is written before the replica sees it.
    Input {
        /// What the replica's clocks showed.
        now: Now,
        /// What.
        input: RecordedInput,
    },
    /// What the input before led to, in order; at first, what the start led to.
    Outputs(Vec<OutputMark>),
    /// The replica was stopped, and everything that it was given is recorded.
    End,
}

/// A [`HostInput`] that may not be believed: its message did not pass the door.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RecordedInput {
    /// A message.
    Message {
        /// Over whose link.
        from: Sender,
        /// Its bytes on the wire.
        frame: Vec<u8>,
    },
    /// A link to this peer was established.
    Connected(ReplicaId),
    /// Time has passed.
    Tick,
    /// Every record up to this position is durable.
    Durable(Position),
    /// A checkpoint was hashed.
    CheckpointHashed {
        /// The checkpoint.
        seq: SeqNum,
        /// Its digests.
        id: CheckpointId,
    },
    /// A snapshot is durable.
    SnapshotDurable {
        /// The checkpoint.
        seq: SeqNum,
    },
    /// The disk failed.
    StorageFailed(String),
}

impl Entry {
    /// The entry as it is written.
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("a bounded value always encodes into memory")
    }
}

impl RecordedInput {
    /// What is to be written of an input.
    pub fn of(config: &Config, input: &HostInput) -> Self {
        match input {
            HostInput::Message(verified) => Self::Message {
                from: verified.sender(),
                frame: wire::encode(config.domain.epoch, verified.message()),
            },
            HostInput::Connected(peer) => Self::Connected(*peer),
            HostInput::Tick => Self::Tick,
            HostInput::Durable(position) => Self::Durable(*position),
            HostInput::CheckpointHashed { seq, id } => {
                Self::CheckpointHashed { seq: *seq, id: *id }
            }
            HostInput::SnapshotDurable { seq } => Self::SnapshotDurable { seq: *seq },
            HostInput::StorageFailed(error) => Self::StorageFailed(error.clone()),
        }
    }

    /// The input that was written down and comes at `now`. A message passes the door again, since whoever wrote the
    /// recording need not be believed.
    ///
    /// # Errors
    /// If the message must not be believed, or no clock shows that.
    pub fn admit(self, config: &Config, now: Now) -> Result<HostInput, Reject> {
        check_clocks(now).map_err(|_| Reject::OutOfRange)?;
        Ok(match self {
            Self::Message { from, frame } => {
                let message = wire::decode(config.domain.epoch, &frame)?;
                HostInput::Message(config.admit(from, message)?)
            }
            Self::Connected(peer) if peer.get() >= config.replica_count() => {
                return Err(Reject::UnknownReplica);
            }
            Self::Connected(peer) => HostInput::Connected(peer),
            Self::Tick => HostInput::Tick,
            Self::Durable(position) => HostInput::Durable(position),
            Self::CheckpointHashed { seq, id } => HostInput::CheckpointHashed { seq, id },
            Self::SnapshotDurable { seq } => HostInput::SnapshotDurable { seq },
            Self::StorageFailed(error) => HostInput::StorageFailed(error),
        })
    }
}
