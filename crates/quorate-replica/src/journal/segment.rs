//! One segment file: how it is born, and how frames are read back from it.

use super::JournalIdentity;
use super::error::{Damage, JournalError};
use super::format::{
    self, FORMAT, FrameHeader, FrameKind, HeaderFault, Sector, SectorState, SegmentHeader,
};
use crate::backend::{Backend, BackendFile, SECTOR_BYTES};
use std::fmt;
use std::sync::Arc;

const SECTOR_BYTES_U64: u64 = SECTOR_BYTES as u64;

/// Where the first frame of a segment is: behind the header.
pub(super) const FIRST_FRAME: u64 = SECTOR_BYTES_U64;

/// The number of a segment: dense, from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentNumber(u64);

impl SegmentNumber {
    /// The segment a new journal begins with.
    pub const FIRST: Self = Self(1);

    /// Wraps a plain number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number before this one. Segments are counted from 1.
    pub(super) fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    pub(super) fn file_name(self) -> String {
        format!("{FILE_PREFIX}{:020}", self.0)
    }

    /// `None` if the name is not that of a segment.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let number = Self(name.strip_prefix(FILE_PREFIX)?.parse().ok()?);
        let is_canonical = number.0 > 0 && number.0 < u64::MAX && number.file_name() == name;
        is_canonical.then_some(number)
    }
}

const FILE_PREFIX: &str = "journal-";

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An open segment whose header is sound.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: SegmentNumber,
    pub(super) file: Arc<dyn BackendFile>,
    /// The length of the file.
    pub(super) bytes: u64,
    /// See [`format::salt`].
    pub(super) salt: u32,
    /// See [`SegmentHeader`].
    pub(super) previous_end: u64,
}

/// What is at the place where a frame could start.
pub(super) enum Place {
    /// A whole frame.
    Frame(Frame),
    /// Some sector of a frame was never written: the end of the log, or a torn write.
    Unfinished,
}

/// A whole frame, as read.
pub(super) struct Frame {
    pub(super) start: u64,
    pub(super) kind: FrameKind,
    pub(super) records: Vec<Vec<u8>>,
    /// As on disk.
    pub(super) sectors: Vec<u8>,
}

impl Frame {
    pub(super) fn end(&self) -> u64 {
        self.start + self.sectors.len() as u64
    }

    /// What a frame of kind [`FrameKind::Floor`] says; `None` if it does not say one thing.
    pub(super) fn floor(&self) -> Option<SegmentNumber> {
        let [record] = self.records.as_slice() else {
            return None;
        };
        Some(SegmentNumber(u64::from_le_bytes(record.as_slice().try_into().ok()?)))
    }
}

impl Segment {
    /// Makes a new segment. When this returns, the file, its name and its header are durable and
    /// its whole length is reserved and zero.
    pub(super) fn create(
        backend: &dyn Backend,
        identity: JournalIdentity,
        number: SegmentNumber,
        bytes: u64,
        previous_end: u64,
    ) -> Result<Self, JournalError> {
        let header = SegmentHeader { identity, segment: number, bytes, previous_end }.encode();
        let file = backend.create(&number.file_name())?;
        file.preallocate(bytes)?;
        file.write_at(0, &header)?;
        file.sync()?;
        backend.sync_directory()?;
        Ok(Self { number, file, bytes, salt: format::salt(&header), previous_end })
    }

    /// Opens a segment and checks its header and length. `None` if its creation was interrupted:
    /// nothing in the file was ever written.
    pub(super) fn open(
        backend: &dyn Backend,
        identity: JournalIdentity,
        number: SegmentNumber,
    ) -> Result<Option<Self>, JournalError> {
        let file = backend.open(&number.file_name())?;
        let found = file.byte_count()?;
        let damaged = |why| JournalError::damaged(number, 0, why);
        let mut sector: Sector = [0; SECTOR_BYTES];
        let header_bytes = SECTOR_BYTES.min(usize::try_from(found).unwrap_or(SECTOR_BYTES));
        file.read_at(0, &mut sector[..header_bytes])?;
        if format::is_zero(&sector) {
            let is_unborn = first_nonzero(&*file, FIRST_FRAME.min(found), found)?.is_none();
            return if is_unborn { Ok(None) } else { Err(damaged(Damage::HeaderMissing)) };
        }
        let header = SegmentHeader::decode(&sector).map_err(|fault| match fault {
            HeaderFault::Damaged(why) => damaged(why),
            HeaderFault::NewerFormat(found) => {
                JournalError::NewerFormat { segment: number, found, known: FORMAT }
            }
        })?;
        check_header(&header, identity, number)?;
        if found != header.bytes {
            return Err(damaged(Damage::FileLength { expected: header.bytes, found }));
        }
        let SegmentHeader { bytes, previous_end, .. } = header;
        Ok(Some(Self { number, file, bytes, salt: format::salt(&sector), previous_end }))
    }

    /// Reads the frame at `start`, which must end at `limit` at the latest. Every sector read is
    /// either untouched or one of this frame's; anything else is damage.
    pub(super) fn read_frame(&self, start: u64, limit: u64) -> Result<Place, JournalError> {
        if start == limit {
            return Ok(Place::Unfinished);
        }
        let mut first: Sector = [0; SECTOR_BYTES];
        self.file.read_at(start, &mut first)?;
        match format::sector_state(&first, self.salt, start, 0) {
            SectorState::Zero => return Ok(Place::Unfinished),
            SectorState::Invalid => return Err(self.damaged(start, Damage::SectorChecksum)),
            SectorState::Valid => {}
        }
        let impossible = || self.damaged(start, Damage::FrameContent);
        let header = FrameHeader::decode(&first).ok_or_else(impossible)?;
        let is_misplaced = header.kind == FrameKind::Base && start != FIRST_FRAME;
        if is_misplaced || header.bytes_on_disk() > limit - start {
            return Err(impossible());
        }
        let bytes = usize::try_from(header.bytes_on_disk()).map_err(|_| impossible())?;
        let mut sectors = vec![0; bytes];
        self.file.read_at(start, &mut sectors)?;
        for (index, sector) in sectors.chunks_exact(SECTOR_BYTES).enumerate() {
            match format::sector_state(sector, self.salt, start, index) {
                SectorState::Valid => {}
                SectorState::Zero => return Ok(Place::Unfinished),
                SectorState::Invalid => {
                    let offset = start + (index * SECTOR_BYTES) as u64;
                    return Err(self.damaged(offset, Damage::SectorChecksum));
                }
            }
        }
        let records = header.records(&sectors).ok_or_else(impossible)?;
        Ok(Place::Frame(Frame { start, kind: header.kind, records, sectors }))
    }

    /// Where the remains of a torn frame at `start` end; `start` itself if there are none.
    ///
    /// From `start` to the end of the file every sector must be untouched or belong to the one
    /// frame that was being written when the power went. A sector that is neither was damaged, or
    /// belongs to a later frame, which proves that the one at `start` was durable once.
    pub(super) fn torn_end(&self, start: u64) -> Result<u64, JournalError> {
        let mut end = start;
        let mut sector: Sector = [0; SECTOR_BYTES];
        let mut next = first_nonzero(&*self.file, start, self.bytes)?;
        while let Some(offset) = next {
            self.file.read_at(offset, &mut sector)?;
            let index = usize::try_from((offset - start) / SECTOR_BYTES_U64).unwrap_or(usize::MAX);
            if format::sector_state(&sector, self.salt, start, index) == SectorState::Invalid {
                return Err(self.damaged(offset, Damage::SectorChecksum));
            }
            end = offset + SECTOR_BYTES_U64;
            next = first_nonzero(&*self.file, end, self.bytes)?;
        }
        Ok(end)
    }

    pub(super) fn damaged(&self, offset: u64, why: Damage) -> JournalError {
        JournalError::damaged(self.number, offset, why)
    }
}

fn check_header(
    header: &SegmentHeader,
    identity: JournalIdentity,
    number: SegmentNumber,
) -> Result<(), JournalError> {
    let found = header.identity;
    if found.cluster != identity.cluster {
        return Err(JournalError::WrongCluster { segment: number, found: found.cluster });
    }
    if found.replica != identity.replica {
        return Err(JournalError::WrongReplica { segment: number, found: found.replica });
    }
    let damaged = |why| JournalError::damaged(number, 0, why);
    if header.segment != number {
        return Err(damaged(Damage::WrongSegment { found: header.segment }));
    }
    let is_sound = header.bytes.is_multiple_of(SECTOR_BYTES_U64)
        && header.previous_end.is_multiple_of(SECTOR_BYTES_U64)
        && header.bytes >= FIRST_FRAME
        && (header.previous_end >= FIRST_FRAME) == (number != SegmentNumber::FIRST);
    if is_sound { Ok(()) } else { Err(damaged(Damage::HeaderContent)) }
}

/// How much of a segment's unused rest is looked at in one read.
const SCAN_BYTES: usize = 64 * 1024;

/// The offset of the first sector in `from..to` that was ever written. `from` and `to` are whole
/// sectors, except that `to` may be the end of a file cut short.
pub(super) fn first_nonzero(
    file: &dyn BackendFile,
    from: u64,
    to: u64,
) -> Result<Option<u64>, JournalError> {
    let mut buffer = vec![0; SCAN_BYTES];
    let mut offset = from;
    while offset < to {
        let wanted = usize::try_from(to - offset).unwrap_or(SCAN_BYTES).min(SCAN_BYTES);
        let piece = &mut buffer[..wanted];
        file.read_at(offset, piece)?;
        if let Some(index) = piece.chunks(SECTOR_BYTES).position(|s| !format::is_zero(s)) {
            return Ok(Some(offset + (index * SECTOR_BYTES) as u64));
        }
        offset += wanted as u64;
    }
    Ok(None)
}
