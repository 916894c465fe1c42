//! Segment files made byte by byte, as `docs/storage.md` lays them out, with right checksums: so
//! that what is behind the checksums meets any content too.

use super::{IDENTITY, Opened, opened};
use crate::script::Script;
use quorate_replica::{Backend, BackendError, MemoryBackend, SECTOR_BYTES};
use std::sync::Arc;

const HEADER_CHECKSUM: usize = SECTOR_BYTES - 4;
/// The checksum and the kind of a sector.
const SECTOR_OVERHEAD_BYTES: usize = 5;
const BODY_BYTES: usize = SECTOR_BYTES - SECTOR_OVERHEAD_BYTES;
/// So long, in sectors, a file is at most.
const SECTORS_MAX: usize = 32;
/// Files of one journal at most.
const FILES_MAX: usize = 8;

/// Files as the script says, opened.
pub(super) fn found(script: &mut Script<'_>) -> Option<Opened> {
    let backend = MemoryBackend::new();
    for _ in 0..FILES_MAX {
        let Some((number, content)) = segment(script) else { break };
        // Two files cannot have one name.
        let _ = write(&backend, number, &content);
    }
    Some(opened(Arc::new(backend)).map_or(Opened::Refused, |(_, opened)| opened))
}

fn write(backend: &MemoryBackend, number: u8, content: &[u8]) -> Result<(), BackendError> {
    backend.create(&format!("journal-{number:020}"))?.write_at(0, content)
}

/// The next file: its number, its length and where the one before it ends in sectors, what is odd
/// about its header, and then its sectors, each or each frame behind two bytes of length.
fn segment(script: &mut Script<'_>) -> Option<(u8, Vec<u8>)> {
    let number = script.byte()?;
    let sector_count = usize::from(script.byte()?) % SECTORS_MAX;
    let previous_end = u64::from(script.byte()?) * SECTOR_BYTES as u64;
    let oddity = script.byte()?;
    let header = header(number, (sector_count * SECTOR_BYTES) as u64, previous_end, oddity);
    let salt = &header[HEADER_CHECKSUM..];
    let salt = u32::from_le_bytes(salt.try_into().expect("four bytes"));
    let mut content = header.to_vec();
    let mut frame_start = content.len();
    while content.len() < sector_count * SECTOR_BYTES {
        let Some(what) = script.byte() else { break };
        let length = usize::from(script.short().unwrap_or(0));
        if what % 5 < 2 {
            frame_start = content.len();
        }
        let index = (content.len() - frame_start) / SECTOR_BYTES;
        match what % 5 {
            0 => content.extend(frame(salt, frame_start, script.bytes(length))),
            1 => content.extend(sector(salt, frame_start, 0, script.bytes(length))),
            2 => content.extend(sector(salt, frame_start, index, script.bytes(length))),
            3 => content.resize(content.len() + SECTOR_BYTES, 0),
            _ => content.extend(padded(script.bytes(length))),
        }
    }
    let cut = if oddity & 0x80 == 0 { 0 } else { usize::from(number) };
    content.resize((sector_count * SECTOR_BYTES).saturating_sub(cut), 0);
    Some((number, content))
}

fn header(number: u8, bytes: u64, previous_end: u64, oddity: u8) -> [u8; SECTOR_BYTES] {
    let mut sector = [0; SECTOR_BYTES];
    if oddity & 1 != 0 {
        // It was never written.
        return sector;
    }
    let is_odd = |bit: u8| u64::from(oddity >> bit & 1);
    sector[..8].copy_from_slice(b"QuorateJ");
    sector[8..12].copy_from_slice(&(1 + is_odd(1) as u32).to_le_bytes());
    sector[12..16].copy_from_slice(&(IDENTITY.replica.get() + is_odd(2) as u32).to_le_bytes());
    sector[16..48].copy_from_slice(IDENTITY.cluster.as_bytes());
    sector[16] ^= is_odd(3) as u8;
    sector[48..56].copy_from_slice(&(u64::from(number) + is_odd(4)).to_le_bytes());
    let impossible = u64::MAX * is_odd(5);
    sector[56..64].copy_from_slice(&(bytes ^ impossible).to_le_bytes());
    sector[64..72].copy_from_slice(&(previous_end + is_odd(6)).to_le_bytes());
    let checksum = crc32c::crc32c(&sector[..HEADER_CHECKSUM]);
    sector[HEADER_CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    sector
}

/// A sound frame: its kind, then its records, each behind a byte of length.
fn frame(salt: u32, start: usize, data: &[u8]) -> Vec<u8> {
    let mut script = Script::new(data);
    let kind = script.byte().unwrap_or(0) % 3;
    let (mut payload, mut record_count) = (Vec::new(), 0_u32);
    while let Some(length) = script.byte() {
        let record = script.bytes(usize::from(length));
        payload.extend_from_slice(&(record.len() as u32).to_le_bytes());
        payload.extend_from_slice(record);
        record_count += 1;
    }
    let mut body = (payload.len() as u32).to_le_bytes().to_vec();
    body.extend_from_slice(&record_count.to_le_bytes());
    body.push(kind);
    body.append(&mut payload);
    let pieces = body.chunks(BODY_BYTES).enumerate();
    pieces.flat_map(|(index, piece)| sector(salt, start, index, piece)).collect()
}

/// The sector with this index of the frame at `start`, whatever its body says.
fn sector(salt: u32, start: usize, index: usize, body: &[u8]) -> [u8; SECTOR_BYTES] {
    let mut sector = [0; SECTOR_BYTES];
    sector[4] = if index == 0 { 1 } else { 2 };
    let body = &body[..body.len().min(BODY_BYTES)];
    sector[SECTOR_OVERHEAD_BYTES..][..body.len()].copy_from_slice(body);
    let place = [(start as u64).to_le_bytes(), (index as u64).to_le_bytes()].concat();
    let checksum = crc32c::crc32c_append(crc32c::crc32c_append(salt, &place), &sector[4..]);
    sector[..4].copy_from_slice(&checksum.to_le_bytes());
    sector
}

fn padded(raw: &[u8]) -> [u8; SECTOR_BYTES] {
    let mut sector = [0; SECTOR_BYTES];
    let raw = &raw[..raw.len().min(SECTOR_BYTES)];
    sector[..raw.len()].copy_from_slice(raw);
    sector
}
