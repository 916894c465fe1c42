use super::*;
use pbft::{Digest, Domain, Epoch, Parameters, ReplicaId, SigningKey};
use quorate_replica::recording::RecordingReader;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

fn config() -> Arc<Config> {
    let key = |seed| SigningKey::from_seed(zeroize::Zeroizing::new([seed; 32])).verification_key();
    let domain = Domain { cluster: Digest::of("test", &[]), epoch: Epoch::ZERO };
    let (replicas, clients) = ((1..=4).map(key).collect(), vec![key(100)]);
    let digest = Digest::of("test configuration", &[]);
    Arc::new(Config::new(domain, digest, replicas, clients, Parameters::default()).unwrap())
}

/// A file whose disk has room for so many bytes.
#[derive(Clone)]
struct Disk {
    content: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Disk {
    fn with_room(room: usize) -> Self {
        Self { content: Arc::default(), room }
    }

    fn inputs(&self) -> usize {
        let content = self.content.lock().unwrap();
        let mut reader = RecordingReader::new(content.as_slice()).unwrap();
        let mut count = 0;
        while let Some(entry) = reader.next_entry().unwrap() {
            count += usize::from(matches!(entry, Entry::Input { .. }));
        }
        count
    }
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.content.lock().unwrap();
        let room = self.room.saturating_sub(content.len()).min(bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.extend(&bytes[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn recorder(disk: &Disk, bytes_max: u64) -> Recorder {
    let writer = RecordingWriter::new(disk.clone(), bytes_max).unwrap();
    Recorder::spawn(config(), writer, PathBuf::from("inputs")).unwrap()
}

fn connected() -> HostInput {
    HostInput::Connected(ReplicaId::new(1))
}

#[test]
fn everything_recorded_is_written_when_the_recorder_goes() {
    let disk = Disk::with_room(usize::MAX);
    let recorder = recorder(&disk, u64::MAX);
    for _ in 0..1000 {
        recorder.input(Now::default(), &connected());
        recorder.outputs(&[]);
    }
    drop(recorder);
    assert_eq!(disk.inputs(), 1000);
}

/// Records until the recording has ended by itself, and returns how much that was.
fn record_to_the_end(recorder: &Recorder) -> usize {
    let mut count = 0;
    while recorder.goes_on() {
        recorder.input(Now::default(), &connected());
        count += 1;
    }
    count
}

#[test]
fn full_disk_ends_the_recording_and_nothing_else() {
    let disk = Disk::with_room(1000);
    let recorder = recorder(&disk, u64::MAX);
    let given = record_to_the_end(&recorder);
    recorder.input(Now::default(), &connected());
    drop(recorder);
    assert!((1..=given).contains(&disk.inputs()), "what had room is a recording");
}

#[test]
fn recording_ends_at_its_limit() {
    let disk = Disk::with_room(usize::MAX);
    let recorder = recorder(&disk, 1000);
    record_to_the_end(&recorder);
    drop(recorder);
    assert!(disk.content.lock().unwrap().len() <= 1000);
    assert!(disk.inputs() > 0);
}

#[test]
fn slow_disk_ends_the_recording_and_holds_nobody_up() {
    let disk = Disk::with_room(usize::MAX);
    let recorder = recorder(&disk, u64::MAX);
    let held = disk.content.lock().unwrap();
    let fits = record_to_the_end(&recorder);
    drop(held);
    drop(recorder);
    assert_eq!(disk.inputs(), fits - 1, "all but the one for which there was no room");
}

#[test]
fn each_start_has_a_file_of_its_own_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("recordings");
    let names = [create(&folder).unwrap().1, create(&folder).unwrap().1];
    assert_eq!(names, [folder.join("inputs-0"), folder.join("inputs-1")]);
    let mode = fs::metadata(&names[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
