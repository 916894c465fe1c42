//! A durable replica: protocol core, journal, state tree, snapshots and service calls, synchronous and deterministic.

mod backend;

pub use backend::database::{DatabaseFile, backend_error_in};
pub use backend::file::FileBackend;
pub use backend::memory::{Crash, MemoryBackend, OperationCounts, SECTOR_BYTES};
pub use backend::{Backend, BackendError, BackendFile, Cause, FILE_NAME_BYTES_MAX, Operation};
