//! A recording of a real replica, given to a fresh one: each input must lead to the outputs that
//! it led to then, and each checkpoint to the same state.
//!
//! [`crate::record`] is something else: what a laboratory counts and judges a run by.

mod words;

use crate::report::wording;
use pbft::{Config, Now, Position, ReplicaId, SeqNum, SigningKey, View};
use quorate_replica::recording::{Entry, OutputMark, RecordedInput, RecordingReader, read_start};
use quorate_replica::{CheckpointState, Effect, Host, HostInput, JournalTask, Services};
use std::fmt;
use std::io::Read;
use std::sync::Arc;

pub use quorate_replica::recording::{RecordingError, is_recording};

/// How a replay went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Records of the journal that the replica started from.
    pub records_recovered: usize,
    /// The checkpoint that it started from.
    pub started_at: SeqNum,
    /// Inputs given.
    pub inputs: u64,
    /// Outputs found equal.
    pub outputs_compared: u64,
    /// Checkpoints whose states were found equal.
    pub checkpoints_compared: u64,
    /// The view in which it ended.
    pub view: View,
    /// The last number that it executed.
    pub last_executed: SeqNum,
    /// Whether the recording has no end, so that nobody knows what the replica did next.
    pub is_cut: bool,
    /// Where it went another way than then, if it did.
    pub divergence: Option<Divergence>,
}

/// The first place where a replay went another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// At which input, counted from 1; 0 is the start.
    pub input: u64,
    /// What the input is.
    pub what: String,
    /// What the recording has.
    pub recorded: String,
    /// What happened now.
    pub replayed: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, what, recorded, replayed } = self;
        write!(f, "input {input}: {what}: the recording has {recorded}, now it is {replayed}")
    }
}

/// Gives a recording to a fresh replica and stops where it goes another way.
///
/// # Errors
/// If there is nothing to be given: it is no recording, another replica's, or its start is damaged.
/// Damage behind the start is a divergence.
pub fn replay(
    recording: impl Read,
    config: &Arc<Config>,
    id: ReplicaId,
    key: SigningKey,
    services: Services,
) -> Result<Replayed, RecordingError> {
    let mut reader = RecordingReader::new(recording)?;
    let (start, now, outputs) = read_start(&mut reader, Arc::clone(config), id, key, services)?;
    let records_recovered = start.stored.records.len();
    let started_at = start.stored.snapshot.as_ref().map_or(SeqNum::ZERO, |(seq, _)| *seq);
    let mut effects = Vec::new();
    let host = Host::start(start, now, &mut effects)?;
    let mut replica = Replica {
        config: Arc::clone(config),
        host,
        effects,
        asked: Asked::default(),
        what: "the start".to_owned(),
        inputs: 0,
        outputs_compared: 0,
        checkpoints_compared: 0,
    };
    let followed = replica.compare(&outputs).and_then(|()| replica.follow(&mut reader));
    let is_cut = followed == Ok(Followed::ToTheCut);
    let divergence = followed.err().map(|(recorded, replayed)| Divergence {
        input: replica.inputs,
        what: replica.what.clone(),
        recorded,
        replayed,
    });
    let status = replica.host.status().replica;
    Ok(Replayed {
        records_recovered,
        started_at,
        inputs: replica.inputs,
        outputs_compared: replica.outputs_compared,
        checkpoints_compared: replica.checkpoints_compared,
        view: status.view,
        last_executed: status.last_executed,
        is_cut,
        divergence,
    })
}

/// The two sides of a divergence: what the recording has and what happens now.
type Sides = (String, String);

/// How far a replica could be followed that went no other way.
#[derive(PartialEq, Eq)]
enum Followed {
    /// Until it was stopped.
    ToTheEnd,
    /// Until nothing more was recorded: the process was killed, or the recording ended before it.
    ToTheCut,
}

/// The replica that the recording is given to.
struct Replica {
    config: Arc<Config>,
    host: Host,
    /// What the last input led to.
    effects: Vec<Effect>,
    asked: Asked,
    /// The last input.
    what: String,
    inputs: u64,
    outputs_compared: u64,
    checkpoints_compared: u64,
}

/// What the replica has asked for and was not answered yet. An answer to nothing is never given to
/// it.
#[derive(Default)]
struct Asked {
    appended: Position,
    durable: Position,
    snapshot: Option<SeqNum>,
    hashes: Vec<CheckpointState>,
}

impl Replica {
    /// Gives it every input, until the recording ends or goes another way.
    fn follow<R: Read>(&mut self, reader: &mut RecordingReader<R>) -> Result<Followed, Sides> {
        let mut is_answered = true;
        loop {
            match reader.next_entry() {
                Ok(None) => return Ok(Followed::ToTheCut),
                Ok(Some(Entry::End)) if is_answered => return ended(reader),
                Ok(Some(Entry::Input { now, input })) if is_answered => {
                    self.inputs += 1;
                    self.what = words::input(&self.config, &input);
                    self.take(now, input)?;
                    is_answered = false;
                }
                Ok(Some(Entry::Outputs(outputs))) if !is_answered => {
                    self.compare(&outputs)?;
                    is_answered = true;
                }
                Ok(Some(_)) => {
                    let disorder = RecordingError::Disorder("inputs and outputs take turns");
                    return Err((disorder.to_string(), "nothing".to_owned()));
                }
                Err(error) => return Err(unreadable(&error)),
            }
        }
    }

    fn take(&mut self, now: Now, input: RecordedInput) -> Result<(), Sides> {
        let input = input.admit(&self.config, now).map_err(|reason| {
            ("a message that was believed".to_owned(), format!("refused: {reason}"))
        })?;
        if self.asked.answer(&input)? {
            self.checkpoints_compared += 1;
        }
        self.host.handle(now, input, &mut self.effects);
        Ok(())
    }

    /// Compares what the last input led to.
    fn compare(&mut self, recorded: &[OutputMark]) -> Result<(), Sides> {
        let effects = std::mem::take(&mut self.effects);
        for index in 0..effects.len().max(recorded.len()) {
            let (then, now) = (recorded.get(index), effects.get(index));
            let mark = now.map(|effect| OutputMark::of(&self.config, effect));
            if then != mark.as_ref() {
                let side = |mark: Option<&OutputMark>| {
                    mark.map_or_else(|| "nothing".to_owned(), words::output)
                };
                let place = format!("output {} ", index + 1);
                return Err((place + &side(then), side(mark.as_ref())));
            }
            self.outputs_compared += 1;
        }
        effects.into_iter().for_each(|effect| self.asked.note(effect));
        Ok(())
    }
}

/// What is behind the end of a recording: nothing.
fn ended<R: Read>(reader: &mut RecordingReader<R>) -> Result<Followed, Sides> {
    match reader.next_entry() {
        Ok(None) => Ok(Followed::ToTheEnd),
        Ok(Some(_)) => Err(("more behind its end".to_owned(), "nothing".to_owned())),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &RecordingError) -> Sides {
    (format!("nothing behind it: {error}"), "-".to_owned())
}

impl Asked {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Journal(JournalTask::Append { position, .. }) => self.appended = position,
            Effect::WriteSnapshot(state) => self.snapshot = Some(state.seq()),
            Effect::HashCheckpoint(state) => self.hashes.push(state),
            _ => {}
        }
    }

    /// Checks that an input that answers something answers what was asked. Returns whether it is
    /// the digest of a checkpoint, which then is the same.
    fn answer(&mut self, input: &HostInput) -> Result<bool, Sides> {
        let unasked = || ("an answer".to_owned(), "no question".to_owned());
        match input {
            HostInput::Durable(position)
                if *position < self.durable || *position > self.appended =>
            {
                Err(unasked())
            }
            HostInput::Durable(position) => {
                self.durable = *position;
                Ok(false)
            }
            HostInput::SnapshotDurable { seq } => {
                self.snapshot.take_if(|asked| asked == seq).map(|_| false).ok_or_else(unasked)
            }
            HostInput::CheckpointHashed { seq, id } => {
                let asked = self.hashes.iter().position(|state| state.seq() == *seq);
                let state = self.hashes.remove(asked.ok_or_else(unasked)?);
                let found = state.id();
                if found != *id {
                    return Err((wording::state(id), wording::state(&found)));
                }
                Ok(true)
            }
            HostInput::Message(_)
            | HostInput::Connected(_)
            | HostInput::Tick
            | HostInput::StorageFailed(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
