//! Damage, and everything else that must not be taken for a torn end.

use super::*;
use quorate_replica::{Damage, SECTOR_BYTES, SegmentNumber};

/// Three segments: one full of groups, one with a base, one that followed because that was full.
fn journal_files() -> Vec<(String, Vec<u8>)> {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"first", b"second"]).unwrap();
    write(&mut journal, &[&[3; 1200]]).unwrap();
    journal.rotate(&[b"base".as_slice(), &[4; 600]]).unwrap();
    write(&mut journal, &[&[5; 6000]]).unwrap();
    write(&mut journal, &[&[6; 1500]]).unwrap();
    write(&mut journal, &[b"last"]).unwrap();
    let files = files_of(&backend);
    assert_eq!(files.len(), 3);
    files
}

fn damage_in(files: &[(String, Vec<u8>)]) -> (SegmentNumber, u64, Damage) {
    match open(&disk_with(files)).unwrap_err() {
        JournalError::Damaged { segment, offset, why } => (segment, offset, why),
        error => panic!("unexpected {error}"),
    }
}

#[test]
fn flipped_bit_is_refused_anywhere_but_behind_the_end_of_a_finished_segment() {
    let files = journal_files();
    let intact = bytes_of(&open(&disk_with(&files)).unwrap().1);
    for (number, (name, bytes)) in (1..).zip(&files) {
        for offset in 0..bytes.len() {
            let backend = disk_with(&files);
            backend.rot(name, offset as u64, 1 << (offset % 8)).unwrap();
            let before = files_of(&backend);
            match open(&backend) {
                Err(JournalError::Damaged { segment, .. }) => {
                    assert_eq!(segment, SegmentNumber::new(number), "byte {offset} of {name}");
                    assert_eq!(files_of(&backend), before, "a damaged journal was written to");
                }
                Err(error) => panic!("byte {offset} of {name}: unexpected {error}"),
                Ok((_, records)) => {
                    let rest = &bytes[offset / SECTOR_BYTES * SECTOR_BYTES..];
                    let is_unused = number < 3 && rest.iter().all(|byte| *byte == 0);
                    assert!(is_unused, "byte {offset} of {name} was not missed");
                    assert_eq!(bytes_of(&records), intact);
                }
            }
        }
    }
}

#[test]
fn flipped_bit_beside_a_torn_end_never_changes_what_was_confirmed() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"kept", &[8; 700]]).unwrap();
    backend.crash_at(backend.operations().mutations() + 2);
    write(&mut journal, &[&[9; 2500]]).unwrap_err();
    let backend = restart(&backend, Fall::Tearing(3));
    let files = files_of(&backend);
    let confirmed = bytes_of(&open(&backend).unwrap().1);
    for offset in 0..files[0].1.len() {
        let backend = disk_with(&files);
        backend.rot(&files[0].0, offset as u64, 1 << (offset % 8)).unwrap();
        match open(&backend) {
            Ok((_, records)) => assert_eq!(bytes_of(&records), confirmed, "byte {offset}"),
            Err(JournalError::Damaged { .. }) => {}
            Err(error) => panic!("byte {offset}: unexpected {error}"),
        }
    }
}

#[test]
fn sector_lost_from_a_durable_frame_is_damage_unless_it_is_the_last_of_all() {
    let files = journal_files();
    let intact = bytes_of(&open(&disk_with(&files)).unwrap().1);
    for (index, (_, bytes)) in files.iter().enumerate() {
        for sector in 0..bytes.len() / SECTOR_BYTES {
            let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            if bytes[range.clone()].iter().all(|byte| *byte == 0) {
                continue;
            }
            let mut files = files.clone();
            files[index].1[range].fill(0);
            match open(&disk_with(&files)) {
                // Nothing on the disk says that the last write of all was ever finished.
                Ok((_, records)) => {
                    assert_eq!(index, 2);
                    assert_eq!(bytes_of(&records), intact[..intact.len() - 1]);
                }
                Err(JournalError::Damaged { segment, .. }) => {
                    assert_eq!(segment.get(), index as u64 + 1);
                }
                Err(error) => panic!("unexpected {error}"),
            }
        }
    }
}

#[test]
fn flipped_bit_in_the_last_durable_frame_is_not_taken_for_a_torn_write() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"a promise"]).unwrap();
    backend.rot(&segment_file(1), 530, 1).unwrap();
    let (segment, offset, why) = damage_in(&files_of(&backend));
    assert_eq!((segment.get(), offset, why), (1, 512, Damage::SectorChecksum));
}

#[test]
fn frame_is_not_valid_at_another_place() {
    let files = journal_files();
    let mut moved = files.clone();
    moved[2].1.copy_within(512..1024, 8 * 512);
    let expected = (SegmentNumber::new(3), 8 * 512, Damage::SectorChecksum);
    assert_eq!(damage_in(&moved), expected);
    let mut moved = files.clone();
    let frame = moved[0].1[512..1024].to_vec();
    moved[2].1[512..1024].copy_from_slice(&frame);
    assert_eq!(damage_in(&moved), (SegmentNumber::new(3), 512, Damage::SectorChecksum));
    let mut moved = files;
    let last_end = moved[2].1.chunks(512).position(|s| s.iter().all(|b| *b == 0)).unwrap() * 512;
    moved[2].1.copy_within(512..1024, last_end);
    let expected = (SegmentNumber::new(3), last_end as u64, Damage::SectorChecksum);
    assert_eq!(damage_in(&moved), expected);
}

#[test]
fn missing_segments_are_named() {
    // The second segment begins with a base, but nobody said that the first may go.
    for (missing, named) in [(0..1, 1), (1..2, 2), (0..2, 2)] {
        let mut files = journal_files();
        files.drain(missing);
        let segment = SegmentNumber::new(named);
        assert_eq!(open(&disk_with(&files)).unwrap_err(), JournalError::MissingSegment { segment });
    }
}

#[test]
fn removed_segments_that_come_back_are_removed_again() {
    let backend = disk_with(&journal_files());
    let (mut journal, _) = open(&backend).unwrap();
    journal.rotate(&[b"newer base"]).unwrap();
    let base = journal.rotate(&[b"newest base"]).unwrap();
    let before = files_of(&backend);
    journal.delete_before(base).unwrap();
    let after = files_of(&backend);
    assert_eq!((before.len(), after.len()), (5, 1));
    // Of the four that were removed, any may come back after a crash.
    for returned in 0..16 {
        let returns = |index: &usize| returned & (1 << index) != 0;
        let returned = (0..4).filter(returns).map(|index| before[index].clone());
        let backend = disk_with(&returned.chain(after.clone()).collect::<Vec<_>>());
        assert_eq!(bytes_of(&open(&backend).unwrap().1), [b"newest base"]);
        assert_eq!(files_of(&restart(&backend, Fall::LosingAll)), after);
    }
}

#[test]
fn segment_under_another_name_is_refused() {
    let mut files = journal_files();
    files[1].1 = files[0].1.clone();
    let found = SegmentNumber::FIRST;
    let expected = (SegmentNumber::new(2), 0, Damage::WrongSegment { found });
    assert_eq!(damage_in(&files), expected);
}

#[test]
fn cut_or_extended_file_is_refused() {
    for change in [-512_i64, -1, 1, 512] {
        let mut files = journal_files();
        let expected = files[2].1.len() as u64;
        let found = expected.checked_add_signed(change).unwrap();
        files[2].1.resize(found as usize, 0);
        assert_eq!(damage_in(&files).2, Damage::FileLength { expected, found });
    }
    let mut files = journal_files();
    files[2].1.truncate(100);
    assert_eq!(damage_in(&files).2, Damage::HeaderChecksum);
}

#[test]
fn erased_segment_is_only_an_interrupted_creation_if_it_is_the_last() {
    let mut files = journal_files();
    files[1].1.fill(0);
    assert_eq!(damage_in(&files), (SegmentNumber::new(2), 0, Damage::HeaderMissing));
    let mut files = journal_files();
    files[2].1[..512].fill(0);
    assert_eq!(damage_in(&files), (SegmentNumber::new(3), 0, Damage::HeaderMissing));
    let mut files = journal_files();
    files[2].1 = vec![0; 700];
    let backend = disk_with(&files);
    assert_eq!(open(&backend).unwrap().1.len(), 6);
    assert_eq!(backend.list().unwrap().len(), 2);
}

#[test]
fn journal_of_another_replica_or_cluster_is_refused() {
    let backend = disk_with(&journal_files());
    let open_as = |identity| {
        Journal::open(Arc::new(backend.clone()), identity, CONFIG).map(|_| ()).unwrap_err()
    };
    let segment = SegmentNumber::new(3);
    let replica = ReplicaId::new(3);
    let error = open_as(JournalIdentity { replica, ..IDENTITY });
    assert_eq!(error, JournalError::WrongReplica { segment, found: IDENTITY.replica });
    let cluster = Digest::from_bytes([1; 32]);
    let error = open_as(JournalIdentity { cluster, ..IDENTITY });
    assert_eq!(error, JournalError::WrongCluster { segment, found: IDENTITY.cluster });
}

#[test]
fn newer_format_is_refused_and_nothing_is_changed() {
    let mut files = journal_files();
    let header = &mut files[2].1[..512];
    header[8] = 2;
    let checksum = crc32c::crc32c(&header[..508]);
    header[508..].copy_from_slice(&checksum.to_le_bytes());
    let backend = disk_with(&files);
    let expected = JournalError::NewerFormat { segment: SegmentNumber::new(3), found: 2, known: 1 };
    assert_eq!(open(&backend).unwrap_err(), expected);
    assert_eq!(files_of(&backend), files);
}

#[test]
fn record_that_imitates_a_frame_is_never_taken_for_one() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"genuine"]).unwrap();
    let forged = read_file(&backend, &segment_file(1))[512..1024].to_vec();
    let record: Vec<u8> =
        (0..600).flat_map(|shift| [vec![0; shift], forged.clone()].concat()).take(30_000).collect();
    backend.crash_at(backend.operations().mutations() + 7);
    write(&mut journal, &[&record]).unwrap_err();
    for seed in 0..200 {
        let (_, records) = open(&restart(&backend, Fall::Tearing(seed))).unwrap();
        assert!(bytes_of(&records) == [b"genuine"] || records[1].bytes == record);
    }
}
