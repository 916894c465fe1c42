//! A journal whose disk comes back with other bytes than were written.

use pbft::{Digest, ReplicaId};
use quorate_replica::{Backend, Journal, JournalConfig, JournalIdentity, MemoryBackend};
use std::sync::Arc;

const RECORDS: [&[u8]; 5] = [b"one", b"", &[0xaa; 700], b"four", &[0; 64]];

/// Damages a sound journal, three bytes for each place: two of offset and one of the bits to flip.
/// Opening it does not panic, and what it returns is the beginning of what was written.
pub fn journal(data: &[u8]) {
    let backend = MemoryBackend::new();
    let identity =
        JournalIdentity { cluster: Digest::from_bytes([0xc1; 32]), replica: ReplicaId::ZERO };
    let config = JournalConfig { segment_bytes: 8192 };
    let shared: Arc<dyn Backend> = Arc::new(backend.clone());
    let mut written =
        Journal::create(Arc::clone(&shared), identity, config).expect("an empty disk takes one");
    for record in RECORDS {
        written.append(&[record]).expect("short records");
        written.sync().expect("the disk is sound");
    }
    drop(written);
    let names = backend.list().expect("the disk is sound");
    let name = names.first().expect("a journal has a segment");
    for place in data.chunks_exact(3) {
        let offset = u64::from(u16::from_le_bytes([place[0], place[1]])) % 8192;
        backend.rot(name, offset, place[2]).expect("an offset inside the segment");
    }
    let Ok((_, recovered)) = Journal::open(shared, identity, config) else { return };
    let found: Vec<Vec<u8>> = recovered.map_while(Result::ok).map(|record| record.bytes).collect();
    assert!(found.len() <= RECORDS.len(), "no record appears from nowhere");
    assert!(found.iter().zip(RECORDS).all(|(found, record)| found == record), "nor another");
}
