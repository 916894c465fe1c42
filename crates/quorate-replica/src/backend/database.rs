//! Lets redb keep its database in a file of a [`Backend`](super::Backend), so that snapshots
//! crash, tear and rot in tests exactly as the journal does.

use super::{BackendError, BackendFile};
use std::io;
use std::sync::Arc;

/// A file of a backend as redb's storage.
///
/// It brings no locks of its own: [`FileBackend`](crate::FileBackend) already keeps a second
/// process out of the whole directory, and one replica opens each database once.
#[derive(Debug)]
pub struct DatabaseFile {
    file: Arc<dyn BackendFile>,
}

impl DatabaseFile {
    /// Hands `file` to redb, which writes to it until the database is dropped.
    pub fn new(file: Arc<dyn BackendFile>) -> Self {
        Self { file }
    }
}

impl redb::StorageBackend for DatabaseFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.byte_count()?)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Ok(self.file.read_at(offset, out)?)
    }

    fn set_len(&self, byte_count: u64) -> io::Result<()> {
        Ok(self.file.set_byte_count(byte_count)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(self.file.sync()?)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Ok(self.file.write_at(offset, bytes)?)
    }
}

/// The backend's own error inside what redb reports, so that a full disk or a simulated crash
/// can be told from a damaged database.
pub fn backend_error_in(error: &redb::StorageError) -> Option<&BackendError> {
    let redb::StorageError::Io(error) = error else {
        return None;
    };
    error.get_ref()?.downcast_ref::<BackendError>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Cause, Crash, MemoryBackend, Operation};
    use redb::{Database, ReadableDatabase, TableDefinition};

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("t");

    fn open(backend: &MemoryBackend) -> Database {
        let file = match backend.open("snapshot.redb") {
            Err(error) if error.is_not_found() => {
                let file = backend.create("snapshot.redb").unwrap();
                backend.sync_directory().unwrap();
                file
            }
            other => other.unwrap(),
        };
        Database::builder().create_with_backend(DatabaseFile::new(file)).unwrap()
    }

    fn put(database: &Database, key: u64) -> Result<(), redb::Error> {
        let mut write = database.begin_write()?;
        write.set_two_phase_commit(true);
        write.open_table(TABLE)?.insert(key, [7_u8; 3000].as_slice())?;
        write.commit()?;
        Ok(())
    }

    fn has(database: &Database, key: u64) -> bool {
        let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
        table.get(key).unwrap().is_some()
    }

    #[test]
    fn synced_database_survives_a_power_cut_that_loses_everything_else() {
        let backend = MemoryBackend::new();
        let database = open(&backend);
        put(&database, 1).unwrap();
        backend.crash();
        drop(database);
        let database = open(&backend.restart(Crash::PowerLosingAll));
        assert!(has(&database, 1));
    }

    #[test]
    fn database_keeps_every_commit_that_returned_whatever_operation_crashes() {
        let mut crashed_at_least_once = false;
        for k in 1.. {
            let backend = MemoryBackend::new();
            let database = open(&backend);
            put(&database, 0).unwrap();
            backend.crash_at(backend.operations().mutations() + k);
            let returned: Vec<u64> = (1..4).filter(|key| put(&database, *key).is_ok()).collect();
            drop(database);
            let is_over = !backend.has_crashed();
            let mut step = k;
            let backend = backend.restart(Crash::PowerTearing(&mut |choices| {
                step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (step >> 33) as usize % (choices + 1)
            }));
            let database = open(&backend);
            assert!(has(&database, 0));
            assert!(returned.iter().all(|key| has(&database, *key)), "crash at {k}");
            if is_over {
                break;
            }
            crashed_at_least_once = true;
        }
        assert!(crashed_at_least_once);
    }

    #[test]
    fn full_disk_is_recognised_behind_redb() {
        let backend = MemoryBackend::new();
        let database = open(&backend);
        backend.limit_bytes(0);
        let error = (0..100).find_map(|key| put(&database, key).err()).expect("the disk fills up");
        let redb::Error::Io(error) = error else { panic!("unexpected {error}") };
        let storage = redb::StorageError::Io(error);
        let found = backend_error_in(&storage).expect("the backend's error is kept");
        assert!(found.is_disk_full(), "{found}");
        assert_ne!(found.operation, Operation::Read);
        assert_ne!(found.cause, Cause::Crashed);
    }
}
