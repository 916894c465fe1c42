//! What the revisions in the answers say across all keys: they must never go back in real time,
//! and each may name only one modification.

use super::history::{Call, History, Operation, Response};
use super::{Expected, Violation};
use std::collections::{BTreeMap, BTreeSet};

/// The revisions of a history whose answers do not contradict one another.
#[derive(Debug)]
pub(super) struct Revisions<'a> {
    /// The modification each revision is known to name: its key, and the value (`None` for a
    /// removal).
    named: BTreeMap<u64, Named<'a>>,
    /// By the instant of its invocation, the highest revision an operation of unknown outcome
    /// must come after.
    floors: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Named<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    /// Whether the operation that did it was answered, and not only its effect seen.
    answered: bool,
    witness: &'a Operation,
}

impl<'a> Revisions<'a> {
    /// Collects them.
    ///
    /// # Errors
    ///
    /// The contradiction, if there is one.
    pub(super) fn of(history: &'a History) -> Result<Self, Box<Violation>> {
        let mut revisions = Self { named: BTreeMap::new(), floors: BTreeMap::new() };
        revisions.follow_real_time(history)?;
        for operation in history.operations() {
            revisions.name(operation)?;
        }
        Ok(revisions)
    }

    /// The highest revision that was answered before `operation` was invoked.
    pub(super) fn floor(&self, operation: &Operation) -> u64 {
        self.floors.get(&operation.invoked).copied().unwrap_or(0)
    }

    /// The lowest revision above `floor` that no answered operation has and that is not among
    /// `orphans`: the lowest that an operation of unknown outcome can have had if nobody mentions
    /// its revision.
    pub(super) fn free_above(&self, floor: u64, orphans: &BTreeMap<u64, Option<&[u8]>>) -> u64 {
        let mut free = floor.saturating_add(1);
        while self.named.contains_key(&free) || orphans.contains_key(&free) {
            free = free.saturating_add(1);
        }
        free
    }

    /// The revisions mentioned on `operations`' key that no answered operation has: those that an
    /// operation of unknown outcome must have had, if anything. With each, the value that was
    /// seen with it.
    pub(super) fn orphans(&self, operations: &[&'a Operation]) -> BTreeMap<u64, Option<&'a [u8]>> {
        let mut mentioned = BTreeSet::new();
        for operation in operations {
            if let Call::CompareAndSwap { expected: Expected::ModRevision(revision), .. } =
                operation.call
            {
                mentioned.insert(revision);
            }
            if let Some(Response::Got(Some(found))) =
                operation.answer().map(|answer| &answer.response)
            {
                mentioned.insert(found.mod_revision);
            }
        }
        let key = operations.first().map(|operation| operation.key.as_slice());
        mentioned
            .into_iter()
            .filter_map(|revision| match self.named.get(&revision) {
                None => Some((revision, None)),
                Some(named) if named.answered || Some(named.key) != key => None,
                Some(named) => Some((revision, named.value)),
            })
            .collect()
    }

    /// If one operation was answered before another was invoked, their revisions must say so too:
    /// not below, and above if the later one is a modification.
    fn follow_real_time(&mut self, history: &'a History) -> Result<(), Box<Violation>> {
        let operations = history.operations();
        let mut answered: Vec<(u64, u64, &Operation)> = operations
            .iter()
            .filter_map(|o| o.answer().map(|answer| (o.answered(), answer.revision, o)))
            .collect();
        answered.sort_by_key(|(at, ..)| *at);
        let mut answered = answered.into_iter().peekable();
        let mut highest: Option<(u64, &Operation)> = None;
        for (place, later) in operations.iter().enumerate() {
            while let Some((_, revision, earlier)) =
                answered.next_if(|(at, ..)| *at < later.invoked)
            {
                if highest.is_none_or(|(known, _)| revision > known) {
                    highest = Some((revision, earlier));
                }
            }
            let Some((floor, earlier)) = highest else {
                continue;
            };
            let Some(answer) = later.answer() else {
                self.floors.insert(later.invoked, floor);
                continue;
            };
            if history.is_unordered(place) {
                continue;
            }
            let lowest = floor.saturating_add(u64::from(later.modification().is_some()));
            if answer.revision < lowest {
                let (earlier, later) = (earlier.clone(), later.clone());
                return Err(Box::new(Violation::RevisionWentBack { earlier, later }));
            }
        }
        Ok(())
    }

    /// Notes which modification `operation` says which revision names.
    fn name(&mut self, operation: &'a Operation) -> Result<(), Box<Violation>> {
        let Some(answer) = operation.answer() else {
            return Ok(());
        };
        let key = operation.key.as_slice();
        let (revision, value, answered) = match (&answer.response, operation.modification()) {
            (_, Some(value)) => (answer.revision, value, true),
            (Response::Got(Some(found)), None) => {
                (found.mod_revision, Some(found.value.as_slice()), false)
            }
            _ => return Ok(()),
        };
        let named = Named { key, value, answered, witness: operation };
        let Some(known) = self.named.get_mut(&revision) else {
            self.named.insert(revision, named);
            return Ok(());
        };
        if (known.key, known.value) != (key, value) || (known.answered && answered) {
            let (first, second) = (known.witness.clone(), operation.clone());
            return Err(Box::new(Violation::RevisionNamedTwice { revision, first, second }));
        }
        if answered {
            *known = named;
        }
        Ok(())
    }
}
