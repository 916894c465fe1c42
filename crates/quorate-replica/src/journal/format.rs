//! Bytes on disk: the header of a segment, and frames of records cut into checked sectors. The
//! tables are in `docs/storage.md`, and golden files pin them.

use super::error::{Damage, JournalError};
use super::segment::SegmentNumber;
use super::{FRAME_BYTES_MAX, JournalIdentity, RECORD_BYTES_MAX};
use crate::backend::SECTOR_BYTES;
use pbft::{Digest, ReplicaId};
use std::fmt;

pub(super) type Sector = [u8; SECTOR_BYTES];

/// The format this program writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"QuorateJ";

/// Where the header's checksum is, in every format.
const HEADER_CHECKSUM: usize = SECTOR_BYTES - 4;

/// The first sector of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: JournalIdentity,
    pub(super) segment: SegmentNumber,
    /// The length of the file.
    pub(super) bytes: u64,
    /// Where the frames of the segment before end; all of them were durable when this segment was
    /// created. Zero if there was none.
    pub(super) previous_end: u64,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged(Damage),
    NewerFormat(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Sector {
        let mut sector = [0; SECTOR_BYTES];
        sector[..8].copy_from_slice(MAGIC);
        sector[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        sector[12..16].copy_from_slice(&self.identity.replica.get().to_le_bytes());
        sector[16..48].copy_from_slice(self.identity.cluster.as_bytes());
        sector[48..56].copy_from_slice(&self.segment.get().to_le_bytes());
        sector[56..64].copy_from_slice(&self.bytes.to_le_bytes());
        sector[64..72].copy_from_slice(&self.previous_end.to_le_bytes());
        let checksum = crc32c::crc32c(&sector[..HEADER_CHECKSUM]);
        sector[HEADER_CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        sector
    }

    /// The checksum is looked at first, so that a flipped bit in the format field is damage and
    /// not a newer format.
    pub(super) fn decode(sector: &Sector) -> Result<Self, HeaderFault> {
        if sector[..8] != *MAGIC {
            return Err(HeaderFault::Damaged(Damage::Magic));
        }
        if crc32c::crc32c(&sector[..HEADER_CHECKSUM]) != salt(sector) {
            return Err(HeaderFault::Damaged(Damage::HeaderChecksum));
        }
        let format = u32_at(sector, 8);
        if format > FORMAT {
            return Err(HeaderFault::NewerFormat(format));
        }
        let mut cluster = [0; 32];
        cluster.copy_from_slice(&sector[16..48]);
        Ok(Self {
            identity: JournalIdentity {
                cluster: Digest::from_bytes(cluster),
                replica: ReplicaId::new(u32_at(sector, 12)),
            },
            segment: SegmentNumber::new(u64_at(sector, 48)),
            bytes: u64_at(sector, 56),
            previous_end: u64_at(sector, 64),
        })
    }
}

/// What every checksum in a segment starts from: the checksum of its header, so that no sector is
/// valid in the file of another segment, replica or cluster.
pub(super) fn salt(header: &Sector) -> u32 {
    u32_at(header, HEADER_CHECKSUM)
}

/// In front of the body of each sector: its checksum and its kind.
const SECTOR_OVERHEAD_BYTES: usize = 5;
const BODY_BYTES: usize = SECTOR_BYTES - SECTOR_OVERHEAD_BYTES;

/// Not zero, so that no written sector looks like one that was never written.
const KIND_FIRST: u8 = 1;
const KIND_FOLLOWING: u8 = 2;

/// In front of the records of a frame: how many bytes they take, how many they are, and the
/// frame's kind.
const FRAME_HEADER_BYTES: usize = 9;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// Records appended by the host.
    Group,
    /// Records of the host that restate what older segments say; only as the first frame.
    Base,
    /// One record, the number of a segment with a base: older segments are no longer needed.
    Floor,
}

impl FrameKind {
    const ALL: [Self; 3] = [Self::Group, Self::Base, Self::Floor];

    fn code(self) -> u8 {
        match self {
            Self::Group => 0,
            Self::Base => 1,
            Self::Floor => 2,
        }
    }
}

/// A group of records on its way to the disk.
pub(super) struct FrameBuilder {
    kind: FrameKind,
    record_count: u32,
    /// Each record behind its length.
    payload: Vec<u8>,
}

impl FrameBuilder {
    pub(super) fn new(kind: FrameKind) -> Self {
        Self { kind, record_count: 0, payload: Vec::new() }
    }

    /// The frame that says that segments older than this one are no longer needed.
    pub(super) fn floor(segment: SegmentNumber) -> Self {
        let mut frame = Self::new(FrameKind::Floor);
        frame.push(&segment.get().to_le_bytes());
        frame
    }

    pub(super) fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Adds all of the records or none.
    pub(super) fn push_all<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<(), JournalError> {
        let mut bytes = self.payload.len();
        for record in records.iter().map(AsRef::as_ref) {
            if record.len() > RECORD_BYTES_MAX {
                return Err(JournalError::RecordTooLong { bytes: record.len() });
            }
            bytes += 4 + record.len();
            if bytes > FRAME_BYTES_MAX {
                return Err(JournalError::FrameTooLong);
            }
        }
        self.payload.reserve(bytes - self.payload.len());
        records.iter().for_each(|record| self.push(record.as_ref()));
        Ok(())
    }

    fn push(&mut self, record: &[u8]) {
        self.payload.extend_from_slice(&length_field(record.len()));
        self.payload.extend_from_slice(record);
        self.record_count += 1;
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        (sector_count(self.payload.len()) * SECTOR_BYTES) as u64
    }

    /// The sectors of this frame at offset `start` of a segment with this salt.
    pub(super) fn encode(&self, salt: u32, start: u64) -> Vec<u8> {
        let mut header = [0; FRAME_HEADER_BYTES];
        header[..4].copy_from_slice(&length_field(self.payload.len()));
        header[4..8].copy_from_slice(&self.record_count.to_le_bytes());
        header[8] = self.kind.code();

        let mut sectors = vec![0; sector_count(self.payload.len()) * SECTOR_BYTES];
        let mut rest = self.payload.as_slice();
        for (index, sector) in sectors.chunks_exact_mut(SECTOR_BYTES).enumerate() {
            let mut body = &mut sector[SECTOR_OVERHEAD_BYTES..];
            if index == 0 {
                body[..FRAME_HEADER_BYTES].copy_from_slice(&header);
                body = &mut body[FRAME_HEADER_BYTES..];
            }
            let (piece, behind) = rest.split_at(rest.len().min(body.len()));
            body[..piece.len()].copy_from_slice(piece);
            rest = behind;
            sector[4] = kind_of(index);
            let checksum = sector_checksum(sector, salt, start, index);
            sector[..4].copy_from_slice(&checksum.to_le_bytes());
        }
        sectors
    }
}

impl fmt::Debug for FrameBuilder {
    /// Without the records, which may be many megabytes of other people's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, record_count, payload } = self;
        write!(f, "{kind:?}({record_count} records, {} bytes)", payload.len())
    }
}

/// What a sector is, as seen from the frame that starts at a given offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectorState {
    /// Never written.
    Zero,
    /// Written as this sector of this frame.
    Valid,
    /// Neither.
    Invalid,
}

/// Judges the sector with this index in the frame that starts at `start`.
pub(super) fn sector_state(sector: &[u8], salt: u32, start: u64, index: usize) -> SectorState {
    if is_zero(sector) {
        return SectorState::Zero;
    }
    let is_valid = sector[4] == kind_of(index)
        && u32_at(sector, 0) == sector_checksum(sector, salt, start, index);
    if is_valid { SectorState::Valid } else { SectorState::Invalid }
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Covers everything but itself, and where the sector is: which segment, where its frame starts,
/// and which sector of the frame it is. So no sector is valid at any other place.
fn sector_checksum(sector: &[u8], salt: u32, start: u64, index: usize) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&start.to_le_bytes());
    place[8..].copy_from_slice(&(index as u64).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &place), &sector[4..])
}

fn kind_of(index: usize) -> u8 {
    if index == 0 { KIND_FIRST } else { KIND_FOLLOWING }
}

/// What the first sector of a frame says about the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    payload_bytes: usize,
    record_count: u32,
    pub(super) kind: FrameKind,
}

impl FrameHeader {
    /// `sector` is the valid first sector of a frame. `None` if it says something impossible.
    pub(super) fn decode(sector: &Sector) -> Option<Self> {
        let payload_bytes = u32_at(sector, SECTOR_OVERHEAD_BYTES) as usize;
        let record_count = u32_at(sector, SECTOR_OVERHEAD_BYTES + 4);
        let code = sector[SECTOR_OVERHEAD_BYTES + 8];
        let kind = FrameKind::ALL.into_iter().find(|kind| kind.code() == code)?;
        let is_possible = payload_bytes <= FRAME_BYTES_MAX;
        is_possible.then_some(Self { payload_bytes, record_count, kind })
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        (sector_count(self.payload_bytes) * SECTOR_BYTES) as u64
    }

    /// The records in the frame's sectors, all of them valid. `None` if their lengths do not add
    /// up.
    pub(super) fn records(&self, sectors: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut payload = Vec::with_capacity(sectors.len());
        for sector in sectors.chunks_exact(SECTOR_BYTES) {
            payload.extend_from_slice(&sector[SECTOR_OVERHEAD_BYTES..]);
        }
        let end = FRAME_HEADER_BYTES.checked_add(self.payload_bytes)?;
        let mut rest = payload.get(FRAME_HEADER_BYTES..end)?;
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let (record, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            records.push(record.to_vec());
            rest = behind;
        }
        (records.len() == self.record_count as usize).then_some(records)
    }
}

fn sector_count(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).div_ceil(BODY_BYTES)
}

fn length_field(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("records and frames are limited far below 4 GB").to_le_bytes()
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes[offset..].first_chunk().expect("fields lie inside a sector");
    u32::from_le_bytes(*field)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let field = bytes[offset..].first_chunk().expect("fields lie inside a sector");
    u64::from_le_bytes(*field)
}
