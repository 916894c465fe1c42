//! Durable snapshots: the state at a checkpoint, on disk, so that a restart need not replay the
//! journal from the beginning and the journal need not be kept from there.
//!
//! A snapshot is written over the one before it, and only where the two differ. It takes several
//! transactions, each of a bounded size, so that the journal's syncs never wait behind a long one:
//! new rows go beside the old ones under a new generation, the last of these transactions makes
//! the new generation the current one, and then what it replaced is removed. Wherever that is cut
//! short, what is found again is the old snapshot or the new one, whole.
//!
//! Everything that is read is checked: rows by the database's checksums, and what they amount
//! to by the digest of the root, which was certified. SnapshotDamage is an error and never an empty state.
//!
//! The format is written down in `docs/storage.md`, section *Snapshots*.

mod rows;

use crate::tree::changes::Changes;
use crate::tree::rebuild::{BadRows, Rebuilder};
use crate::{Backend, BackendError, Cause, DatabaseFile, Tree, backend_error_in};
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::{Digest, SeqNum};
use redb::Database;
use rows::{BatchItem, PAGES, Removal, Row, Scan, VALUES};
use std::collections::BTreeMap;
use thiserror::Error;

/// The name of the file that holds the snapshot.
const FILE_NAME: &str = "snapshot.redb";

/// The name of that file until it is known to be a whole database.
const NEW_FILE_NAME: &str = "snapshot.redb.new";

/// The version of the format.
const FORMAT: u16 = 1;

/// What the database may keep of its file in memory, in bytes. Little: a snapshot is read once
/// and then only written.
const CACHE_BYTES_MAX: usize = 16 << 20;

/// The rows one transaction writes, in bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The durable snapshot of one replica.
#[derive(Debug)]
pub struct SnapshotStore {
    database: Database,
    /// The state of the current snapshot; empty if there is none.
    current: Tree,
    /// Counts the snapshots; 0 if there is none.
    generation: u64,
    /// The bytes of the rows one transaction writes.
    batch_bytes_max: usize,
    /// Whether a save failed, after which only opening the store again tells what is on the disk.
    has_failed: bool,
}

/// The state at a checkpoint, as it was found on the disk.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The checkpoint's sequence number.
    pub seq: SeqNum,
    /// The state.
    pub tree: Tree,
}

/// Why there is no snapshot, or none was stored.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The storage failed.
    #[error("snapshot: {0}")]
    Backend(#[source] BackendError),
    /// What is stored is not what was stored. The replica has lost its memory and may only come
    /// back as one that did.
    #[error("the stored snapshot is damaged: {0}")]
    Damaged(#[source] SnapshotDamage),
    /// The snapshot was written by another version of this program.
    #[error("the snapshot has format {0}, this program reads format {FORMAT}")]
    OtherFormat(u16),
    /// The database refused to work.
    #[error("snapshot: {0}")]
    Database(#[source] redb::Error),
    /// A save failed before; the replica must stop.
    #[error("an earlier snapshot could not be stored")]
    HasFailed,
}

/// What is wrong with a stored snapshot.
#[derive(Debug, Error)]
pub enum SnapshotDamage {
    /// The file is not a database, or one whose checksums are wrong.
    #[error("{0}")]
    File(String),
    /// The record that names the current snapshot is unreadable.
    #[error("the record of the current snapshot is unreadable")]
    Record,
    /// The rows are not those of a state.
    #[error(transparent)]
    Rows(BadRows),
    /// The rows are those of another state.
    #[error("the state has digest {found}, not {stored}")]
    OtherState {
        /// The digest that was stored with the snapshot.
        stored: Digest,
        /// The digest of what was read.
        found: Digest,
    },
}

/// What names the current snapshot.
#[derive(BorshSerialize, BorshDeserialize)]
struct Record {
    generation: u64,
    seq: SeqNum,
    root: Digest,
}

impl SnapshotStore {
    /// Creates the store of a new replica, without a snapshot. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If there is one already, or the storage fails.
    pub fn create(backend: &dyn Backend) -> Result<Self, SnapshotError> {
        if backend.list()?.iter().any(|name| name == FILE_NAME) {
            let exists = Cause::Os(rustix::io::Errno::EXIST);
            return Err(BackendError::new(crate::Operation::Create, FILE_NAME, exists).into());
        }
        match backend.remove(NEW_FILE_NAME) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        // The database is put together under another name, so that a file with the right name is
        // always a database and an empty one is damage.
        let database = open_database(DatabaseFile::new(backend.create(NEW_FILE_NAME)?))?;
        rows::create_tables(&database)?;
        drop(database);
        backend.rename(NEW_FILE_NAME, FILE_NAME)?;
        backend.sync_directory()?;
        Ok(Self::open(backend)?.0)
    }

    /// Opens the store and reads the snapshot in it, if one was ever stored whole. Takes memory
    /// for the state and time to hash all of it; finishes what a crash cut short.
    ///
    /// # Errors
    ///
    /// If there is no store, if it is damaged, or the storage fails.
    pub fn open(backend: &dyn Backend) -> Result<(Self, Option<Snapshot>), SnapshotError> {
        Self::open_with(backend, BATCH_BYTES_MAX)
    }

    fn open_with(
        backend: &dyn Backend,
        batch_bytes_max: usize,
    ) -> Result<(Self, Option<Snapshot>), SnapshotError> {
        let file = backend.open(FILE_NAME)?;
        if file.byte_count()? == 0 {
            return Err(SnapshotError::Damaged(SnapshotDamage::File(
                "the file is empty".to_owned(),
            )));
        }
        let database = open_database(DatabaseFile::new(file))?;
        let record = match rows::read_record(&database)? {
            Some(bytes) => Some(Record::decode(&bytes)?),
            None => None,
        };
        let generation = record.as_ref().map_or(0, |record| record.generation);
        let mut store =
            Self { database, current: Tree::new(), generation, batch_bytes_max, has_failed: false };
        let snapshot = store.read(record)?;
        if let Some(snapshot) = &snapshot {
            store.current = snapshot.tree.clone();
        }
        Ok((store, snapshot))
    }

    /// Stores the state at a checkpoint in place of the snapshot before. Durable when it returns.
    /// Hashes what is not hashed yet, writes what changed since the snapshot before, and keeps a
    /// clone of the tree.
    ///
    /// # Errors
    ///
    /// If the storage fails. What is on the disk is then the snapshot before or this one, whole,
    /// and the store can only be opened again.
    pub fn save(&mut self, seq: SeqNum, tree: &Tree) -> Result<(), SnapshotError> {
        if self.has_failed {
            return Err(SnapshotError::HasFailed);
        }
        self.has_failed = true;
        let root = tree.root_digest();
        self.current.root_digest();
        let generation = self.generation + 1;
        let current = std::mem::take(&mut self.current);
        let changes = tree.changes_since(&current);

        let pages = changes.pages.iter().map(|(key, page)| {
            Row::whole(key, generation, page.map(|page| page.encode()).unwrap_or_default())
        });
        let values = changes.values.iter();
        let values = values.flat_map(|(key, value)| Row::pieces(key, generation, *value));
        self.in_batches(pages, |batch| rows::write(&self.database, PAGES, batch))?;
        self.in_batches(values, |batch| rows::write(&self.database, VALUES, batch))?;
        let record = Record { generation, seq, root };
        rows::write_record(&self.database, &record.encode())?;
        self.remove_replaced(&changes, generation)?;

        (self.current, self.generation, self.has_failed) = (tree.clone(), generation, false);
        Ok(())
    }

    /// Removes the rows that the rows of this generation replaced.
    fn remove_replaced(&self, changes: &Changes<'_>, generation: u64) -> Result<(), SnapshotError> {
        let pages = changes.pages.iter();
        let pages = pages.map(|(key, page)| Removal::replaced(key, generation, page.is_none()));
        let values = changes.values.iter();
        let values = values.map(|(key, value)| Removal::replaced(key, generation, value.is_none()));
        self.in_batches(pages, |batch| rows::remove(&self.database, PAGES, batch))?;
        self.in_batches(values, |batch| rows::remove(&self.database, VALUES, batch))
    }

    /// Reads the current snapshot, and removes all other rows.
    fn read(&self, record: Option<Record>) -> Result<Option<Snapshot>, SnapshotError> {
        let mut values = BTreeMap::new();
        let mut scan = Scan::new(&self.database, VALUES, self.generation)?;
        while let Some(value) = scan.next_live()? {
            values.insert(value.key, value.content);
        }
        let stray_values = scan.into_stray();
        let mut rebuilder = Rebuilder::new(values);
        let mut scan = Scan::new(&self.database, PAGES, self.generation)?;
        while let Some(page) = scan.next_live()? {
            rebuilder.push(&page.key, &page.content)?;
        }
        let stray_pages = scan.into_stray();
        let tree = rebuilder.finish()?;
        let found = tree.root_digest();
        let stored =
            record.as_ref().map_or_else(|| Tree::new().root_digest(), |record| record.root);
        if found != stored {
            return Err(SnapshotError::Damaged(SnapshotDamage::OtherState { stored, found }));
        }
        self.in_batches(stray_values, |batch| rows::remove(&self.database, VALUES, batch))?;
        self.in_batches(stray_pages, |batch| rows::remove(&self.database, PAGES, batch))?;
        Ok(record.map(|record| Snapshot { seq: record.seq, tree }))
    }

    /// Hands `items` on, in batches of a bounded size.
    fn in_batches<T: BatchItem>(
        &self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(Vec<T>) -> Result<(), redb::Error>,
    ) -> Result<(), SnapshotError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for item in items {
            bytes += item.byte_count();
            batch.push(item);
            if bytes >= self.batch_bytes_max {
                write(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { Ok(write(batch)?) }
    }
}

/// Opens the database and checks all of it: what the checksums do not cover is never looked into.
fn open_database(file: DatabaseFile) -> Result<Database, SnapshotError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES_MAX).set_check_integrity_on_open(true);
    builder.create_with_backend(file).map_err(|error| redb::Error::from(error).into())
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        borsh::to_vec(&(FORMAT, self)).expect("writing to memory cannot fail")
    }

    fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (format, record) = bytes
            .split_first_chunk()
            .map(|(format, record)| (u16::from_le_bytes(*format), record))
            .ok_or(SnapshotError::Damaged(SnapshotDamage::Record))?;
        if format != FORMAT {
            return Err(SnapshotError::OtherFormat(format));
        }
        borsh::from_slice(record).map_err(|_| SnapshotError::Damaged(SnapshotDamage::Record))
    }
}

impl From<BackendError> for SnapshotError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<BadRows> for SnapshotError {
    fn from(bad: BadRows) -> Self {
        Self::Damaged(SnapshotDamage::Rows(bad))
    }
}

impl From<redb::Error> for SnapshotError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(why) => Self::Damaged(SnapshotDamage::File(why)),
            redb::Error::Io(error) => {
                let error = redb::StorageError::Io(error);
                match backend_error_in(&error) {
                    Some(found) if found.cause == Cause::EndOfFile => {
                        Self::Damaged(SnapshotDamage::File("the file was cut".to_owned()))
                    }
                    Some(found) => Self::Backend(found.clone()),
                    // The backend reports every error of its own as such; others are redb's
                    // judgement of the content.
                    None => Self::Damaged(SnapshotDamage::File(error.to_string())),
                }
            }
            other => Self::Database(other),
        }
    }
}

#[cfg(test)]
mod tests;
