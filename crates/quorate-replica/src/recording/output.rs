//! What a recording keeps of an effect: of which kind it is, and a digest of all of it.

use crate::{Effect, JournalTask};
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::Kind;
use pbft::{Config, Digest, Recipients, wire};

/// What tells an effect from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OutputMark {
    /// Its kind.
    pub kind: OutputKind,
    /// Of its content.
    pub digest: Digest,
}

/// The kinds of effects. The order of the variants is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OutputKind {
    /// Records for the journal.
    Append,
    /// A new segment of the journal.
    Rotate,
    /// The older segments go.
    DropOldSegments,
    /// A snapshot is to be written.
    WriteSnapshot,
    /// A checkpoint is to be hashed.
    HashCheckpoint,
    /// A message to replicas.
    Send(Kind),
    /// A message to a client.
    Reply,
    /// A proof of a lie.
    Evidence,
    /// An event.
    Event,
    /// The replica stops for good.
    Halt,
}

impl OutputMark {
    /// The mark of an effect. Of a state it has the number alone: its digest takes long, and comes
    /// back as an input.
    pub fn of(config: &Config, effect: &Effect) -> Self {
        let (kind, content) = match effect {
            Effect::Journal(JournalTask::Append { records, position }) => {
                (OutputKind::Append, encode(&(records, position)))
            }
            Effect::Journal(JournalTask::Rotate { base }) => (OutputKind::Rotate, encode(base)),
            Effect::Journal(JournalTask::DropOldSegments) => {
                (OutputKind::DropOldSegments, Vec::new())
            }
            Effect::WriteSnapshot(state) => (OutputKind::WriteSnapshot, encode(&state.seq())),
            Effect::HashCheckpoint(state) => (OutputKind::HashCheckpoint, encode(&state.seq())),
            Effect::Send { to, message } => {
                let to = match to {
                    Recipients::Others => None,
                    Recipients::One(id) => Some(*id),
                };
                let frame = wire::encode(config.domain.epoch, message);
                (OutputKind::Send(message.kind()), encode(&(to, frame)))
            }
            Effect::Reply { client, message } => {
                let frame = wire::encode(config.domain.epoch, message);
                (OutputKind::Reply, encode(&(client, frame)))
            }
            Effect::Evidence(evidence) => (OutputKind::Evidence, encode(evidence)),
            Effect::Event(event) => (OutputKind::Event, encode(event)),
            Effect::Halt(cause) => (OutputKind::Halt, cause.to_string().into_bytes()),
        };
        Self { kind, digest: Digest::of("quorate 2026-11-27 recorded output", &[&content]) }
    }
}

fn encode(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).expect("a bounded value always encodes into memory")
}
