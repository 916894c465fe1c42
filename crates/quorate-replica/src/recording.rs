//! A recording of one start of a replica: what it started from, every input in its order, and what
//! each input led to. A [`Host`](crate::Host) is deterministic, so that the same inputs given to a
//! fresh one must lead to the same, bit for bit.
//!
//! A recording holds what clients wrote and what the replica's disk held. It holds no key: who
//! makes it happen again needs the replica's, because a replica signs. A result of
//! [`pbft::Service::choose`] is not an input; a replica whose services choose differently again
//! does not repeat.
//!
//! The format is written down in `docs/storage.md`, section *Recordings*.

mod belief;
mod entry;
mod frame;
mod origin;
mod output;

pub use entry::{Entry, RecordedInput};
pub use frame::{RecordingReader, RecordingWriter, is_recording};
pub use origin::{Beginning, Origin, read_start};
pub use output::{OutputKind, OutputMark};

use crate::StateError;
use crate::tree::rebuild::BadRows;
use pbft::{Reject, SeqNum};
use std::io;

/// Why bytes are not a recording that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else, or one of another version.
    #[error("this is no recording of version 2")]
    NotARecording,
    /// It is not what was written.
    #[error("the recording is damaged at byte {offset}")]
    Damaged {
        /// Where what is damaged begins.
        offset: u64,
    },
    /// What is in it does not follow what is before it.
    #[error("the recording is in disorder: {0}")]
    Disorder(&'static str),
    /// It names a number that no replica comes to.
    #[error("the recording names a number that no replica comes to")]
    OutOfRange,
    /// The replica that made it had something on its disk that no door lets in.
    #[error("the recording has a record that must not be believed: {0}")]
    Refused(Reject),
    /// No replica starts from what is in it.
    #[error("no replica starts from the recording: {0}")]
    Unusable(#[from] StateError),
    /// It ends before the replica had started.
    #[error("the recording ends before the replica had started")]
    NotStarted,
    /// It is not about this replica with this configuration.
    #[error("the recording is not of this replica, or its cluster.toml was another one")]
    OtherReplica,
    /// The state in it is none.
    #[error("the state in the recording: {0}")]
    State(#[from] BadRows),
    /// The state in it is another one than it is said to be.
    #[error("the state in the recording is not the one of checkpoint {seq}")]
    OtherState {
        /// The checkpoint.
        seq: SeqNum,
    },
}

#[cfg(test)]
mod tests;
