//! Folders: created once, opened from then on, and never taken for what they are not.

use super::cluster::{Cluster, journal_config, replica};
use pbft::{Digest, Position};
use quorate_replica::{
    Backend, Folder, FolderError, JournalConfig, JournalError, JournalIdentity, JournalTask,
    MemoryBackend, Operation, SnapshotStore,
};
use std::sync::Arc;

const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: Digest::from_bytes([7; 32]), replica: replica_1() };

const fn replica_1() -> pbft::ReplicaId {
    pbft::ReplicaId::new(1)
}

fn create(disk: &MemoryBackend) -> Result<Folder, FolderError> {
    Folder::create(Arc::new(disk.clone()), IDENTITY, journal_config())
}

fn open(disk: &MemoryBackend, identity: JournalIdentity) -> Result<Folder, FolderError> {
    Folder::open(Arc::new(disk.clone()), identity, journal_config()).map(|(folder, _)| folder)
}

#[test]
fn emptied_folder_is_not_opened_as_a_new_one() {
    let error = open(&MemoryBackend::new(), IDENTITY).unwrap_err();
    assert!(matches!(error, FolderError::Empty), "{error}");
    assert!(error.to_string().contains("lost its memory"));
}

#[test]
fn folder_is_created_once() {
    let disk = MemoryBackend::new();
    drop(create(&disk).unwrap());
    assert!(matches!(create(&disk).unwrap_err(), FolderError::Exists));
    open(&disk, IDENTITY).unwrap();
}

#[test]
fn folder_of_another_replica_or_cluster_is_refused() {
    let disk = MemoryBackend::new();
    drop(create(&disk).unwrap());
    let other_replica = JournalIdentity { replica: replica(2), ..IDENTITY };
    let error = open(&disk, other_replica).unwrap_err();
    assert!(matches!(error, FolderError::Journal(JournalError::WrongReplica { .. })), "{error}");
    let other_cluster = JournalIdentity { cluster: Digest::from_bytes([8; 32]), ..IDENTITY };
    let error = open(&disk, other_cluster).unwrap_err();
    assert!(matches!(error, FolderError::Journal(JournalError::WrongCluster { .. })), "{error}");
}

/// A storage that fails is not taken for a folder that is there already: what is told is its
/// failure.
#[test]
fn creation_that_fails_is_not_taken_for_one_that_was_cut_short() {
    let disk = MemoryBackend::new();
    disk.fail_sync_at(1);
    let error = create(&disk).unwrap_err().to_string();
    assert!(error.contains("cannot sync"), "{error}");
}

/// Tasks share one sync as long as what it makes durable stays within bounds.
#[test]
fn records_are_made_durable_in_groups_of_bounded_size() {
    let disk = MemoryBackend::new();
    // A segment that was full would be synced for that.
    let config = JournalConfig { segment_bytes: 256 << 20 };
    let mut folder = Folder::create(Arc::new(disk.clone()), IDENTITY, config).unwrap();
    let mut position = Position::ZERO;
    let mut syncs_of = |appends: &[usize]| {
        let tasks: Vec<JournalTask> = appends
            .iter()
            .map(|mebibytes| {
                position = position.next();
                JournalTask::Append { records: vec![vec![7; 1 << 20]; *mebibytes], position }
            })
            .collect();
        let before = disk.operations().of(Operation::Sync);
        Folder::perform(&mut folder.journal, tasks).unwrap();
        disk.operations().of(Operation::Sync) - before
    };
    assert_eq!(syncs_of(&[1, 1, 1]), 1);
    assert_eq!(syncs_of(&[24, 24, 16]), 1, "as much as fits");
    assert_eq!(syncs_of(&[24, 24, 17]), 2, "the third would be too much");
    assert_eq!(syncs_of(&[24, 24, 24, 24]), 2, "and the count begins again behind it");
}

#[test]
fn creation_that_was_cut_short_can_be_repeated() {
    let operations = {
        let disk = MemoryBackend::new();
        drop(create(&disk).unwrap());
        disk.operations().mutations()
    };
    for k in 1..=operations {
        let disk = MemoryBackend::new();
        disk.crash_at(k);
        // The last operations are those of closing the files.
        drop(create(&disk));
        for crash in [quorate_replica::Crash::PowerLosingAll, quorate_replica::Crash::Process] {
            let disk = disk.restart(crash);
            match create(&disk) {
                Ok(folder) => drop(folder),
                Err(error) => assert!(matches!(error, FolderError::Exists), "{k}: {error}"),
            }
            open(&disk, IDENTITY).unwrap();
        }
    }
}

/// [DU2]
#[test]
fn journal_whose_snapshot_is_gone_is_refused() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    for _ in 0..10 {
        cluster.operate();
    }
    cluster.settle();
    cluster.kill(1);
    let disk = cluster.disk(1).clone();
    disk.remove("snapshot.redb").unwrap();
    drop(SnapshotStore::create(&disk).unwrap());
    let error = open(&disk, cluster.identity(1)).unwrap_err();
    assert!(matches!(error, FolderError::SnapshotTooOld { .. }), "{error}");
}
