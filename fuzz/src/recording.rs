//! A recording that need not be of any replica.

mod life;

use crate::host::{BOOT_ID, split_frame};
use crate::script::Script;
use crate::{CONFIG, admitted};
use life::Life;
use pbft::message::{Answer, HelloReply, Remembered};
use pbft::{Incarnation, Message, Now, ReplicaId, Sender, SigningKey, Time, Verified, WallTime};
use quorate_lab::replay::replay;
use quorate_replica::recording::{
    Beginning, Entry, RecordingError, RecordingReader, RecordingWriter, read_start,
};
use quorate_replica::{CheckpointState, HostInput, Services, SnapshotPolicy, Start, Stored};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Which replica is made to start from it.
const REPLAYED: u32 = 1;

/// How a recording was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// Nothing starts from it.
    Refused,
    /// It was replayed and went another way.
    Diverged,
    /// It was replayed up to where it was cut.
    Cut,
    /// It was replayed to its end.
    Identical,
    /// A replica started from it and took its inputs.
    Lived,
    /// As that, and the replica stopped for good.
    Halted,
}

/// Entries one after the other, each behind two bytes of length, which get right checksums. With an
/// even first byte the recording is replayed as it is. With an odd one a replica takes its inputs
/// whatever it says that they led to, and each thing the replica asks for is done at once: whoever
/// forges a recording can make its outputs right. Nothing panics.
pub fn recording(data: &[u8]) -> Option<Taken> {
    let mut script = Script::new(data);
    let is_replayed = script.byte()?.is_multiple_of(2);
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes, u64::MAX).expect("memory has room");
    while let Some(length) = script.short() {
        let entry = script.bytes(usize::from(length));
        writer.write(entry).expect("it is short, and memory has room");
    }
    Some(if is_replayed { replayed(&bytes) } else { lived(&bytes).unwrap_or(Taken::Refused) })
}

/// Entries as [`recording`] reads them.
pub fn recording_script(is_replayed: bool, entries: &[Entry]) -> Vec<u8> {
    let mut script = vec![u8::from(!is_replayed)];
    for entry in entries {
        let entry = entry.encode();
        let length = u16::try_from(entry.len()).expect("a seed has short entries");
        script.extend(length.to_le_bytes());
        script.extend(entry);
    }
    script
}

/// What is recorded of a replica that starts from this and is sent what a script of
/// [`replica`](crate::replica) says; and the last state of which it made a checkpoint.
/// Of a start that the replica refuses there is no more than what it would have started from.
pub fn recording_of(stored: Stored, script: &[u8]) -> (Vec<Entry>, Option<CheckpointState>) {
    let start = Start {
        config: Arc::clone(&CONFIG),
        id: ReplicaId::new(REPLAYED),
        key: key(),
        boot_id: BOOT_ID,
        services: Services::default(),
        snapshot_policy: SnapshotPolicy { journal_bytes: 0, ..SnapshotPolicy::default() },
        stored,
        is_lost: false,
    };
    let mut clock = Now { monotonic: Time::from_micros(1_000_000), wall: WallTime::default() };
    let beginning = beginning(&start, clock);
    let Ok(mut life) = Life::start(start, clock) else { return (beginning, None) };
    // Each is asked again, in another round, once enough have answered [RJ1].
    for (round, peer) in (0..=2).flat_map(|round| [0, 2, 3].map(|peer| (round, peer))) {
        life.take(clock, HostInput::Message(greeting(peer, round)));
    }
    let mut rest = script;
    while let Some((frame, tail)) = split_frame(rest) {
        rest = tail;
        let spent = if frame.len() == 1 { u64::from(frame[0]) } else { 0 };
        clock.monotonic = clock.monotonic.after(Duration::from_millis(spent));
        clock.wall = WallTime::from_millis(clock.monotonic.as_micros() / 1000);
        match admitted(&CONFIG, &frame) {
            Some(verified) => life.take(clock, HostInput::Message(verified)),
            None => life.take(clock, HostInput::Tick),
        }
    }
    let entries = beginning.into_iter().chain(life.entries).chain([Entry::End]);
    (entries.collect(), life.last_checkpoint)
}

/// The entries of what a replica starts from.
fn beginning(start: &Start, now: Now) -> Vec<Entry> {
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes, u64::MAX).expect("memory has room");
    Beginning::of(start, now).write(&mut writer).expect("memory has room");
    let mut reader = RecordingReader::new(bytes.as_slice()).expect("it was just written");
    std::iter::from_fn(|| reader.next_entry().expect("it was just written")).collect()
}

/// The answer of a peer that knows nothing against the replica.
fn greeting(peer: u32, round: u64) -> Verified {
    let (incarnation, seen, others) = (Incarnation::ZERO, Vec::new(), Vec::new());
    let answer = Answer::Starts(Remembered {
        incarnation,
        seen,
        others,
        is_confirmed: true,
        by: [7; 16],
        round,
    });
    let reply = HelloReply { boot_id: BOOT_ID, answer };
    let admitted = CONFIG.admit(Sender::Replica(ReplicaId::new(peer)), Message::HelloReply(reply));
    admitted.expect("HELLO-REPLY passes the door")
}

/// A replica starts from a recording and takes its inputs, but for the answers to what it asked.
fn lived(bytes: &[u8]) -> Result<Taken, RecordingError> {
    let mut reader = RecordingReader::new(bytes)?;
    let id = ReplicaId::new(REPLAYED);
    let (start, now, _) =
        read_start(&mut reader, Arc::clone(&CONFIG), id, key(), Services::default())?;
    let Ok(mut life) = Life::start(start, now) else { return Ok(Taken::Refused) };
    while let Some(entry) = reader.next_entry()? {
        let Entry::Input { now, input } = entry else { continue };
        let Ok(input) = input.admit(&CONFIG, now) else { continue };
        match input {
            HostInput::Message(_) | HostInput::Connected(_) | HostInput::Tick => {
                life.take(now, input);
            }
            _ => {}
        }
    }
    let is_halted = life.host.status().halted.is_some();
    Ok(if is_halted { Taken::Halted } else { Taken::Lived })
}

fn key() -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([REPLAYED as u8 + 1; 32]))
}

fn replayed(bytes: &[u8]) -> Taken {
    let id = ReplicaId::new(REPLAYED);
    match replay(bytes, &CONFIG, id, key(), Services::default()) {
        Err(_) => Taken::Refused,
        Ok(replayed) if replayed.divergence.is_some() => Taken::Diverged,
        Ok(replayed) if replayed.is_cut => Taken::Cut,
        Ok(_) => Taken::Identical,
    }
}
