use super::*;
use pbft::{Config, Digest, Domain, Epoch, Now, Parameters, ReplicaId, SigningKey};
use quorate_replica::recording::{Entry, RecordingReader};
use quorate_replica::{Services, SnapshotPolicy, Start, Stored};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

fn beginning() -> Beginning {
    let key = |seed| SigningKey::from_seed(zeroize::Zeroizing::new([seed; 32]));
    let domain = Domain { cluster: Digest::of("test", &[]), epoch: Epoch::ZERO };
    let replicas = (1..=4).map(|seed| key(seed).verification_key()).collect();
    let digest = Digest::of("test configuration", &[]);
    let clients = vec![key(100).verification_key()];
    let config = Config::new(domain, digest, replicas, clients, Parameters::default()).unwrap();
    let start = Start {
        config: Arc::new(config),
        id: ReplicaId::new(0),
        key: key(1),
        boot_id: [9; 16],
        services: Services::default(),
        snapshot_policy: SnapshotPolicy::default(),
        stored: Stored::default(),
        is_lost: false,
    };
    Beginning::of(&start, Now::default())
}

const LIMITS: Limits = Limits { recordings: 4096, reserve: 0 };

/// How long the file is that was begun.
fn begun(limits: Limits, folder: &Path) -> io::Result<u64> {
    let (_, path) = begin_within(limits, folder, beginning())?;
    Ok(fs::metadata(path)?.len())
}

fn file_count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn each_start_has_a_file_of_its_own_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("recordings");
    let names = [(); 2].map(|()| begin_within(LIMITS, &folder, beginning()).unwrap().1);
    assert_eq!(names, [folder.join("inputs-0"), folder.join("inputs-1")]);
    let mode = fs::metadata(&names[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut reader = RecordingReader::new(File::open(&names[1]).unwrap()).unwrap();
    assert!(matches!(reader.next_entry(), Ok(Some(Entry::Origin(_)))));
}

#[test]
fn recordings_of_all_starts_share_their_room_and_what_does_not_fit_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let length = begun(LIMITS, folder.path()).unwrap();
    let limits = |recordings| Limits { recordings, reserve: 0 };
    assert_eq!(begun(limits(2 * length), folder.path()).unwrap(), length);
    for recordings in [2 * length, 3 * length - 1] {
        let error = begun(limits(recordings), folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        assert_eq!(file_count(folder.path()), 2);
    }
    fs::write(folder.path().join("another"), vec![0; 4096]).unwrap();
    assert_eq!(begun(limits(3 * length), folder.path()).unwrap(), length, "no recording");
}

#[test]
fn what_others_need_of_the_disk_stays_free() {
    let folder = tempfile::tempdir().unwrap();
    let error = begun(Limits { reserve: u64::MAX, ..LIMITS }, folder.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    assert_eq!(file_count(folder.path()), 0);
}

#[test]
fn folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let error = begun(LIMITS, &file).unwrap_err();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
}
