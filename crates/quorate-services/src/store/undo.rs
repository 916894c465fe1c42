//! What a batch has changed of all that is derived from the records, so that it can be taken back
//! without deriving everything anew.

use super::Totals;
use super::index::Index;
use super::record::Point;
use super::write::Written;

/// The changes of one batch, in their order.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// The totals before it.
    totals: Totals,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    /// A newest point of this key was appended.
    Appended(Box<[u8]>),
    /// The oldest point of this key, this one, was forgotten.
    Forgotten(Box<[u8]>, Point),
}

impl Undo {
    /// Of a batch that begins.
    pub(super) fn begin(totals: Totals) -> Self {
        Self { totals, changes: Vec::new() }
    }

    pub(super) fn note_written(&mut self, written: Vec<Written>) {
        self.changes.extend(written.into_iter().map(|written| Change::Appended(written.key)));
    }

    pub(super) fn note_forgotten(&mut self, key: Box<[u8]>, point: Point) {
        self.changes.push(Change::Forgotten(key, point));
    }

    /// Takes the batch back.
    pub(super) fn apply(self, index: &mut Index, totals: &mut Totals) {
        for change in self.changes.into_iter().rev() {
            match change {
                Change::Appended(key) => index.take_back(&key),
                Change::Forgotten(key, point) => index.remember_oldest(&key, point),
            }
        }
        *totals = self.totals;
    }
}
