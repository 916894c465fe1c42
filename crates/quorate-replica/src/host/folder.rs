//! A replica's folder: its journal and its snapshot, as one memory that is there whole or not at
//! all.
//!
//! A folder is created once, by an explicit decision, and from then on only opened: a replica that
//! finds nothing where its memory should be must not start from nothing under its old name, since
//! it would break promises it no longer knows. (Its peers would notice, too; see [RJ1].)

use super::Stored;
use super::effect::JournalTask;
use crate::executor::CheckpointState;
use crate::snapshot::{Snapshot, SnapshotError, SnapshotStore};
use crate::{
    Backend, BackendError, Cause, Journal, JournalConfig, JournalError, JournalIdentity,
    SegmentNumber,
};
use pbft::{Position, Record, SeqNum};
use rustix::io::Errno;
use std::sync::Arc;

/// How many bytes of records are made durable by one sync at most, give or take a task.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// The open folder of one replica. Journal and snapshots work independently of each other, so the
/// parts may go to two threads.
#[derive(Debug)]
pub struct Folder {
    /// For [`Folder::perform`].
    pub journal: Journal,
    /// For [`Folder::save`].
    pub snapshots: SnapshotStore,
}

/// Why a folder cannot be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is nothing in it.
    #[error(
        "this folder holds no replica: it was never initialised, or it was emptied. A replica \
         that lost its memory must not start with an empty one, because it would break promises \
         it made"
    )]
    Empty,
    /// There is a replica in it already.
    #[error("there is already a replica in this folder")]
    Exists,
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A whole record of the journal is not a record.
    #[error("journal segment {segment} holds a record that this program does not know")]
    UnknownRecord {
        /// The segment.
        segment: SegmentNumber,
    },
    /// The journal begins behind the snapshot: what was between them is lost.
    #[error(
        "the journal begins at checkpoint {journal}, but the snapshot is of checkpoint {snapshot}: \
         part of this folder was lost or replaced by an older one"
    )]
    SnapshotTooOld {
        /// Where the journal begins.
        journal: SeqNum,
        /// The snapshot; 0 if there is none.
        snapshot: SeqNum,
    },
}

impl FolderError {
    /// Whether what is wrong is the memory itself, so that it is no use to try again: the replica
    /// has to rejoin with another one.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Empty | Self::SnapshotTooOld { .. } => true,
            Self::Journal(error) => matches!(
                error,
                JournalError::Missing
                    | JournalError::MissingSegment { .. }
                    | JournalError::Damaged { .. }
            ),
            Self::Snapshot(error) => match error {
                SnapshotError::Damaged(_) => true,
                SnapshotError::Backend(error) => error.cause == Cause::Os(Errno::NOENT),
                SnapshotError::OtherFormat(_)
                | SnapshotError::Database(_)
                | SnapshotError::HasFailed => false,
            },
            // Another version of the program may know it.
            Self::UnknownRecord { .. } | Self::Exists => false,
        }
    }
}

impl Folder {
    /// Makes the folder of a new replica. An interrupted creation may be repeated.
    ///
    /// # Errors
    /// If there is a replica in it, or the storage fails.
    pub fn create(
        backend: Arc<dyn Backend>,
        identity: JournalIdentity,
        config: JournalConfig,
    ) -> Result<Self, FolderError> {
        let snapshots = match SnapshotStore::create(&*backend) {
            Ok(snapshots) => snapshots,
            // What an interrupted creation left behind holds nothing.
            Err(SnapshotError::Backend(error)) if exists(&error) => {
                match SnapshotStore::open(&*backend)? {
                    (snapshots, None) => snapshots,
                    (_, Some(_)) => return Err(FolderError::Exists),
                }
            }
            Err(error) => return Err(error.into()),
        };
        match Journal::create(backend, identity, config) {
            Ok(journal) => Ok(Self { journal, snapshots }),
            Err(JournalError::Exists { .. }) => Err(FolderError::Exists),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the folder of a replica that started before, and returns what it holds.
    ///
    /// # Errors
    /// If any of it is missing, damaged or another replica's.
    pub fn open(
        backend: Arc<dyn Backend>,
        identity: JournalIdentity,
        config: JournalConfig,
    ) -> Result<(Self, Stored), FolderError> {
        let opened = Journal::open(Arc::clone(&backend), identity, config);
        let (journal, recovered) = opened.map_err(|error| match error {
            JournalError::Missing => FolderError::Empty,
            other => other.into(),
        })?;
        let (snapshots, snapshot) = SnapshotStore::open(&*backend)?;
        let snapshot = snapshot.map(|Snapshot { seq, tree }| (seq, tree));
        let found = snapshot.as_ref().map_or(SeqNum::ZERO, |(seq, _)| *seq);

        let oldest = journal.oldest_segment();
        let torn_tail = recovered.torn_tail();
        let mut records = Vec::new();
        for entry in recovered {
            let entry = entry?;
            let segment = entry.segment;
            // What a later segment restates, the older ones say in full.
            if entry.is_base && segment != oldest {
                continue;
            }
            let record =
                Record::decode(&entry.bytes).ok_or(FolderError::UnknownRecord { segment })?;
            if let (true, Record::Stable { seq, .. }) = (entry.is_base, &record)
                && *seq > found
            {
                return Err(FolderError::SnapshotTooOld { journal: *seq, snapshot: found });
            }
            records.push(record);
        }
        let journal_bytes = journal.bytes_since_base();
        Ok((Self { journal, snapshots }, Stored { snapshot, records, journal_bytes, torn_tail }))
    }

    /// Does these tasks in their order, with as few syncs as that takes. Returns the position up
    /// to which everything is durable, if that changed.
    ///
    /// # Errors
    /// If the storage fails: then the replica must stop.
    pub fn perform(
        journal: &mut Journal,
        tasks: impl IntoIterator<Item = JournalTask>,
    ) -> Result<Option<Position>, JournalError> {
        let (mut durable, mut unsynced_bytes) = (None, 0);
        for task in tasks {
            match task {
                JournalTask::Append { records, position } => {
                    let bytes: usize = records.iter().map(Vec::len).sum();
                    if unsynced_bytes + bytes > GROUP_BYTES_MAX {
                        journal.sync()?;
                        unsynced_bytes = 0;
                    }
                    journal.append(&records)?;
                    unsynced_bytes += bytes;
                    assert!(durable < Some(position), "tasks come in the order of the effects");
                    durable = Some(position);
                }
                JournalTask::Rotate { base } => {
                    journal.rotate(&base)?;
                    unsynced_bytes = 0;
                }
                JournalTask::DropOldSegments => {
                    if let Some(newest) = journal.newest_base() {
                        journal.delete_before(newest)?;
                    }
                }
            }
        }
        journal.sync()?;
        Ok(durable)
    }

    /// Makes a state the durable snapshot.
    ///
    /// # Errors
    /// If the storage fails: then the replica must stop.
    pub fn save(
        snapshots: &mut SnapshotStore,
        state: &CheckpointState,
    ) -> Result<(), SnapshotError> {
        snapshots.save(state.seq(), state.tree())
    }
}

fn exists(error: &BackendError) -> bool {
    error.cause == Cause::Os(Errno::EXIST)
}
