//! Opening a journal that exists: which segments there are, what in them is whole, where the torn
//! end begins, and reading the records back.

use super::JournalIdentity;
use super::error::{Damage, JournalError};
use super::format::{self, FrameKind};
use super::segment::{FIRST_FRAME, Frame, Place, Segment, SegmentNumber, first_nonzero};
use crate::backend::Backend;
use std::collections::{BTreeSet, VecDeque};

/// What opening found, after every check and repair.
pub(super) struct Found {
    /// All segments but the last.
    before: Vec<Extent>,
    pub(super) last: Extent,
    pub(super) oldest: SegmentNumber,
    pub(super) bases: BTreeSet<SegmentNumber>,
    pub(super) bytes_since_base: u64,
    torn: Option<TornTail>,
}

/// A segment and where its frames end.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) segment: Segment,
    pub(super) end: u64,
}

/// The end of the log that was cut off: a write that power or process interrupted. Nothing that
/// was ever confirmed durable was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub segment: SegmentNumber,
    /// Where in it the interrupted write began.
    pub offset: u64,
    /// How many bytes were cleared.
    pub bytes: u64,
}

pub(super) fn recover(
    backend: &dyn Backend,
    identity: JournalIdentity,
) -> Result<Found, JournalError> {
    let mut segments = open_segments(backend, identity)?;
    let last = segments.pop_back().ok_or(JournalError::Missing)?;
    let first = segments.front().unwrap_or(&last).number;
    let ends = segments.iter().skip(1).chain([&last]).map(|next| next.previous_end);
    let ends: Vec<u64> = ends.collect();

    let mut tally = Tally::default();
    let mut before = Vec::new();
    for (segment, end) in segments.into_iter().zip(ends) {
        let (reached, _) = tally.read(&segment, end.min(segment.bytes))?;
        if reached != end {
            return Err(segment.damaged(reached, Damage::SectorMissing));
        }
        before.push(Extent { segment, end });
    }
    let (end, last_frame) = tally.read(&last, last.bytes)?;
    let oldest = tally.oldest_needed(first)?;
    let torn = clear_torn_end(&last, end)?;
    make_durable(&last, last_frame)?;
    remove_before(backend, oldest)?;

    before.retain(|extent| extent.segment.number >= oldest);
    tally.bases.retain(|base| *base >= oldest);
    let Tally { bases, bytes_since_base, .. } = tally;
    let last = Extent { segment: last, end };
    Ok(Found { before, last, oldest, bases, bytes_since_base, torn })
}

/// Removes what an interrupted [`Journal::create`](super::Journal::create) left behind. Fails if
/// there is anything more than that.
pub(super) fn remove_unfinished_creation(backend: &dyn Backend) -> Result<(), JournalError> {
    let Some(number) = segment_numbers(backend)?.pop() else {
        return Ok(());
    };
    let file = number.file_name();
    let opened = backend.open(&file)?;
    let is_unborn = first_nonzero(&*opened, 0, opened.byte_count()?)?.is_none();
    if number != SegmentNumber::FIRST || !is_unborn {
        return Err(JournalError::Exists { file });
    }
    remove_now(backend, number)
}

/// For a name that is used again next: the removal must not come back after that.
fn remove_now(backend: &dyn Backend, number: SegmentNumber) -> Result<(), JournalError> {
    backend.remove(&number.file_name())?;
    Ok(backend.sync_directory()?)
}

fn segment_numbers(backend: &dyn Backend) -> Result<Vec<SegmentNumber>, JournalError> {
    let names = backend.list()?;
    let mut numbers: Vec<_> =
        names.iter().filter_map(|name| SegmentNumber::from_file_name(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens the segments from the newest back to the first gap, and returns them oldest first. A
/// newest one whose creation was interrupted is removed.
fn open_segments(
    backend: &dyn Backend,
    identity: JournalIdentity,
) -> Result<VecDeque<Segment>, JournalError> {
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let numbers = segment_numbers(backend)?;
    let newest = numbers.last().copied();
    for number in numbers.into_iter().rev() {
        if segments.front().is_some_and(|next| next.number != number.next()) {
            break;
        }
        match Segment::open(backend, identity, number)? {
            Some(segment) => segments.push_front(segment),
            None if Some(number) == newest => remove_now(backend, number)?,
            None => return Err(JournalError::damaged(number, 0, Damage::HeaderMissing)),
        }
    }
    Ok(segments)
}

/// Finishes a removal that a crash interrupted, in whichever order the names survived it.
fn remove_before(backend: &dyn Backend, oldest: SegmentNumber) -> Result<(), JournalError> {
    for number in segment_numbers(backend)?.into_iter().take_while(|number| *number < oldest) {
        backend.remove(&number.file_name())?;
    }
    Ok(backend.sync_directory()?)
}

/// What reading all frames once adds up to.
#[derive(Default)]
struct Tally {
    bases: BTreeSet<SegmentNumber>,
    /// The last one found: what is older is no longer needed.
    floor: Option<SegmentNumber>,
    bytes_since_base: u64,
}

impl Tally {
    /// Reads the frames of a segment up to `limit` or to the first that is not whole. Returns
    /// where they end, and the last one.
    fn read(
        &mut self,
        segment: &Segment,
        limit: u64,
    ) -> Result<(u64, Option<Frame>), JournalError> {
        let mut end = FIRST_FRAME;
        let mut last = None;
        while let Place::Frame(frame) = segment.read_frame(end, limit)? {
            match frame.kind {
                FrameKind::Group => {}
                FrameKind::Base => {
                    self.bases.insert(segment.number);
                    self.bytes_since_base = 0;
                }
                FrameKind::Floor => {
                    let floor = frame.floor().filter(|floor| Some(*floor) > self.floor);
                    let impossible = || segment.damaged(frame.start, Damage::FrameContent);
                    self.floor = Some(floor.ok_or_else(impossible)?);
                }
            }
            self.bytes_since_base += frame.end() - end;
            end = frame.end();
            last = Some(frame);
        }
        Ok((end, last))
    }

    /// The oldest segment that must be there, given the first that was found.
    fn oldest_needed(&self, first: SegmentNumber) -> Result<SegmentNumber, JournalError> {
        let oldest = self.floor.unwrap_or(SegmentNumber::FIRST);
        if oldest < first {
            return Err(JournalError::MissingSegment { segment: first.previous() });
        }
        if self.floor.is_some() && !self.bases.contains(&oldest) {
            return Err(JournalError::damaged(oldest, FIRST_FRAME, Damage::FrameContent));
        }
        Ok(oldest)
    }
}

/// Clears what an interrupted write left behind `end`: otherwise its sectors could join up with
/// those of a later frame at the same place. Like all else it is durable after [`make_durable`],
/// and so before anything new is written there.
fn clear_torn_end(last: &Segment, end: u64) -> Result<Option<TornTail>, JournalError> {
    let torn_end = last.torn_end(end)?;
    if torn_end == end {
        return Ok(None);
    }
    let bytes = torn_end - end;
    let zeros = vec![0; usize::try_from(bytes).expect("a frame fits in memory")];
    last.file.write_at(end, &zeros)?;
    Ok(Some(TornTail { segment: last.number, offset: end, bytes }))
}

/// Makes durable what was read. The last frame may have been written, but not synced, by a process
/// that died: it is in the page cache and nowhere else, or its sync failed and the cache only
/// believes it to be clean. So it is written once more before it is synced. Whatever is in front
/// of it was durable before it was written.
fn make_durable(last: &Segment, last_frame: Option<Frame>) -> Result<(), JournalError> {
    match last_frame {
        Some(frame) => last.file.write_at(frame.start, &frame.sectors)?,
        None => {
            let mut header: format::Sector = [0; crate::backend::SECTOR_BYTES];
            last.file.read_at(0, &mut header)?;
            last.file.write_at(0, &header)?;
        }
    }
    Ok(last.file.sync()?)
}

/// The records of a journal as it was when it was opened, oldest first. One frame at a time is in
/// memory.
///
/// Every byte was checked when the journal was opened, so an error here means that the storage
/// failed in between.
#[derive(Debug)]
pub struct Recovered {
    extents: VecDeque<Extent>,
    /// Where in the first of `extents` the next frame starts.
    next_frame: u64,
    records: VecDeque<RecoveredRecord>,
    torn: Option<TornTail>,
}

/// One record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredRecord {
    /// The segment it is in.
    pub segment: SegmentNumber,
    /// Whether it belongs to the base its segment begins with, and so restates what older
    /// segments say.
    pub is_base: bool,
    /// The record.
    pub bytes: Vec<u8>,
}

impl Recovered {
    pub(super) fn new(found: &Found) -> Self {
        let extents = found.before.iter().chain([&found.last]).cloned().collect();
        Self { extents, next_frame: FIRST_FRAME, records: VecDeque::new(), torn: found.torn }
    }

    /// What was cut off at the end, if anything.
    pub fn torn_tail(&self) -> Option<TornTail> {
        self.torn
    }

    /// Reads the next frame that has records, if there is one.
    fn read_frame(&mut self) -> Result<(), JournalError> {
        while let Some(Extent { segment, end }) = self.extents.front() {
            if self.next_frame == *end {
                self.extents.pop_front();
                self.next_frame = FIRST_FRAME;
                continue;
            }
            let Place::Frame(frame) = segment.read_frame(self.next_frame, *end)? else {
                return Err(segment.damaged(self.next_frame, Damage::SectorMissing));
            };
            self.next_frame = frame.end();
            let is_base = match frame.kind {
                FrameKind::Group => false,
                FrameKind::Base => true,
                FrameKind::Floor => continue,
            };
            let segment = segment.number;
            let records = frame.records.into_iter();
            self.records.extend(records.map(|bytes| RecoveredRecord { segment, is_base, bytes }));
            if !self.records.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

impl Iterator for Recovered {
    type Item = Result<RecoveredRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.records.is_empty()
            && let Err(error) = self.read_frame()
        {
            // Nothing behind an unreadable frame may be taken for what follows it.
            self.extents.clear();
            return Some(Err(error));
        }
        self.records.pop_front().map(Ok)
    }
}
