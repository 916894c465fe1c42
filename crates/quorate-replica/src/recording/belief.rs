//! What a replica is made to start from by a recording that need not be its own: nothing that no
//! replica can have on its disk. Numbers leave room for what follows them, and what was signed or
//! came in by the door passes it again.

use super::{Origin, RecordingError};
use pbft::message::{Hello, Introduction, PrePrepare, Question, Start, StartId};
use pbft::wire::WIRE_VERSION;
use pbft::{Config, Incarnation, Message, Now, Record, ReplicaId, Sender, SeqNum, Signed, View};
use std::sync::Arc;

/// No start, incarnation, length or clock is above it: they leave as much room as numbers do.
const COUNT_MAX: u64 = SeqNum::MAX.get();

pub(super) fn check_origin(config: &Config, origin: &Origin) -> Result<(), RecordingError> {
    check_clocks(origin.now)?;
    check_count(origin.snapshot_policy.0.max(origin.journal_bytes))?;
    origin.snapshot.map_or(Ok(()), |(seq, _)| check_checkpoint(config, seq))
}

pub(super) fn check_clocks(now: Now) -> Result<(), RecordingError> {
    check_count(now.monotonic.as_micros().max(now.wall.as_millis()))
}

pub(super) fn check_record(
    config: &Config,
    own: ReplicaId,
    record: &Record,
) -> Result<(), RecordingError> {
    let passes_from = |sender, message| {
        let admitted = config.admit(Sender::Replica(sender), message);
        admitted.map(|_| ()).map_err(RecordingError::Refused)
    };
    let passes = |message| passes_from(own, message);
    match record {
        Record::Boot { counter, boot_id: _, incarnation } => {
            check_count(*counter)?;
            check_incarnation(*incarnation)
        }
        Record::PeerStarts { replica, starts } => {
            if replica.get() >= config.replica_count() {
                return Err(RecordingError::OutOfRange);
            }
            starts.iter().try_for_each(|start| {
                check_incarnation(start.body.incarnation)?;
                check_start(&start.body.id)?;
                passes_from(*replica, introduction(config, *start))
            })
        }
        Record::Batch(batch) => passes(Message::Batch(Arc::clone(batch))),
        Record::PrePrepared { entry, signed } => {
            check_entry(entry)?;
            signed.map_or(Ok(()), |signed| passes(Message::PrePrepareSeen(signed)))
        }
        Record::Prepared(entry) => check_entry(entry),
        Record::Committed { seq, digest: _ } => check_seq(*seq),
        Record::Checkpoint(signed) => passes(Message::Checkpoint(*signed)),
        Record::Stable { seq, id: _, proof } => {
            check_checkpoint(config, *seq)?;
            let is_first = *seq == SeqNum::ZERO && proof.is_empty();
            if is_first { Ok(()) } else { passes(Message::Stable(Arc::clone(proof))) }
        }
        Record::ViewChange(signed) => passes(Message::ViewChange(Arc::clone(signed))),
        Record::NewView(proof) => passes(Message::NewView(Arc::clone(proof))),
        Record::StateInstalled { seq, id: _ } => check_checkpoint(config, *seq),
        Record::Amnesiac => Ok(()),
        Record::Rejoined(incarnation) => check_incarnation(*incarnation),
    }
}

/// The message that a start comes with.
fn introduction(config: &Config, start: Signed<Start>) -> Message {
    let introduction = Introduction { start, knows: Vec::new(), round: 0, takes_over: false };
    Message::Hello(Hello {
        config: config.digest,
        versions: (WIRE_VERSION, WIRE_VERSION),
        key_epoch: 0,
        question: Question::Admission(introduction),
    })
}

fn check_entry(entry: &PrePrepare) -> Result<(), RecordingError> {
    check_seq(entry.seq)?;
    if entry.view > View::MAX { Err(RecordingError::OutOfRange) } else { Ok(()) }
}

fn check_checkpoint(config: &Config, seq: SeqNum) -> Result<(), RecordingError> {
    check_seq(seq)?;
    if config.is_checkpoint(seq) { Ok(()) } else { Err(RecordingError::OutOfRange) }
}

fn check_seq(seq: SeqNum) -> Result<(), RecordingError> {
    check_count(seq.get())
}

fn check_start(start: &StartId) -> Result<(), RecordingError> {
    check_count(start.counter)
}

fn check_incarnation(incarnation: Incarnation) -> Result<(), RecordingError> {
    check_count(incarnation.get())
}

fn check_count(count: u64) -> Result<(), RecordingError> {
    if count > COUNT_MAX { Err(RecordingError::OutOfRange) } else { Ok(()) }
}
