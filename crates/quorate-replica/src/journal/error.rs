//! Why a journal cannot be opened or written.

use super::segment::SegmentNumber;
use super::{FRAME_BYTES_MAX, RECORD_BYTES_MAX};
use crate::backend::BackendError;
use pbft::{Digest, ReplicaId};

/// A journal that could not be created, opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The storage failed. After a failed write or sync the journal stays stopped with this.
    #[error("the journal's storage failed: {0}")]
    Storage(#[from] BackendError),
    /// There is no journal to open. In a folder that had one, the replica's memory is lost.
    #[error("there is no journal in this folder")]
    Missing,
    /// There is a journal where a new one should be created.
    #[error("there is already a journal in this folder: '{file}'")]
    Exists {
        /// A file of it.
        file: String,
    },
    /// A segment is gone although an older or a newer one is there.
    #[error("journal segment {segment} is missing")]
    MissingSegment {
        /// The segment that should be there.
        segment: SegmentNumber,
    },
    /// Bytes that were durable once are no longer what was written.
    #[error("journal segment {segment} is damaged at byte {offset}: {why}")]
    Damaged {
        /// The segment.
        segment: SegmentNumber,
        /// The first byte of what is wrong, counted from the beginning of the file.
        offset: u64,
        /// What is wrong with it.
        why: Damage,
    },
    /// The journal belongs to another cluster.
    #[error("journal segment {segment} belongs to another cluster, {found:#}")]
    WrongCluster {
        /// The segment.
        segment: SegmentNumber,
        /// The cluster it names.
        found: Digest,
    },
    /// The journal belongs to another replica of the cluster.
    #[error("journal segment {segment} belongs to replica {found}")]
    WrongReplica {
        /// The segment.
        segment: SegmentNumber,
        /// The replica it names.
        found: ReplicaId,
    },
    /// The journal was written by a newer version of this program.
    #[error("journal segment {segment} has format {found}, and this program knows up to {known}")]
    NewerFormat {
        /// The segment.
        segment: SegmentNumber,
        /// Its format.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
    /// A record is too long. The journal goes on.
    #[error("a record of {bytes} bytes is longer than {max}", max = RECORD_BYTES_MAX)]
    RecordTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The records are too many for one group. The journal goes on.
    #[error("records between two syncs exceed {max} bytes", max = FRAME_BYTES_MAX)]
    FrameTooLong,
}

impl JournalError {
    pub(super) fn damaged(segment: SegmentNumber, offset: u64, why: Damage) -> Self {
        Self::Damaged { segment, offset, why }
    }
}

/// What is wrong with a damaged segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file does not begin as a segment does.
    #[error("this is not a journal segment")]
    Magic,
    /// The header does not match its checksum.
    #[error("the header does not match its checksum")]
    HeaderChecksum,
    /// The header was never written, although a later segment, or what follows, was.
    #[error("the header is missing")]
    HeaderMissing,
    /// The header says something impossible.
    #[error("the header contradicts itself")]
    HeaderContent,
    /// The file has the name of another segment.
    #[error("this is segment {found}")]
    WrongSegment {
        /// The number in the header.
        found: SegmentNumber,
    },
    /// The file was cut or extended.
    #[error("the file has {found} bytes instead of {expected}")]
    FileLength {
        /// As the header says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A sector is neither what was written here nor untouched.
    #[error("a sector does not match its checksum")]
    SectorChecksum,
    /// A sector that a later segment proves to have been durable was never written.
    #[error("a sector is missing")]
    SectorMissing,
    /// A frame whose checksums are right says something impossible.
    #[error("a frame contradicts itself")]
    FrameContent,
}
