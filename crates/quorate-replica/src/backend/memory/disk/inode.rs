//! One simulated file: its durable content, the content reads see, and the versions in between.

use crate::backend::SECTOR_BYTES;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECTOR_BYTES_U64: u64 = SECTOR_BYTES as u64;

/// Shared between versions, so that a clone of a disk is cheap.
type Sector = Arc<[u8; SECTOR_BYTES]>;

#[derive(Clone, Default)]
pub(super) struct Inode {
    durable: Content,
    /// What reads see. **Invariant:** differs from `durable` only in the sectors and the length
    /// named below, or, after a failed sync, in sectors that no sync will ever write.
    view: Content,
    /// For each sector changed since the last sync, its versions, oldest first.
    unsynced: BTreeMap<u64, Vec<Version>>,
    /// The lengths since the last sync, oldest first.
    unsynced_lengths: Vec<u64>,
}

/// A file's bytes. A sector that is absent is zero; bytes behind the length are zero.
#[derive(Clone, Default)]
struct Content {
    byte_count: u64,
    sectors: BTreeMap<u64, Sector>,
}

#[derive(Clone)]
struct Version {
    sector: Option<Sector>,
    /// The version came from cutting the file: the index of that length among the unsynced ones.
    /// It reaches the disk with the length or not at all.
    cut: Option<usize>,
}

impl Inode {
    pub(super) fn byte_count(&self) -> u64 {
        self.view.byte_count
    }

    /// Returns whether the file is long enough.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.view.byte_count) {
            return false;
        }
        for (index, within, range) in pieces(offset, out.len()) {
            let piece = &mut out[range];
            match self.view.sectors.get(&index) {
                Some(sector) => piece.copy_from_slice(&sector[within..within + piece.len()]),
                None => piece.fill(0),
            }
        }
        true
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (index, within, range) in pieces(offset, bytes.len()) {
            let piece = &bytes[range];
            let mut sector = self.view.sector_or_zero(index);
            Arc::make_mut(&mut sector)[within..within + piece.len()].copy_from_slice(piece);
            self.replace(index, Version { sector: Some(sector), cut: None });
        }
        let end = offset + bytes.len() as u64;
        if !bytes.is_empty() && end > self.view.byte_count {
            self.view.byte_count = end;
            self.unsynced_lengths.push(end);
        }
    }

    pub(super) fn resize(&mut self, byte_count: u64) {
        let cut = Some(self.unsynced_lengths.len());
        self.unsynced_lengths.push(byte_count);
        let gone: Vec<u64> = self
            .view
            .sectors
            .range(byte_count.div_ceil(SECTOR_BYTES_U64)..)
            .map(|(index, _)| *index)
            .collect();
        for index in gone {
            self.replace(index, Version { sector: None, cut });
        }
        let last = byte_count / SECTOR_BYTES_U64;
        if byte_count < self.view.byte_count && self.view.sectors.contains_key(&last) {
            let mut sector = self.view.sector_or_zero(last);
            let kept = (byte_count % SECTOR_BYTES_U64) as usize;
            Arc::make_mut(&mut sector)[kept..].fill(0);
            self.replace(last, Version { sector: Some(sector), cut });
        }
        self.view.byte_count = byte_count;
    }

    pub(super) fn sync(&mut self) {
        for (index, versions) in std::mem::take(&mut self.unsynced) {
            if let Some(last) = versions.into_iter().next_back() {
                self.durable.set(index, last.sector);
            }
        }
        if let Some(length) = self.unsynced_lengths.pop() {
            self.durable.byte_count = length;
            self.unsynced_lengths.clear();
        }
    }

    /// A sync failed: the cache holds what was written as if it were clean, the disk does not.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
        self.unsynced_lengths.clear();
    }

    pub(super) fn after_power_cut(&self, survivors: &mut dyn FnMut(usize) -> usize) -> Self {
        let mut content = self.durable.clone();
        let lengths = match self.unsynced_lengths.len() {
            0 => 0,
            count => survivors(count).min(count),
        };
        if let Some(length) = self.unsynced_lengths[..lengths].last() {
            content.byte_count = *length;
        }
        for (index, versions) in &self.unsynced {
            let count = survivors(versions.len()).min(versions.len());
            let reached = |version: &&Version| version.cut.is_none_or(|length| length < lengths);
            if let Some(version) = versions[..count].iter().rfind(reached) {
                content.set(*index, version.sector.clone());
            }
        }
        content.clear_behind_the_end();
        Self { view: content.clone(), durable: content, ..Self::default() }
    }

    /// Returns whether there is such a byte.
    pub(super) fn rot(&mut self, offset: u64, mask: u8) -> bool {
        if offset >= self.view.byte_count {
            return false;
        }
        let index = offset / SECTOR_BYTES_U64;
        let within = (offset % SECTOR_BYTES_U64) as usize;
        for content in [&mut self.durable, &mut self.view] {
            let mut sector = content.sector_or_zero(index);
            Arc::make_mut(&mut sector)[within] ^= mask;
            content.set(index, Some(sector));
        }
        true
    }

    fn replace(&mut self, index: u64, version: Version) {
        self.view.set(index, version.sector.clone());
        self.unsynced.entry(index).or_default().push(version);
    }
}

impl Content {
    fn sector_or_zero(&self, index: u64) -> Sector {
        self.sectors.get(&index).cloned().unwrap_or_else(|| Arc::new([0; SECTOR_BYTES]))
    }

    fn set(&mut self, index: u64, sector: Option<Sector>) {
        match sector {
            Some(sector) => self.sectors.insert(index, sector),
            None => self.sectors.remove(&index),
        };
    }

    fn clear_behind_the_end(&mut self) {
        let last = self.byte_count / SECTOR_BYTES_U64;
        self.sectors.split_off(&(last + 1));
        if let Some(sector) = self.sectors.get_mut(&last) {
            let kept = (self.byte_count % SECTOR_BYTES_U64) as usize;
            Arc::make_mut(sector)[kept..].fill(0);
        }
    }
}

/// Cuts `byte_count` bytes at `offset` into the sectors they lie in: the sector's index, where in
/// the sector the piece starts, and which of the bytes it is.
fn pieces(
    offset: u64,
    byte_count: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == byte_count {
            return None;
        }
        let position = offset + start as u64;
        let within = (position % SECTOR_BYTES_U64) as usize;
        let end = (start + SECTOR_BYTES - within).min(byte_count);
        let range = start..end;
        start = end;
        Some((position / SECTOR_BYTES_U64, within, range))
    })
}
