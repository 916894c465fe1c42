//! Entries as bytes in a file: each behind its length, with checksums that also cover everything
//! before it, so that nothing can be changed, left out or exchanged unnoticed. They are against
//! accidents: whoever wants to can write a recording that is well formed.

use super::{Entry, RecordingError};
use std::io::{self, Read, Write};

/// Every recording begins with this, whose last byte is the version of the format.
const HEADER: &[u8; 16] = b"quorate input\0\0\x02";

/// No entry is longer, in bytes: one holds at most a message, a large value or a record.
const ENTRY_BYTES_MAX: usize = crate::RECORD_BYTES_MAX + 64;

/// In front of an entry: its length and two checksums, that of the length and that of the entry.
const FRAME_HEADER_BYTES: usize = 12;

/// Writes a recording.
#[derive(Debug)]
pub struct RecordingWriter<W> {
    out: W,
    /// The checksum of all entries so far.
    checksum: u32,
    bytes: u64,
    bytes_max: u64,
}

impl<W: Write> RecordingWriter<W> {
    /// Begins a recording of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(mut out: W, bytes_max: u64) -> io::Result<Self> {
        out.write_all(HEADER)?;
        Ok(Self { out, checksum: 0, bytes: HEADER.len() as u64, bytes_max })
    }

    /// Writes an [encoded](Entry::encode) entry.
    ///
    /// # Errors
    /// If it cannot be written, or the recording would become too long.
    pub fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        let length = u32::try_from(entry.len()).map_err(|_| too_long("an entry"))?;
        self.bytes += FRAME_HEADER_BYTES as u64 + u64::from(length);
        if entry.len() > ENTRY_BYTES_MAX || self.bytes > self.bytes_max {
            return Err(too_long("the recording"));
        }
        let length = length.to_le_bytes();
        let length_checksum = crc32c::crc32c_append(self.checksum, &length);
        self.checksum = crc32c::crc32c_append(length_checksum, entry);
        self.out.write_all(&length)?;
        self.out.write_all(&length_checksum.to_le_bytes())?;
        self.out.write_all(&self.checksum.to_le_bytes())?;
        self.out.write_all(entry)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn too_long(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} is longer than is allowed"))
}

/// Whether a recording, of whatever version, is read from here.
///
/// # Errors
/// If it cannot be read.
pub fn is_recording(source: impl Read) -> io::Result<bool> {
    let name = &HEADER[..HEADER.len() - 1];
    let mut found = Vec::new();
    source.take(name.len() as u64).read_to_end(&mut found)?;
    Ok(found == name)
}

/// Reads a recording. It may be anybody's: reading never panics, and takes no more memory than a
/// few times the bytes there are.
#[derive(Debug)]
pub struct RecordingReader<R> {
    source: R,
    checksum: u32,
    /// Where the next entry begins.
    offset: u64,
}

impl<R: Read> RecordingReader<R> {
    /// Begins to read a recording.
    ///
    /// # Errors
    /// If it is none, or cannot be read.
    pub fn new(mut source: R) -> Result<Self, RecordingError> {
        let mut header = Vec::new();
        (&mut source).take(HEADER.len() as u64).read_to_end(&mut header)?;
        if header != HEADER {
            return Err(RecordingError::NotARecording);
        }
        Ok(Self { source, checksum: 0, offset: HEADER.len() as u64 })
    }

    /// The next entry; `None` at the end. One that was not written to its end, because its writer
    /// was killed, is left out. Only behind [`Entry::End`] is nothing missing.
    ///
    /// # Errors
    /// If it is not what was written, or cannot be read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let damaged = RecordingError::Damaged { offset: self.offset };
        let header = self.read(FRAME_HEADER_BYTES)?;
        let Ok(header) = <[u8; FRAME_HEADER_BYTES]>::try_from(header.as_slice()) else {
            return Ok(None);
        };
        let [length, length_checksum, checksum] =
            [0, 4, 8].map(|at| [header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let expected = crc32c::crc32c_append(self.checksum, &length);
        let length = u32::from_le_bytes(length) as usize;
        if u32::from_le_bytes(length_checksum) != expected || length > ENTRY_BYTES_MAX {
            return Err(damaged);
        }
        let entry = self.read(length)?;
        if entry.len() < length {
            return Ok(None);
        }
        self.checksum = crc32c::crc32c_append(expected, &entry);
        if u32::from_le_bytes(checksum) != self.checksum {
            return Err(damaged);
        }
        self.offset += (FRAME_HEADER_BYTES + length) as u64;
        borsh::from_slice(&entry).map(Some).map_err(|_| damaged)
    }

    /// The next `count` bytes, or those that are left. Their room grows with what is there.
    fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.source).take(count as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
