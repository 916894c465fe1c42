use super::*;
use crate::testing::{config_with, open_session, replica_key, sign};
use crate::{SnapshotPolicy, Start, Stored, Tree};
use pbft::message::{Checkpoint, CheckpointId, Kind, PrePrepare, StableProof, StartId};
use pbft::{
    ClientId, Digest, Incarnation, Message, Now, Parameters, Position, Record, ReplicaId, Sender,
    Signed, Time, View, WallTime, wire,
};
use std::fmt::Write as _;

const GOLDEN_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/recording-2.hex");
const GOLDEN: &str = include_str!("../../tests/golden/recording-2.hex");

fn now(micros: u64) -> Now {
    Now { monotonic: Time::from_micros(micros), wall: WallTime::from_millis(1_000) }
}

/// A state with pages and a large value.
fn state() -> Tree {
    let mut tree = Tree::new();
    for key in 0..200_u32 {
        tree.put(&key.to_be_bytes(), vec![7; 30]);
    }
    tree.put(b"large", vec![8; 3000]);
    tree
}

fn origin_with(snapshot: Option<(SeqNum, Tree)>) -> Start {
    let records = vec![Record::Committed { seq: SeqNum::new(9), digest: Digest::of("test", &[]) }];
    Start {
        config: config_with(Parameters::default()),
        id: ReplicaId::new(2),
        key: replica_key(2),
        boot_id: [5; 16],
        services: crate::Services::default(),
        snapshot_policy: SnapshotPolicy::default(),
        stored: Stored { snapshot, records, journal_bytes: 77, torn_tail: None },
        is_lost: false,
    }
}

/// One entry of every kind that follows the start.
fn entries() -> Vec<Entry> {
    let config = config_with(Parameters::default());
    let request = Message::Request(sign(&config, open_session(1, 3)));
    let frame = wire::encode(config.domain.epoch, &request);
    let digest = Digest::of("test", &[]);
    let id = CheckpointId { state_root: digest, history_root: digest };
    let seq = SeqNum::new(128);
    let inputs = [
        RecordedInput::Message { from: Sender::Client(ClientId::new(1)), frame },
        RecordedInput::Connected(ReplicaId::new(3)),
        RecordedInput::Tick,
        RecordedInput::Durable(Position::new(4)),
        RecordedInput::CheckpointHashed { seq, id },
        RecordedInput::SnapshotDurable { seq },
        RecordedInput::StorageFailed("full".to_owned()),
    ];
    let outputs = [OutputKind::Send(Kind::Prepare), OutputKind::Append, OutputKind::Halt];
    let marks = outputs.map(|kind| OutputMark { kind, digest }).to_vec();
    let input = |(at, input)| [Entry::Input { now: now(at), input }, Entry::Outputs(marks.clone())];
    (2..).zip(inputs).flat_map(input).chain([Entry::End]).collect()
}

fn recording(start: &Start) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes, u64::MAX).unwrap();
    Beginning::of(start, now(1)).write(&mut writer).unwrap();
    writer.write(&Entry::Outputs(Vec::new()).encode()).unwrap();
    entries().iter().for_each(|entry| writer.write(&entry.encode()).unwrap());
    bytes
}

fn start_in(bytes: &[u8], id: u32) -> Result<(Start, Now, Vec<OutputMark>), RecordingError> {
    let mut reader = RecordingReader::new(bytes)?;
    let config = config_with(Parameters::default());
    let (id, key) = (ReplicaId::new(id), replica_key(2));
    read_start(&mut reader, config, id, key, crate::Services::default())
}

/// Reads everything there is.
fn read(bytes: &[u8]) -> Result<Vec<Entry>, RecordingError> {
    let mut reader = RecordingReader::new(bytes)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

#[test]
fn bytes_are_those_of_version_2() {
    let mut text = String::new();
    for line in recording(&origin_with(None)).chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    if std::env::var_os("QUORATE_BLESS").is_some() {
        std::fs::write(GOLDEN_PATH, &text).unwrap();
    }
    assert_eq!(text, GOLDEN);
}

#[test]
fn start_is_read_as_it_was_written() {
    let start = origin_with(Some((SeqNum::new(128), state())));
    let (read, at, outputs) = start_in(&recording(&start), 2).unwrap();
    assert_eq!((at, outputs), (now(1), Vec::new()));
    assert_eq!(read.stored.records, start.stored.records);
    let (seq, tree) = read.stored.snapshot.unwrap();
    assert_eq!((seq, tree.root_digest()), (SeqNum::new(128), state().root_digest()));
    assert_eq!(tree.get(b"large"), Some(&[8; 3000][..]));
    let found = (read.boot_id, read.is_lost, read.stored.journal_bytes, read.snapshot_policy);
    assert_eq!(found, ([5; 16], false, 77, SnapshotPolicy::default()));
}

#[test]
fn recording_of_another_replica_or_of_another_state_is_refused() {
    let bytes = recording(&origin_with(None));
    assert!(matches!(start_in(&bytes, 1), Err(RecordingError::OtherReplica)));
    let mut others = Vec::new();
    let mut writer = RecordingWriter::new(&mut others, u64::MAX).unwrap();
    let written = read(&recording(&origin_with(Some((SeqNum::new(128), state()))))).unwrap();
    for mut entry in written {
        if let Entry::Origin(Origin { snapshot: Some((_, root)), .. }) = &mut entry {
            *root = Digest::of("test", &[]);
        }
        writer.write(&entry.encode()).unwrap();
    }
    assert!(matches!(start_in(&others, 2), Err(RecordingError::OtherState { .. })));
}

#[test]
fn whatever_bit_flips_is_found_and_whatever_end_is_torn_is_left_out() {
    let bytes = recording(&origin_with(None));
    let whole = read(&bytes).unwrap();
    assert!(whole.ends_with(&entries()));
    for end in 16..bytes.len() {
        let some = read(&bytes[..end]).unwrap();
        assert!(some.len() < whole.len() && whole.starts_with(&some));
    }
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        assert!(read(&changed).is_err(), "byte {place}");
    }
}

#[test]
fn length_that_is_not_there_takes_no_memory() {
    for length in [u32::MAX, crate::RECORD_BYTES_MAX as u32] {
        let mut bytes = b"quorate input\0\0\x02".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc32c::crc32c(&length.to_le_bytes()).to_le_bytes());
        bytes.extend([0; 100]);
        match read(&bytes) {
            Err(RecordingError::Damaged { offset: 16 }) => assert_eq!(length, u32::MAX),
            Ok(entries) => assert!(entries.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn message_passes_the_door_again() {
    let config = config_with(Parameters::default());
    let frame = |request| wire::encode(config.domain.epoch, &Message::Request(request));
    let from = Sender::Client(ClientId::new(1));
    let input = RecordedInput::Message { from, frame: frame(sign(&config, open_session(1, 3))) };
    assert_eq!(RecordedInput::of(&config, &input.clone().admit(&config, now(1)).unwrap()), input);
    let input = RecordedInput::Message { from, frame: frame(sign(&config, open_session(2, 3))) };
    assert!(input.admit(&config, now(1)).is_err(), "client 1 does not speak for client 2");
    let stranger = RecordedInput::Connected(ReplicaId::new(4));
    assert!(stranger.admit(&config, now(1)).is_err());
    assert!(RecordedInput::Tick.admit(&config, now(u64::MAX)).is_err());
}

/// What becomes of a start with this on the replica's disk.
fn start_with(record: Record) -> Result<(), RecordingError> {
    let mut start = origin_with(None);
    start.stored.records.push(record);
    start_in(&recording(&start), 2).map(|_| ())
}

#[test]
fn numbers_that_leave_no_room_are_refused() {
    let (seq, view, digest) = (SeqNum::new(u64::MAX), View::new(u64::MAX), Digest::of("test", &[]));
    let id = CheckpointId { state_root: digest, history_root: digest };
    let start = StartId { counter: u64::MAX, boot_id: [1; 16] };
    let incarnation = Incarnation::new(u64::MAX);
    let zero = StartId { counter: 0, ..start };
    let boot = |counter, incarnation| Record::Boot { counter, boot_id: [1; 16], incarnation };
    let config = config_with(Parameters::default());
    let peer_starts = |of: u32, incarnation: Incarnation, ids: &[StartId]| {
        let replica = ReplicaId::new(of);
        let started = |id: &StartId| {
            let body = pbft::message::Start { incarnation, id: *id };
            Signed::sign(&config.domain, &replica_key(1), replica, body)
        };
        Record::PeerStarts { replica, starts: ids.iter().map(started).collect() }
    };
    let entry = |view, seq| PrePrepare { view, seq, digest };
    let one = SeqNum::new(1);
    for record in [
        boot(u64::MAX, Incarnation::ZERO),
        boot(1, incarnation),
        peer_starts(4, Incarnation::ZERO, &[zero]),
        peer_starts(1, incarnation, &[zero]),
        peer_starts(1, Incarnation::ZERO, &[start]),
        peer_starts(1, Incarnation::ZERO, &[zero, start]),
        Record::PrePrepared { entry: entry(view, one), signed: None },
        Record::PrePrepared { entry: entry(View::ZERO, seq), signed: None },
        Record::Prepared(entry(view, one)),
        Record::Prepared(entry(View::ZERO, seq)),
        Record::Committed { seq, digest },
        Record::Stable { seq, id, proof: StableProof::default() },
        Record::Stable { seq: one, id, proof: StableProof::default() },
        Record::StateInstalled { seq, id },
        Record::StateInstalled { seq: one, id },
        Record::Rejoined(incarnation),
    ] {
        let refused = start_with(record.clone());
        assert!(matches!(refused, Err(RecordingError::OutOfRange)), "{record:?}: {refused:?}");
    }
    for record in [
        boot(1, Incarnation::ZERO),
        peer_starts(1, Incarnation::ZERO, &[zero]),
        Record::Prepared(entry(View::MAX, SeqNum::MAX)),
        Record::Stable { seq: SeqNum::ZERO, id, proof: StableProof::default() },
        Record::StateInstalled { seq: SeqNum::new(128), id },
    ] {
        start_with(record).unwrap();
    }
}

#[test]
fn origin_that_leaves_no_room_is_refused() {
    let mut start = origin_with(None);
    start.stored.journal_bytes = u64::MAX;
    assert!(matches!(start_in(&recording(&start), 2), Err(RecordingError::OutOfRange)));
    for seq in [1, u64::MAX] {
        let start = origin_with(Some((SeqNum::new(seq), state())));
        assert!(matches!(start_in(&recording(&start), 2), Err(RecordingError::OutOfRange)));
    }
}

#[test]
fn records_pass_the_door_again() {
    let config = config_with(Parameters::default());
    let checkpoint = Checkpoint {
        seq: SeqNum::new(128),
        id: CheckpointId { state_root: Digest::of("a", &[]), history_root: Digest::of("b", &[]) },
        replica: ReplicaId::new(2),
    };
    let sign = |id| Signed::sign(&config.domain, &replica_key(id), ReplicaId::new(2), checkpoint);
    start_with(Record::Checkpoint(sign(2))).unwrap();
    let forged = start_with(Record::Checkpoint(sign(1)));
    assert!(matches!(forged, Err(RecordingError::Refused(Reject::BadSignature))), "{forged:?}");
}
