//! Which records each key has: local, derived from the records, rebuilt from them at a restart.
//!
//! A replica holds an entry for every key, so an entry is small: the key and, for a key with one
//! record, its point in place; more points go to the heap. Versions and creating revisions stay in
//! the records.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::record::Point;

/// The points of every key's records, by key.
#[derive(Default, Debug)]
pub(super) struct Index {
    keys: BTreeMap<Box<[u8]>, History>,
}

/// The points of one key's records, ascending, at least one. A tombstone ends a life of the key
/// and what follows it begins another.
#[derive(Debug)]
enum History {
    One(Point),
    Many(Box<Points>),
}

#[derive(Debug)]
struct Points(VecDeque<Point>);

impl Index {
    /// Appends the point of a new record of `key`, which is after all it has.
    pub(super) fn append(&mut self, key: &[u8], point: Point) {
        match self.keys.get_mut(key) {
            Some(history) => history.push(point),
            None => {
                self.keys.insert(key.into(), History::One(point));
            }
        }
    }

    /// Takes back the newest point of `key`.
    pub(super) fn take_back(&mut self, key: &[u8]) {
        self.remove(key, VecDeque::pop_back);
    }

    /// Forgets the oldest point of `key`.
    pub(super) fn forget_oldest(&mut self, key: &[u8]) {
        self.remove(key, VecDeque::pop_front);
    }

    /// Takes back that the oldest point of `key` was forgotten.
    pub(super) fn remember_oldest(&mut self, key: &[u8], point: Point) {
        match self.keys.get_mut(key) {
            Some(history) => history.push_front(point),
            None => self.append(key, point),
        }
    }

    fn remove(&mut self, key: &[u8], pop: fn(&mut VecDeque<Point>) -> Option<Point>) {
        let history = self.keys.get_mut(key).expect("only points that were appended are removed");
        match history {
            History::One(_) => {
                self.keys.remove(key);
            }
            History::Many(points) => {
                pop(&mut points.0);
                if let Some(&only) = points.0.front().filter(|_| points.0.len() == 1) {
                    *history = History::One(only);
                }
            }
        }
    }

    /// The record that holds what `key` has at `revision`, if it has anything.
    pub(super) fn at(&self, key: &[u8], revision: i64) -> Option<Point> {
        self.keys.get(key).and_then(|history| history.at(revision))
    }

    /// The newest record of `key` that is not after `revision`, be it a tombstone.
    pub(super) fn newest_at(&self, key: &[u8], revision: i64) -> Option<Point> {
        self.keys.get(key).and_then(|history| history.newest_at(revision))
    }

    /// All keys in the range that `key` and `range_end` name (see
    /// [`RangeRequest::range_end`](super::RangeRequest::range_end)), ascending, each with the
    /// record that holds what it has at `revision`, if it has anything.
    ///
    /// Counting is walking, too: the sizes of subtrees would serve the current revision alone, and
    /// each write would have to keep them.
    pub(super) fn range(
        &self,
        key: &[u8],
        range_end: &[u8],
        revision: i64,
    ) -> impl Iterator<Item = (&[u8], Option<Point>)> {
        let upper = match range_end {
            [] => Bound::Included(key),
            [0] => Bound::Unbounded,
            end => Bound::Excluded(end.max(key)),
        };
        let entries = self.keys.range::<[u8], _>((Bound::Included(key), upper));
        entries.map(move |(key, history)| (key.as_ref(), history.at(revision)))
    }
}

impl History {
    fn push(&mut self, point: Point) {
        match self {
            Self::One(first) => *self = Self::Many(Box::new(Points([*first, point].into()))),
            Self::Many(points) => points.0.push_back(point),
        }
    }

    fn push_front(&mut self, point: Point) {
        match self {
            Self::One(last) => *self = Self::Many(Box::new(Points([point, *last].into()))),
            Self::Many(points) => points.0.push_front(point),
        }
    }

    fn at(&self, revision: i64) -> Option<Point> {
        self.newest_at(revision).filter(|point| !point.is_tombstone())
    }

    fn newest_at(&self, revision: i64) -> Option<Point> {
        match self {
            Self::One(point) => (point.revision() <= revision).then_some(*point),
            Self::Many(points) => {
                // Nearly every read is at the current revision.
                let newest = points.0.back().filter(|point| point.revision() <= revision);
                newest.copied().or_else(|| {
                    let after = points.0.partition_point(|point| point.revision() <= revision);
                    points.0.get(after.checked_sub(1)?).copied()
                })
            }
        }
    }
}
