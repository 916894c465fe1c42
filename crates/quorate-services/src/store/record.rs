//! What the store keeps in the replicated state, byte by byte.
//!
//! | key | value |
//! |---|---|
//! | `c` | [`Counters`], in borsh |
//! | `r`, then a [`Point`] | a [`Record`]: one write of one key |
//!
//! A record's value is the length of the key (4 bytes, little-endian) and the key, and then,
//! unless the record is a tombstone:
//!
//! - the byte 0 if this put created the key, or the byte 1, the revision that did and the version
//!   (8 bytes each, little-endian);
//! - the value, to the end.
//!
//! The revision of a record is in its key alone, and a key's first version, which is the only one
//! most keys have, spends 5 bytes on everything but key and value.

use borsh::{BorshDeserialize, BorshSerialize};
use pbft::{State, StateRead};

use super::KeyValue;

const COUNTERS_KEY: &[u8] = b"c";
const RECORD_TAG: u8 = b'r';
const CREATES: u8 = 0;
const UPDATES: u8 = 1;

/// The replicated numbers of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Counters {
    /// The revision of the last operation that wrote; 1 before the first. **Invariant:** no
    /// record has a higher one.
    pub revision: i64,
    /// The oldest readable revision; -1 before the first compaction. **Invariant:** at most
    /// `revision`.
    pub compact_revision: i64,
    /// The removal of what a compaction made unreadable, *(while there may be any left)*.
    pub sweep: Option<Sweep>,
}

/// How far the records have been gone through on behalf of a compaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Sweep {
    /// The compacted revision this sweep works for. **Invariant:** at most `compact_revision`;
    /// less if another compaction was asked for meanwhile, and then another sweep follows.
    pub target: i64,
    /// The first record still to be looked at.
    pub next: Point,
}

impl Counters {
    pub(super) const INITIAL: Self = Self { revision: 1, compact_revision: -1, sweep: None };

    pub(super) fn load(state: &dyn StateRead) -> Self {
        state.get(COUNTERS_KEY).map_or(Self::INITIAL, |bytes| {
            borsh::from_slice(&bytes).expect("the state holds counters as this service wrote them")
        })
    }

    pub(super) fn save(&self, state: &mut dyn State) {
        let bytes = borsh::to_vec(self).expect("writing to a vector cannot fail");
        state.put(COUNTERS_KEY, bytes);
    }
}

/// When a record was written: the revision, the place among the writes of that revision, and
/// whether it is a tombstone, in the order in which records were written.
///
/// Kept as the 12 bytes it has in the state's keys, because a replica holds one for every record:
/// the revision in 8 bytes, big-endian, then in 4 twice the place, plus one for a tombstone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Point([u8; 12]);

impl Point {
    pub(super) fn put(revision: i64, place: usize) -> Self {
        Self::new(revision, place, 0)
    }

    pub(super) fn tombstone(revision: i64, place: usize) -> Self {
        Self::new(revision, place, 1)
    }

    /// Not after any record of `revision`, and after every record of a lower one.
    pub(super) fn first(revision: i64) -> Self {
        Self::new(revision, 0, 0)
    }

    fn new(revision: i64, place: usize, mark: u32) -> Self {
        let place = u32::try_from(place).ok().filter(|place| *place <= u32::MAX >> 1);
        let place = place.expect("fewer than 2^31 keys fit in memory, each written once or twice");
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&revision.to_be_bytes());
        bytes[8..].copy_from_slice(&(place << 1 | mark).to_be_bytes());
        Self(bytes)
    }

    pub(super) fn revision(self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    pub(super) fn is_tombstone(self) -> bool {
        self.0[11] & 1 == 1
    }

    pub(super) fn state_key(self) -> [u8; 13] {
        let mut key = [RECORD_TAG; 13];
        key[1..].copy_from_slice(&self.0);
        key
    }

    /// The point in a key of the state that has the records' tag.
    fn of_state_key(key: &[u8]) -> Self {
        let bytes = key.get(1..).and_then(|bytes| bytes.try_into().ok());
        Self(bytes.expect("every key under the records' tag was made by state_key"))
    }
}

/// One write of one key: of a value, or of its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record<'a> {
    pub key: &'a [u8],
    /// What was put; `None` in a tombstone.
    pub body: Option<Body<'a>>,
}

/// What a put leaves under its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Body<'a> {
    /// The put that created the key, if it was not this one.
    pub origin: Option<Origin>,
    pub value: &'a [u8],
}

/// Where an updated key comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    pub create_revision: i64,
    /// The version of the record that tells it, at least 2.
    pub version: i64,
}

impl<'a> Record<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let key_bytes = u32::try_from(self.key.len()).expect("a key is shorter than its request");
        let value_bytes = self.body.map_or(0, |body| body.value.len());
        let mut bytes = Vec::with_capacity(self.key.len() + value_bytes + 21);
        bytes.extend_from_slice(&key_bytes.to_le_bytes());
        bytes.extend_from_slice(self.key);
        let Some(body) = self.body else { return bytes };
        match body.origin {
            None => bytes.push(CREATES),
            Some(origin) => {
                bytes.push(UPDATES);
                bytes.extend_from_slice(&origin.create_revision.to_le_bytes());
                bytes.extend_from_slice(&origin.version.to_le_bytes());
            }
        }
        bytes.extend_from_slice(body.value);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote under `point`.
    pub(super) fn decode(point: Point, bytes: &'a [u8]) -> Self {
        Self::parse(point, bytes).expect("the state holds records as this service wrote them")
    }

    fn parse(point: Point, bytes: &'a [u8]) -> Option<Self> {
        let (key_bytes, bytes) = bytes.split_first_chunk()?;
        let (key, bytes) = bytes.split_at_checked(u32::from_le_bytes(*key_bytes) as usize)?;
        if point.is_tombstone() {
            return Some(Self { key, body: None });
        }
        let (&origin, bytes) = bytes.split_first()?;
        let (origin, value) = match origin {
            CREATES => (None, bytes),
            UPDATES => {
                let (create_revision, bytes) = bytes.split_first_chunk()?;
                let (version, value) = bytes.split_first_chunk()?;
                let create_revision = i64::from_le_bytes(*create_revision);
                let version = i64::from_le_bytes(*version);
                (Some(Origin { create_revision, version }), value)
            }
            _ => return None,
        };
        Some(Self { key, body: Some(Body { origin, value }) })
    }
}

impl Body<'_> {
    /// The revision that created the key, if this was put at `point`.
    pub(super) fn create_revision(&self, point: Point) -> i64 {
        self.origin.map_or(point.revision(), |origin| origin.create_revision)
    }

    pub(super) fn version(&self) -> i64 {
        self.origin.map_or(1, |origin| origin.version)
    }

    /// What a client sees of `key`, if this was put at `point`.
    pub(super) fn key_value(&self, key: &[u8], point: Point) -> KeyValue {
        KeyValue {
            key: key.to_vec(),
            create_revision: self.create_revision(point),
            mod_revision: point.revision(),
            version: self.version(),
            value: self.value.to_vec(),
            lease: 0,
        }
    }
}

/// What `read` makes of the record at `point`, which must be there. It is read where it lies, for
/// its value may be long and often matters to nobody.
pub(super) fn read_record<T>(
    state: &dyn StateRead,
    point: Point,
    read: impl FnOnce(Record<'_>) -> T,
) -> T {
    let (mut read, mut result) = (Some(read), None);
    scan_records(state, point, None, &mut |found, bytes| {
        let read = read.take().filter(|_| found == point);
        result = read.map(|read| read(Record::decode(point, bytes)));
        false
    });
    result.expect("every point of the index has its record")
}

/// Visits the records from `start` on, and before `end` if it is given, in the order in which
/// they were written, until `visit` returns `false`.
pub(super) fn scan_records(
    state: &dyn StateRead,
    start: Point,
    end: Option<Point>,
    visit: &mut dyn FnMut(Point, &[u8]) -> bool,
) {
    let end = end.map_or(vec![RECORD_TAG + 1], |end| end.state_key().to_vec());
    state.scan(&start.state_key(), Some(&end), &mut |key, value| {
        visit(Point::of_state_key(key), value)
    });
}
