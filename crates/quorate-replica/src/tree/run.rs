//! A run: entries in ascending order of keys, one behind the other in one buffer. It is what a
//! page holds, and what is cut, joined and edited when the shape of the tree changes.
//!
//! In the buffer an entry is the length of the key (2 bytes), the length of the value (4), both
//! with the lowest byte first, the key, and the value if it is not a large one. The large values
//! stand in a list of their own, in the order of their keys. (An encoded page differs in one
//! thing: the digests of a large value's chunks follow its key.)

use super::key::{Side, side};
use super::totals::Totals;
use super::value::{INLINE_VALUE_BYTES_MAX, LargeValue, chunk_count};
use std::cmp::Ordering;
use std::sync::Arc;

/// The bytes before an entry's key: the lengths of key and value.
pub(super) const ENTRY_HEADER_BYTES: usize = 6;

/// The bytes of a digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// Entries in ascending order, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// **Invariant:** whole entries, their keys ascending and different.
    pub(super) buffer: &'a [u8],
    /// **Invariant:** the values of those entries of `buffer` whose value is large, in order.
    pub(super) large: &'a [Arc<LargeValue>],
}

/// Entries in ascending order, owned; the invariants are those of [`Run`].
#[derive(Debug, Default)]
pub(super) struct RunBuffer {
    pub(super) buffer: Vec<u8>,
    pub(super) large: Vec<Arc<LargeValue>>,
}

/// A key and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Value<'a>,
}

/// A value as it lies in a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Inline(&'a [u8]),
    Large(&'a Arc<LargeValue>),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Large(value) => value.bytes(),
        }
    }
}

impl Entry<'_> {
    pub(super) fn totals(&self) -> Totals {
        Totals::of_entry(self.key.len(), self.value.bytes().len())
    }

    fn append_to(&self, run: &mut RunBuffer) {
        run.buffer.extend_from_slice(&entry_header(self.key.len(), self.value.bytes().len()));
        run.buffer.extend_from_slice(self.key);
        match self.value {
            Value::Inline(bytes) => run.buffer.extend_from_slice(bytes),
            Value::Large(value) => run.large.push(Arc::clone(value)),
        }
    }
}

/// The two lengths before an entry's key.
fn entry_header(key_bytes: usize, value_bytes: usize) -> [u8; ENTRY_HEADER_BYTES] {
    let key = u16::try_from(key_bytes).expect("keys are bounded by TREE_KEY_BYTES_MAX");
    let value = u32::try_from(value_bytes).expect("values are bounded by VALUE_BYTES_MAX");
    let [a, b] = key.to_le_bytes();
    let [c, d, e, f] = value.to_le_bytes();
    [a, b, c, d, e, f]
}

/// The lengths of key and value, and what follows them; `None` if there are too few bytes.
pub(super) fn split_entry_header(bytes: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<ENTRY_HEADER_BYTES>()?;
    let [a, b, c, d, e, f] = *header;
    let value_bytes = u32::from_le_bytes([c, d, e, f]) as usize;
    Some((usize::from(u16::from_le_bytes([a, b])), value_bytes, rest))
}

/// Where a key is in a run, or would be.
struct Spot {
    /// The offset in the buffer of the first entry not below the key.
    at: usize,
    /// The number of large values before it.
    large_at: usize,
    /// What the key's entry takes in the buffer and in the list of large values, if it is there.
    taken: Option<(usize, usize)>,
}

impl<'a> Run<'a> {
    pub(super) const fn entries(self) -> Entries<'a> {
        Entries { rest: self.buffer, large: self.large }
    }

    pub(super) fn find(self, key: &[u8]) -> Option<Entry<'a>> {
        self.entries().find(|entry| entry.key >= key).filter(|entry| entry.key == key)
    }

    pub(super) fn first_key(self) -> Option<&'a [u8]> {
        self.entries().next().map(|entry| entry.key)
    }

    pub(super) fn last_key(self) -> Option<&'a [u8]> {
        self.entries().last().map(|entry| entry.key)
    }

    pub(super) fn totals(self) -> Totals {
        self.entries().fold(Totals::ZERO, |sum, entry| sum.plus(entry.totals()))
    }

    /// Cuts the run before the first key that goes right at `bit`.
    pub(super) fn split_at_bit(self, bit: u16) -> (Self, Self) {
        let mut entries = self.entries();
        let mut rest = entries.clone();
        while entries.next().is_some_and(|entry| side(entry.key, bit) == Side::Left) {
            rest = entries.clone();
        }
        let (left, right) = self.buffer.split_at(self.buffer.len() - rest.rest.len());
        let (left_large, right_large) = self.large.split_at(self.large.len() - rest.large.len());
        (Self { buffer: left, large: left_large }, Self { buffer: right, large: right_large })
    }

    /// A copy of the run in which `key` has this value.
    pub(super) fn with(self, entry: Entry<'_>) -> RunBuffer {
        self.edit(entry.key, Some(entry))
    }

    /// A copy of the run without `key`.
    pub(super) fn without(self, key: &[u8]) -> RunBuffer {
        self.edit(key, None)
    }

    fn edit(self, key: &[u8], new: Option<Entry<'_>>) -> RunBuffer {
        let spot = self.spot(key);
        let (taken, large_taken) = spot.taken.unwrap_or((0, 0));
        let (inserted, large_inserted) = new.map_or((0, 0), |entry| match entry.value {
            Value::Inline(value) => (ENTRY_HEADER_BYTES + entry.key.len() + value.len(), 0),
            Value::Large(_) => (ENTRY_HEADER_BYTES + entry.key.len(), 1),
        });
        // Exact capacities, so that turning the copy into a page moves nothing and wastes nothing.
        let mut copy = RunBuffer {
            buffer: Vec::with_capacity(self.buffer.len() - taken + inserted),
            large: Vec::with_capacity(self.large.len() - large_taken + large_inserted),
        };
        copy.buffer.extend_from_slice(&self.buffer[..spot.at]);
        copy.large.extend_from_slice(&self.large[..spot.large_at]);
        if let Some(entry) = new {
            entry.append_to(&mut copy);
        }
        copy.buffer.extend_from_slice(&self.buffer[spot.at + taken..]);
        copy.large.extend_from_slice(&self.large[spot.large_at + large_taken..]);
        copy
    }

    fn spot(self, key: &[u8]) -> Spot {
        let mut entries = self.entries();
        loop {
            let (before, large_before) = (entries.rest.len(), entries.large.len());
            let order = entries.next().map(|entry| entry.key.cmp(key));
            if order == Some(Ordering::Less) {
                continue;
            }
            return Spot {
                at: self.buffer.len() - before,
                large_at: self.large.len() - large_before,
                taken: (order == Some(Ordering::Equal))
                    .then(|| (before - entries.rest.len(), large_before - entries.large.len())),
            };
        }
    }
}

impl RunBuffer {
    pub(super) fn as_run(&self) -> Run<'_> {
        Run { buffer: &self.buffer, large: &self.large }
    }

    /// Appends a run whose keys are all higher than those already here.
    pub(super) fn append(&mut self, run: Run<'_>) {
        self.buffer.extend_from_slice(run.buffer);
        self.large.extend_from_slice(run.large);
    }
}

/// Iterates the entries of a run.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    large: &'a [Arc<LargeValue>],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (key_bytes, value_bytes, rest) =
            split_entry_header(self.rest).expect("a run holds whole entries");
        let (key, rest) = rest.split_at(key_bytes);
        if value_bytes <= INLINE_VALUE_BYTES_MAX {
            let (value, rest) = rest.split_at(value_bytes);
            self.rest = rest;
            return Some(Entry { key, value: Value::Inline(value) });
        }
        let (value, large) = self.large.split_first().expect("a run holds its large values");
        (self.rest, self.large) = (rest, large);
        Some(Entry { key, value: Value::Large(value) })
    }
}

/// The bytes an entry takes in an encoded page.
pub(super) const fn encoded_entry_bytes(key_bytes: usize, value_bytes: usize) -> usize {
    let value = if value_bytes <= INLINE_VALUE_BYTES_MAX {
        value_bytes
    } else {
        chunk_count(value_bytes) * DIGEST_BYTES
    };
    ENTRY_HEADER_BYTES + key_bytes + value
}
