//! What a journal does while nothing goes wrong, and how it says that something did.

use super::*;
use quorate_replica::{
    Cause, FRAME_BYTES_MAX, FileBackend, Operation, RECORD_BYTES_MAX, SegmentNumber,
};

fn is_send<T: Send>(_: &T) {}

#[test]
fn synced_records_are_read_back_in_order() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    is_send(&journal);
    write(&mut journal, &[b"one", b"", b"three"]).unwrap();
    journal.append(&[b"four"]).unwrap();
    journal.append(&[b"five"]).unwrap();
    journal.sync().unwrap();
    let (_, records) = open(&restart(&backend, Fall::LosingAll)).unwrap();
    assert_eq!(bytes_of(&records), [b"one".as_slice(), b"", b"three", b"four", b"five"]);
    assert!(records.iter().all(|record| !record.is_base));
}

#[test]
fn group_costs_one_write_and_one_sync() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    let before = backend.operations();
    journal.append(&[[1; 900], [2; 900]]).unwrap();
    journal.append(&[[3; 900]]).unwrap();
    journal.sync().unwrap();
    journal.sync().unwrap();
    let after = backend.operations();
    assert_eq!(after.of(Operation::Write), before.of(Operation::Write) + 1);
    assert_eq!(after.of(Operation::Sync), before.of(Operation::Sync) + 1);
    assert_eq!(after.mutations(), before.mutations() + 2);
}

#[test]
fn appended_records_are_nowhere_until_they_are_synced() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    journal.append(&[b"x"]).unwrap();
    let (_, records) = open(&restart(&backend, Fall::KeepingAll)).unwrap();
    assert!(records.is_empty());
}

#[test]
fn full_segment_is_followed_by_another() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    let written: Vec<Vec<u8>> = (0..20).map(|i| vec![i; 1500]).collect();
    for record in &written {
        write(&mut journal, &[record]).unwrap();
    }
    assert!(backend.list().unwrap().len() > 3);
    let (mut journal, records) = open(&backend).unwrap();
    assert_eq!(bytes_of(&records), written);
    write(&mut journal, &[b"more"]).unwrap();
    assert_eq!(open(&backend).unwrap().1.len(), 21);
}

#[test]
fn record_longer_than_a_segment_gets_a_longer_one() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    let long = vec![7; 5 * SEGMENT_BYTES_MIN as usize];
    write(&mut journal, &[b"before", &long]).unwrap();
    write(&mut journal, &[b"after"]).unwrap();
    let (_, records) = open(&backend).unwrap();
    assert_eq!(bytes_of(&records), [b"before".as_slice(), &long, b"after"]);
}

/// [DU2] What still matters is restated before the older segments go.
#[test]
fn rotation_marks_its_base_and_lets_older_segments_go() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"old"]).unwrap();
    journal.append(&[b"appended"]).unwrap();
    let base = journal.rotate(&[b"base 1", b"base 2"]).unwrap();
    write(&mut journal, &[b"new"]).unwrap();
    assert_eq!(journal.newest_base(), Some(base));

    let (mut journal, records) = open(&backend).unwrap();
    let expected: [(&[u8], bool); 5] = [
        (b"old", false),
        (b"appended", false),
        (b"base 1", true),
        (b"base 2", true),
        (b"new", false),
    ];
    let found: Vec<_> = records.iter().map(|r| (r.bytes.as_slice(), r.is_base)).collect();
    assert_eq!(found, expected);
    assert_eq!(journal.newest_base(), Some(base));

    journal.delete_before(base).unwrap();
    assert_eq!(journal.oldest_segment(), base);
    let (journal, records) = open(&restart(&backend, Fall::LosingAll)).unwrap();
    assert_eq!(bytes_of(&records), [b"base 1".as_slice(), b"base 2", b"new"]);
    assert_eq!(journal.oldest_segment(), base);
}

#[test]
fn base_may_be_empty() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"old"]).unwrap();
    let base = journal.rotate::<&[u8]>(&[]).unwrap();
    journal.delete_before(base).unwrap();
    let (mut journal, records) = open(&backend).unwrap();
    assert!(records.is_empty());
    write(&mut journal, &[b"new"]).unwrap();
    assert_eq!(bytes_of(&open(&backend).unwrap().1), [b"new"]);
}

#[test]
#[should_panic(expected = "segment 1 does not begin with a base")]
fn older_segments_cannot_go_before_there_is_a_base() {
    let mut journal = create(&MemoryBackend::new()).unwrap();
    journal.delete_before(SegmentNumber::FIRST).unwrap();
}

#[test]
fn bytes_since_the_base_are_counted_across_a_restart() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[&[1; 3000]]).unwrap();
    assert_eq!(journal.bytes_since_base(), 6 * 512);
    journal.rotate(&[b"base"]).unwrap();
    assert_eq!(journal.bytes_since_base(), 512);
    for _ in 0..9 {
        write(&mut journal, &[&[1; 900]]).unwrap();
    }
    assert_eq!(journal.bytes_since_base(), 512 + 9 * 1024);
    assert_eq!(open(&backend).unwrap().0.bytes_since_base(), 512 + 9 * 1024);
}

#[test]
fn missing_journal_is_told_from_an_empty_one() {
    let backend = MemoryBackend::new();
    assert_eq!(open(&backend).unwrap_err(), JournalError::Missing);
    create(&backend).unwrap();
    assert!(open(&backend).unwrap().1.is_empty());
    let file = segment_file(1);
    assert_eq!(create(&backend).unwrap_err(), JournalError::Exists { file });
}

#[test]
fn too_long_records_are_refused_and_the_journal_goes_on() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    let long = vec![0; RECORD_BYTES_MAX + 1];
    let error = journal.append(&[b"x".as_slice(), &long]).unwrap_err();
    assert_eq!(error, JournalError::RecordTooLong { bytes: RECORD_BYTES_MAX + 1 });
    let longest = &long[1..];
    let error = journal.append(&vec![longest; FRAME_BYTES_MAX / RECORD_BYTES_MAX]).unwrap_err();
    assert_eq!(error, JournalError::FrameTooLong);
    journal.append(&[longest]).unwrap();
    journal.sync().unwrap();
    assert!(journal.rotate(&[&long]).is_err());
    write(&mut journal, &[b"y"]).unwrap();
    let (_, records) = open(&backend).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].bytes, longest);
    assert_eq!(records[1].bytes, b"y");
}

/// [DU1] Nobody knows what is durable after a failed sync, so there is no second attempt.
#[test]
fn failed_sync_stops_the_journal_with_its_first_error() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    backend.fail_sync_at(2);
    let error = write(&mut journal, &[b"x"]).unwrap_err();
    let expected = format!(
        "the journal's storage failed: cannot sync '{}': Input/output error (os error 5)",
        segment_file(1)
    );
    assert_eq!(error.to_string(), expected);
    let syncs = backend.operations().of(Operation::Sync);
    assert_eq!(journal.append(&[b"y"]).unwrap_err(), error);
    assert_eq!(journal.sync().unwrap_err(), error);
    assert_eq!(journal.rotate(&[b"z"]).unwrap_err(), error);
    assert_eq!(journal.delete_before(SegmentNumber::FIRST).unwrap_err(), error);
    assert_eq!(backend.operations().of(Operation::Sync), syncs);
}

#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_made_durable_before_it_is_believed() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    backend.fail_sync_at(2);
    write(&mut journal, &[b"x"]).unwrap_err();
    let backend = restart(&backend, Fall::Process);
    assert_eq!(bytes_of(&open(&backend).unwrap().1), [b"x"]);
    assert_eq!(bytes_of(&open(&restart(&backend, Fall::LosingAll)).unwrap().1), [b"x"]);
}

#[test]
fn full_disk_stops_the_journal_and_loses_nothing_confirmed() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    backend.limit_bytes(2 * SEGMENT_BYTES_MIN + 100);
    let mut confirmed = Vec::new();
    let error = loop {
        let record = vec![confirmed.len() as u8; 1000];
        match write(&mut journal, &[&record]) {
            Ok(()) => confirmed.push(record),
            Err(error) => break error,
        }
    };
    let JournalError::Storage(storage) = &error else { panic!("unexpected {error}") };
    assert!(storage.is_disk_full());
    assert_eq!(storage.operation, Operation::Preallocate);
    assert_eq!(journal.sync().unwrap_err(), error);

    let backend = restart(&backend, Fall::Process);
    let (mut journal, records) = open(&backend).unwrap();
    assert_eq!(bytes_of(&records), confirmed);
    write(&mut journal, &[b"there is room again"]).unwrap();
}

#[test]
fn files_of_others_in_the_folder_are_left_alone() {
    let backend = MemoryBackend::new();
    for name in ["snapshot.redb", "journal-1", "journal-00000000000000000001.bak"] {
        backend.create(name).unwrap();
    }
    assert_eq!(open(&backend).unwrap_err(), JournalError::Missing);
    create(&backend).unwrap();
    open(&backend).unwrap();
    assert_eq!(backend.list().unwrap().len(), 4);
}

#[test]
fn journal_on_a_real_folder_survives_reopening() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("replica");
    let folder = Arc::new(FileBackend::create(&path).unwrap());
    let mut journal = Journal::create(folder, IDENTITY, CONFIG).unwrap();
    for i in 0..10 {
        write(&mut journal, &[&[i; 1000], &[i]]).unwrap();
    }
    let base = journal.rotate(&[b"base"]).unwrap();
    write(&mut journal, &[b"after"]).unwrap();
    drop(journal);

    let folder = Arc::new(FileBackend::open(&path).unwrap());
    let (mut journal, recovered) =
        Journal::open(Arc::clone(&folder) as Arc<dyn Backend>, IDENTITY, CONFIG).unwrap();
    assert_eq!(recovered.torn_tail(), None);
    assert_eq!(recovered.count(), 22);
    let error = FileBackend::open(&path).unwrap_err();
    assert!(matches!(error.cause, Cause::InUse { .. }));
    journal.delete_before(base).unwrap();
    drop((journal, folder));

    let folder = Arc::new(FileBackend::open(&path).unwrap());
    let (_, recovered) = Journal::open(folder, IDENTITY, CONFIG).unwrap();
    let records: Vec<_> = recovered.map(|record| record.unwrap().bytes).collect();
    assert_eq!(records, [b"base".as_slice(), b"after"]);
}
