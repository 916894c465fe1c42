//! The journal against a disk that does what disks do.

mod basics;
mod crash;
mod damage;
mod golden;
mod properties;

use pbft::{Digest, ReplicaId};
use quorate_replica::{
    Backend, Crash, Journal, JournalConfig, JournalError, JournalIdentity, MemoryBackend,
    RecoveredRecord, SEGMENT_BYTES_MIN,
};
use std::sync::Arc;

const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: Digest::from_bytes([0xc1; 32]), replica: ReplicaId::new(2) };

/// Segments so small that a test fills several of them.
const CONFIG: JournalConfig = JournalConfig { segment_bytes: SEGMENT_BYTES_MIN };

fn create(backend: &MemoryBackend) -> Result<Journal, JournalError> {
    Journal::create(Arc::new(backend.clone()), IDENTITY, CONFIG)
}

fn open(backend: &MemoryBackend) -> Result<(Journal, Vec<RecoveredRecord>), JournalError> {
    let (journal, recovered) = Journal::open(Arc::new(backend.clone()), IDENTITY, CONFIG)?;
    Ok((journal, recovered.collect::<Result<_, _>>()?))
}

fn bytes_of(records: &[RecoveredRecord]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.bytes.clone()).collect()
}

/// Writes and syncs one group.
fn write(journal: &mut Journal, records: &[&[u8]]) -> Result<(), JournalError> {
    journal.append(records)?;
    journal.sync()
}

fn segment_file(number: u64) -> String {
    format!("journal-{number:020}")
}

fn read_file(backend: &MemoryBackend, name: &str) -> Vec<u8> {
    let file = backend.open(name).unwrap();
    let mut bytes = vec![0; file.byte_count().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A disk whose files have this content, all of it durable.
fn disk_with(files: &[(String, Vec<u8>)]) -> MemoryBackend {
    let backend = MemoryBackend::new();
    for (name, bytes) in files {
        let file = backend.create(name).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync().unwrap();
    }
    backend.sync_directory().unwrap();
    backend
}

fn files_of(backend: &MemoryBackend) -> Vec<(String, Vec<u8>)> {
    let names = backend.list().unwrap();
    names.into_iter().map(|name| (name.clone(), read_file(backend, &name))).collect()
}

/// The ways a machine goes down, `PowerTearing` with a choice that depends on a seed alone.
#[derive(Clone, Copy, Debug)]
enum Fall {
    Process,
    LosingAll,
    KeepingAll,
    Tearing(u64),
}

fn restart(backend: &MemoryBackend, fall: Fall) -> MemoryBackend {
    match fall {
        Fall::Process => backend.restart(Crash::Process),
        Fall::LosingAll => backend.restart(Crash::PowerLosingAll),
        Fall::KeepingAll => backend.restart(Crash::PowerKeepingAll),
        Fall::Tearing(seed) => {
            let mut state = seed;
            backend.restart(Crash::PowerTearing(&mut |versions| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x9e37_79b9);
                (state >> 33) as usize % (versions + 1)
            }))
        }
    }
}
