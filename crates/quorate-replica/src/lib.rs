//! A durable replica: the protocol core with a journal, a state tree, snapshots and calls of the
//! services around it. Synchronous and deterministic, so that the lab runs it unchanged.
//!
//! A [`Host`] is given [`HostInput`]s and hands out [`Effect`]s in their order. It has no thread,
//! socket or clock; what takes long (the journal, a snapshot, the hash of a checkpoint) leaves as
//! an effect and comes back as an input. A [`Folder`] carries out those that concern the disk, on
//! any [`Backend`]: a directory, or a memory that crashes on demand.
//!
//! Only this crate writes what a replica must remember, and only the outbox of the host lets
//! messages go, each not before what it depends on is durable. The formats are in
//! `docs/storage.md`.
//!
//! Reading order: `host`, `executor`, `tree`, `journal`, `snapshot`, `transfer`, `backend`, `recording`.

mod backend;
mod executor;
mod history;
mod host;
mod journal;
pub mod recording;
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
pub use executor::{CheckpointState, NO_SUCH_SERVICE, Services, StateError};
pub use host::effect::{Effect, HaltCause, JournalTask};
pub use host::folder::{Folder, FolderError};
pub use host::{Host, HostInput, HostStatus, SnapshotPolicy, Start, Stored};
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
