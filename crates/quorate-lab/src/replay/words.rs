//! What was recorded and what happens now, in words.

use crate::report::wording::state;
use pbft::{Config, Sender, wire};
use quorate_replica::recording::{OutputKind, OutputMark, RecordedInput};

/// An input in a few words.
pub(super) fn input(config: &Config, input: &RecordedInput) -> String {
    match input {
        RecordedInput::Message { from, frame } => {
            let message = wire::decode(config.domain.epoch, frame);
            let kind = message.map_or("something undecodable", |message| message.kind().name());
            let from = match from {
                Sender::Replica(id) => format!("replica {id}"),
                Sender::Client(id) => format!("client {id}"),
            };
            format!("{kind} of {from}")
        }
        RecordedInput::Connected(peer) => format!("a link with replica {peer}"),
        RecordedInput::Tick => "time passing".to_owned(),
        RecordedInput::Durable(position) => format!("durable up to position {position}"),
        RecordedInput::CheckpointHashed { seq, id } => format!("checkpoint {seq}: {}", state(id)),
        RecordedInput::SnapshotDurable { seq } => format!("snapshot {seq} is durable"),
        RecordedInput::StorageFailed(error) => format!("the disk failed: {error}"),
    }
}

/// An output in a few words.
pub(super) fn output(mark: &OutputMark) -> String {
    let OutputMark { kind, digest } = mark;
    let what = match kind {
        OutputKind::Append => "records for the journal",
        OutputKind::Rotate => "a new segment of the journal",
        OutputKind::DropOldSegments => "old segments of the journal dropped",
        OutputKind::WriteSnapshot => "a snapshot",
        OutputKind::HashCheckpoint => "a checkpoint to be hashed",
        OutputKind::Send(kind) => return format!("{} sent, {digest}", kind.name()),
        OutputKind::Reply => "REPLY",
        OutputKind::Evidence => "evidence",
        OutputKind::Event => "an event",
        OutputKind::Halt => "a stop",
    };
    format!("{what}, {digest}")
}
