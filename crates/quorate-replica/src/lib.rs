//! A durable replica: protocol core, journal, state tree, snapshots and service calls, synchronous and deterministic.

mod backend;
mod executor;
mod history;
mod host;
mod journal;
mod snapshot;
#[cfg(test)]
mod testing;
mod transfer;
mod tree;

pub use backend::database::{DatabaseFile, backend_error_in};
pub use backend::file::FileBackend;
pub use backend::memory::{Crash, MemoryBackend, OperationCounts};
pub use backend::{
    Backend, BackendError, BackendFile, Cause, FILE_NAME_BYTES_MAX, Operation, SECTOR_BYTES,
};
pub use executor::{CheckpointState, NO_SUCH_SERVICE, OUTCOME_BYTES_MAX, Services, StateError};
pub use host::folder::{Folder, FolderError};
pub use host::{
    Effect, HaltCause, Host, HostInput, HostStatus, JournalTask, SnapshotPolicy, Start, Stored,
};
pub use journal::error::{Damage, JournalError};
pub use journal::recovery::{Recovered, RecoveredRecord, TornTail};
pub use journal::segment::SegmentNumber;
pub use journal::{
    FRAME_BYTES_MAX, Journal, JournalConfig, JournalIdentity, RECORD_BYTES_MAX, SEGMENT_BYTES_MIN,
};
pub use snapshot::{Snapshot, SnapshotDamage, SnapshotError, SnapshotStore};
pub use transfer::FetchProgress;
pub use tree::assembler::{Assembler, BadPart};
pub use tree::key::{NAMESPACE_BYTES_MAX, TREE_KEY_BYTES_MAX};
pub use tree::namespace::{Namespace, NamespaceMut};
pub use tree::part::{PART_BYTES_MAX, PART_ID_BYTES_MAX, PartId};
pub use tree::proof::{BadProof, PROOF_BYTES_MAX, Proof, Proved};
pub use tree::rebuild::BadRows;
pub use tree::value::{CHUNK_BYTES_MAX, INLINE_VALUE_BYTES_MAX, VALUE_BYTES_MAX};
pub use tree::{PAGE_BYTES_MAX, Tree};
