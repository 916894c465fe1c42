use super::*;
use pbft::{Digest, Domain, Epoch, Parameters, ReplicaId, SigningKey};
use quorate_replica::recording::RecordingReader;
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

    fn entries(&self) -> Vec<Entry> {
        let content = self.content.lock().unwrap();
        let mut reader = RecordingReader::new(content.as_slice()).unwrap();
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }

    fn inputs(&self) -> usize {
        self.entries().iter().filter(|entry| matches!(entry, Entry::Input { .. })).count()
    }

    fn has_end(&self) -> bool {
        self.entries().last() == Some(&Entry::End)
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

/// Long enough for any machine that works, and for one that does not a moment.
const PATIENT: Waits = Waits { beginning: Duration::from_secs(60), end: Duration::from_secs(60) };
const IMPATIENT: Waits =
    Waits { beginning: Duration::from_millis(1), end: Duration::from_millis(1) };

fn recorder(disk: &Disk, bytes_max: u64) -> Recorder {
    let writer = RecordingWriter::new(disk.clone(), bytes_max).unwrap();
    Recorder::spawn(config(), PATIENT, || Ok((writer, PathBuf::from("inputs")))).unwrap()
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
    recorder.finish();
    assert_eq!(disk.inputs(), 1000);
    assert!(disk.has_end());
}

#[test]
fn recording_of_a_thread_that_panicked_has_no_end() {
    let disk = Disk::with_room(usize::MAX);
    let recorder = recorder(&disk, u64::MAX);
    recorder.input(Now::default(), &connected());
    drop(recorder);
    assert_eq!(disk.inputs(), 1);
    assert!(!disk.has_end());
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
    recorder.finish();
    assert!(!disk.has_end());
    assert!((1..=given).contains(&disk.inputs()), "what had room is a recording");
}

#[test]
fn recording_ends_at_its_limit() {
    let disk = Disk::with_room(usize::MAX);
    let recorder = recorder(&disk, 1000);
    record_to_the_end(&recorder);
    recorder.finish();
    assert!(!disk.has_end());
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
    recorder.finish();
    assert_eq!(disk.inputs(), fits - 1, "all but the one for which there was no room");
    assert!(!disk.has_end());
}

#[test]
fn disk_that_hangs_holds_no_end_up() {
    let disk = Disk::with_room(usize::MAX);
    let mut recorder = recorder(&disk, u64::MAX);
    recorder.waits = IMPATIENT;
    let held = disk.content.lock().unwrap();
    recorder.input(Now::default(), &connected());
    recorder.finish();
    drop(held);
}

#[test]
fn disk_that_hangs_holds_no_start_up_and_keeps_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inputs-0");
    let (disk, (go_on, hangs)) = (Disk::with_room(usize::MAX), mpsc::channel::<()>());
    let (begun, made) = (disk.clone(), path.clone());
    let recorder = Recorder::spawn(config(), IMPATIENT, move || {
        fs::write(&made, "begun")?;
        // Closed once nobody waits any more.
        let _ = hangs.recv();
        Ok((RecordingWriter::new(begun, u64::MAX)?, made))
    });
    assert!(recorder.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
    drop(go_on);
    // The thread holds the disk as long as it runs.
    while Arc::strong_count(&disk.content) > 1 {
        std::thread::yield_now();
    }
    assert!(!path.exists());
}
