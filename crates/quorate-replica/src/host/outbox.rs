//! Persist before send: what depends on a record leaves when that record is durable, and not
//! before [DU1]. This file is the one place where that is decided.

use super::effect::{Effect, JournalTask};
use pbft::{Position, Record};
use std::collections::BTreeMap;

/// How many messages may wait for the disk. Beyond it further ones are dropped, as a network may
/// drop them: a disk that stands still must not fill the memory with retransmissions.
const HELD_COUNT_MAX: usize = 1 << 16;

/// Records on their way to the journal, and the messages that wait for them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Every record up to this position is durable.
    durable: Position,
    /// The position of the last record handed to the journal or waiting in `records`.
    last: Position,
    /// Encoded records not yet handed to the journal.
    records: Vec<Vec<u8>>,
    /// What waits, by what it waits for. **Invariant:** every position is above `durable`.
    held: BTreeMap<Position, Vec<Effect>>,
    held_count: usize,
}

impl Outbox {
    /// Takes a record that is to be made durable behind all before it.
    pub(super) fn persist(&mut self, position: Position, record: &Record) {
        assert_eq!(position, self.last.next(), "the core numbers its records without a gap");
        self.last = position;
        self.records.push(record.encode());
    }

    /// Lets a message go when everything up to `after` is durable; now, if it is.
    pub(super) fn release(&mut self, after: Position, effect: Effect, effects: &mut Vec<Effect>) {
        assert!(after <= self.last, "a message waits only for what was persisted before it");
        if after <= self.durable {
            effects.push(effect);
        } else if self.held_count < HELD_COUNT_MAX {
            self.held.entry(after).or_default().push(effect);
            self.held_count += 1;
        }
    }

    /// Every record up to `position` is durable: what waited for them leaves, in the order of
    /// positions, and of its making within one position.
    pub(super) fn on_durable(&mut self, position: Position, effects: &mut Vec<Effect>) {
        assert!(position <= self.last, "only what was persisted becomes durable");
        self.durable = self.durable.max(position);
        while let Some(first) = self.held.first_entry()
            && *first.key() <= self.durable
        {
            let released = first.remove();
            self.held_count -= released.len();
            effects.extend(released);
        }
    }

    /// Hands the waiting records to the journal, as one group. Returns their bytes.
    pub(super) fn flush(&mut self, effects: &mut Vec<Effect>) -> u64 {
        let records = std::mem::take(&mut self.records);
        let bytes = records.iter().map(|record| record.len() as u64).sum();
        if !records.is_empty() {
            let position = self.last;
            effects.push(Effect::Journal(JournalTask::Append { records, position }));
        }
        bytes
    }

    /// How many messages wait.
    pub(super) fn held_count(&self) -> usize {
        self.held_count
    }
}

#[cfg(test)]
mod tests;
