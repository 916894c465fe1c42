//! The journal: an append-only log of opaque records in segment files, made durable in groups.
//!
//! It keeps two promises, and refuses to work rather than to break one:
//!
//! - a record whose [`Journal::sync`] returned `Ok` is found again, once and in its place, by every
//!   later [`Journal::open`];
//! - what cannot have come from a torn last write is reported as damage. Only the end of the log
//!   that no sync ever confirmed is cut off.
//!
//! What the records mean, and when which of them must be durable, belongs to the host. The bytes
//! on disk and the reasons for them are in `docs/storage.md`.

pub(crate) mod error;
mod format;
pub(crate) mod recovery;
pub(crate) mod segment;

use crate::backend::{Backend, SECTOR_BYTES};
use error::JournalError;
use format::{FrameBuilder, FrameKind};
use pbft::{Digest, ReplicaId};
use recovery::Recovered;
use segment::{FIRST_FRAME, Segment, SegmentNumber};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 32 << 20;

/// The most bytes of records between two syncs, or in one base, their length fields included.
pub const FRAME_BYTES_MAX: usize = 1 << 30;

/// The shortest segment, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 16 * SECTOR_BYTES as u64;

/// Whose journal it is. Written into every segment, so that a folder that belongs to another
/// replica or another cluster is never taken for one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalIdentity {
    /// The cluster.
    pub cluster: Digest,
    /// The replica.
    pub replica: ReplicaId,
}

/// How the journal uses the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The size of a segment file, reserved when it is created: at least [`SEGMENT_BYTES_MIN`],
    /// rounded up to whole sectors. What is too long for it gets a longer segment.
    pub segment_bytes: u64,
}

impl Default for JournalConfig {
    /// 64 MB.
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// An open journal, positioned behind the last record.
///
/// After any failed write or sync it is *stopped*: every later call returns the first error
/// again. A sync is never tried twice, because the operating system forgets what it failed to
/// write.
#[derive(Debug)]
pub struct Journal {
    backend: Arc<dyn Backend>,
    identity: JournalIdentity,
    config: JournalConfig,
    current: Segment,
    /// Where in the current segment the next frame goes. **Invariant:** everything in front of it
    /// is durable, everything behind it is zero.
    end: u64,
    oldest: SegmentNumber,
    /// The segments that begin with a complete base.
    bases: BTreeSet<SegmentNumber>,
    bytes_since_base: u64,
    /// Records appended since the last sync.
    pending: FrameBuilder,
    /// Why the journal is stopped, if it is.
    failure: Option<JournalError>,
}

impl Journal {
    /// Makes a new, empty journal. Fails if there is one: an existing journal holds promises.
    ///
    /// A segment that an interrupted creation left behind, which cannot hold anything, is
    /// replaced.
    pub fn create(
        backend: Arc<dyn Backend>,
        identity: JournalIdentity,
        config: JournalConfig,
    ) -> Result<Self, JournalError> {
        recovery::remove_unfinished_creation(&*backend)?;
        let segment = SegmentNumber::FIRST;
        let bytes = segment_bytes(config, 0);
        let current = Segment::create(&*backend, identity, segment, bytes, 0)?;
        Ok(Self {
            backend,
            identity,
            config,
            current,
            end: FIRST_FRAME,
            oldest: segment,
            bases: BTreeSet::new(),
            bytes_since_base: 0,
            pending: FrameBuilder::new(FrameKind::Group),
            failure: None,
        })
    }

    /// Opens an existing journal: checks every byte of it, cuts off a torn end, makes sure that
    /// whatever it returns is durable, and returns the records of all segments to be read in
    /// order.
    ///
    /// Fails with [`JournalError::Missing`] if there is none. A replica that finds its journal
    /// missing or damaged has forgotten promises and must rejoin; it must not simply create a new
    /// one.
    pub fn open(
        backend: Arc<dyn Backend>,
        identity: JournalIdentity,
        config: JournalConfig,
    ) -> Result<(Self, Recovered), JournalError> {
        let found = recovery::recover(&*backend, identity)?;
        let recovered = Recovered::new(&found);
        let journal = Self {
            backend,
            identity,
            config,
            current: found.last.segment,
            end: found.last.end,
            oldest: found.oldest,
            bases: found.bases,
            bytes_since_base: found.bytes_since_base,
            pending: FrameBuilder::new(FrameKind::Group),
            failure: None,
        };
        Ok((journal, recovered))
    }

    /// Adds records to the group that the next [`Journal::sync`] writes. Nothing reaches the disk
    /// yet. Fails, adding none of them, if one is longer than [`RECORD_BYTES_MAX`] or the group
    /// would be larger than [`FRAME_BYTES_MAX`]; the journal goes on after that.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<(), JournalError> {
        self.check_running()?;
        self.pending.push_all(records)
    }

    /// Writes all appended records in one write and makes them durable with one sync. Does nothing
    /// if there are none.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.check_running()?;
        let synced = self.write_pending();
        self.stop_on_failure(synced)
    }

    /// Starts a new segment with `base`, the records that restate everything still needed from
    /// before, so that older segments can go once the host needs them for nothing else. Appended
    /// records are made durable first. When this returns, the base is durable, whole.
    pub fn rotate<R: AsRef<[u8]>>(&mut self, base: &[R]) -> Result<SegmentNumber, JournalError> {
        self.check_running()?;
        let mut frame = FrameBuilder::new(FrameKind::Base);
        frame.push_all(base)?;
        let rotated = self.write_base(&frame);
        self.stop_on_failure(rotated)?;
        Ok(self.current.number)
    }

    /// Removes all segments older than `segment`. Appended records are made durable first. That
    /// the older ones are no longer needed is itself made durable before the first of them goes:
    /// so [`Journal::open`] can tell one that was removed from one that was lost, and finishes a
    /// removal that a crash interrupted.
    ///
    /// # Panics
    ///
    /// If `segment` is not one that [`Journal::rotate`] returned or that was recovered with a base:
    /// without it, what the older ones say would be lost.
    pub fn delete_before(&mut self, segment: SegmentNumber) -> Result<(), JournalError> {
        self.check_running()?;
        assert!(self.bases.contains(&segment), "segment {segment} does not begin with a base");
        let deleted = self.remove_before(segment);
        self.stop_on_failure(deleted)
    }

    /// The oldest segment still there.
    pub fn oldest_segment(&self) -> SegmentNumber {
        self.oldest
    }

    /// The newest segment that begins with a base; `None` before the first [`Journal::rotate`].
    pub fn newest_base(&self) -> Option<SegmentNumber> {
        self.bases.last().copied()
    }

    /// How many bytes were written since the newest base, itself included, or since the creation.
    pub fn bytes_since_base(&self) -> u64 {
        self.bytes_since_base
    }

    fn write_pending(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let frame = std::mem::replace(&mut self.pending, FrameBuilder::new(FrameKind::Group));
        self.write_behind(&frame)
    }

    /// The base is durable before anybody can ask to delete what it restates [DU2].
    fn write_base(&mut self, frame: &FrameBuilder) -> Result<(), JournalError> {
        self.write_pending()?;
        self.start_segment(frame)?;
        self.bytes_since_base = 0;
        self.write_frame(frame)?;
        self.bases.insert(self.current.number);
        Ok(())
    }

    /// Writes a frame where there is room for it: in this segment or, if it does not fit, in the
    /// next.
    fn write_behind(&mut self, frame: &FrameBuilder) -> Result<(), JournalError> {
        if self.end + frame.bytes_on_disk() > self.current.bytes {
            self.start_segment(frame)?;
        }
        self.write_frame(frame)
    }

    /// The one place that writes frames. Nothing is written behind a frame before that frame is
    /// durable: that is what tells a torn end from damage when the journal is opened.
    fn write_frame(&mut self, frame: &FrameBuilder) -> Result<(), JournalError> {
        let bytes = frame.encode(self.current.salt, self.end);
        self.current.file.write_at(self.end, &bytes)?;
        self.current.file.sync()?;
        self.end += bytes.len() as u64;
        self.bytes_since_base += bytes.len() as u64;
        Ok(())
    }

    /// Everything in the current segment is durable when this is called, so the new one can name
    /// the position where the current one ends.
    fn start_segment(&mut self, first: &FrameBuilder) -> Result<(), JournalError> {
        let bytes = segment_bytes(self.config, first.bytes_on_disk());
        let number = self.current.number.next();
        self.current = Segment::create(&*self.backend, self.identity, number, bytes, self.end)?;
        self.end = FIRST_FRAME;
        Ok(())
    }

    fn remove_before(&mut self, segment: SegmentNumber) -> Result<(), JournalError> {
        if self.oldest == segment {
            return Ok(());
        }
        self.write_pending()?;
        self.write_behind(&FrameBuilder::floor(segment))?;
        while self.oldest < segment {
            self.backend.remove(&self.oldest.file_name())?;
            self.bases.remove(&self.oldest);
            self.oldest = self.oldest.next();
        }
        Ok(self.backend.sync_directory()?)
    }

    fn check_running(&self) -> Result<(), JournalError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// After a failure nobody knows what is durable, so nothing more is promised [DU1].
    fn stop_on_failure<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &result {
            self.failure = Some(error.clone());
        }
        result
    }
}

/// The size of a segment that has room for a first frame of so many bytes.
fn segment_bytes(config: JournalConfig, first_frame_bytes: u64) -> u64 {
    let wanted = config.segment_bytes.max(SEGMENT_BYTES_MIN);
    wanted.max(FIRST_FRAME + first_frame_bytes).next_multiple_of(SECTOR_BYTES as u64)
}
