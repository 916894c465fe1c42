use super::*;
use pbft::message::CheckpointId;
use pbft::{Digest, Domain, Epoch, Parameters, Time};
use quorate_replica::recording::{Beginning, OutputKind, RecordingWriter};
use quorate_replica::{SnapshotPolicy, Start, Stored};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32].into())
}

fn config() -> Arc<Config> {
    let domain = Domain { cluster: Digest::of("test", &[]), epoch: Epoch::ZERO };
    let replicas = (0..4).map(|id| key(id + 1).verification_key()).collect();
    let digest = Digest::of("test configuration", &[]);
    let clients = vec![key(100).verification_key()];
    Arc::new(Config::new(domain, digest, replicas, clients, Parameters::default()).expect("valid"))
}

fn at(millis: u64) -> Now {
    Now { monotonic: Time::from_micros(millis * 1000), ..Now::default() }
}

/// What a replica records that starts, writes its first records and says hello, twice.
fn recorded() -> Vec<Entry> {
    let config = config();
    let start = Start {
        config: Arc::clone(&config),
        id: ReplicaId::new(1),
        key: key(2),
        boot_id: [9; 16],
        services: Services::default(),
        snapshot_policy: SnapshotPolicy::default(),
        stored: Stored::default(),
        is_lost: false,
    };
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes, u64::MAX).expect("memory");
    Beginning::of(&start, at(0)).write(&mut writer).expect("memory");
    let mut reader = RecordingReader::new(bytes.as_slice()).expect("just written");
    let mut entries = vec![reader.next_entry().expect("just written").expect("an origin")];
    let mut effects = Vec::new();
    let mut host = Host::start(start, at(0), &mut effects).expect("an empty disk");
    let marks = |effects: &mut Vec<Effect>| {
        Entry::Outputs(effects.drain(..).map(|e| OutputMark::of(&config, &e)).collect())
    };
    entries.push(marks(&mut effects));
    let inputs = [
        HostInput::Durable(Position::new(1)),
        HostInput::Connected(ReplicaId::new(0)),
        HostInput::Tick,
        HostInput::StorageFailed("full".to_owned()),
    ];
    for (millis, input) in (1..).zip(inputs) {
        let now = at(millis * 1000);
        entries.push(Entry::Input { now, input: RecordedInput::of(&config, &input) });
        host.handle(now, input, &mut effects);
        entries.push(marks(&mut effects));
    }
    entries.push(Entry::End);
    entries
}

fn replay_of(entries: &[Entry]) -> Replayed {
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes, u64::MAX).expect("memory");
    entries.iter().for_each(|entry| writer.write(&entry.encode()).expect("memory"));
    let id = ReplicaId::new(1);
    replay(bytes.as_slice(), &config(), id, key(2), Services::default()).expect("a recording")
}

fn divergence(entries: &[Entry]) -> Divergence {
    replay_of(entries).divergence.expect("it goes another way")
}

/// The recording with another entry in the place of one.
fn with(index: usize, entry: Entry) -> Vec<Entry> {
    let mut entries = recorded();
    entries[index] = entry;
    entries
}

#[test]
fn the_same_happens_again() {
    let replayed = replay_of(&recorded());
    assert_eq!((replayed.divergence.as_ref(), replayed.is_cut), (None, false));
    assert_eq!(replayed.inputs, 4);
    assert!(replayed.outputs_compared > 4, "{replayed:?}");
}

#[test]
fn recording_without_its_end_says_so() {
    let whole = recorded();
    for length in 2..whole.len() {
        let replayed = replay_of(&whole[..length]);
        assert_eq!((replayed.divergence, replayed.is_cut), (None, true), "{length} entries");
    }
    let longer = [whole.as_slice(), &[Entry::End]].concat();
    assert!(divergence(&longer).recorded.contains("more behind its end"));
    let unanswered = [&whole[..3], &[Entry::End]].concat();
    assert!(divergence(&unanswered).recorded.contains("take turns"));
}

#[test]
fn another_output_is_found_with_both_sides() {
    for (index, entry) in recorded().into_iter().enumerate() {
        let Entry::Outputs(marks) = entry else { continue };
        for changed in 0..marks.len() {
            let mut marks = marks.clone();
            marks[changed].digest = Digest::of("another", &[]);
            let found = divergence(&with(index, Entry::Outputs(marks)));
            assert_eq!(found.input as usize, (index - 1) / 2);
            assert!(found.recorded.starts_with(&format!("output {} ", changed + 1)), "{found}");
            assert!(found.to_string().contains(&found.replayed), "{found}");
        }
        let extra = OutputMark { kind: OutputKind::Reply, digest: Digest::of("another", &[]) };
        let longer = [marks.as_slice(), &[extra]].concat();
        assert_eq!(divergence(&with(index, Entry::Outputs(longer))).replayed, "nothing");
    }
}

#[test]
fn another_input_is_found() {
    let tick = |millis, input| Entry::Input { now: at(millis), input };
    // What is durable lets nothing go yet: that it is missing shows where a peer is greeted.
    let found = divergence(&with(2, tick(1000, RecordedInput::Tick)));
    assert_eq!((found.input, found.what.as_str()), (2, "a link with replica 0"));
    let found = divergence(&with(4, tick(2000, RecordedInput::Connected(ReplicaId::new(2)))));
    assert_eq!(found.input, 2);
}

#[test]
fn what_no_replica_was_given_is_not_given() {
    let digest = Digest::of("test", &[]);
    let id = CheckpointId { state_root: digest, history_root: digest };
    let seq = SeqNum::new(128);
    for input in [
        RecordedInput::Durable(Position::new(u64::MAX)),
        RecordedInput::SnapshotDurable { seq },
        RecordedInput::CheckpointHashed { seq, id },
        RecordedInput::Connected(ReplicaId::new(77)),
        RecordedInput::Message { from: pbft::Sender::Replica(ReplicaId::new(0)), frame: vec![1] },
    ] {
        assert_eq!(divergence(&with(2, Entry::Input { now: at(1000), input })).input, 1);
    }
    let twice = with(3, Entry::Input { now: at(1000), input: RecordedInput::Tick });
    assert!(divergence(&twice).recorded.contains("take turns"));
}
