//! The search for an order of the operations on one key.

use super::history::{Operation, Response};
use super::register::Register;
use super::revisions::Revisions;
use super::{CheckError, Violation};
use std::collections::{BTreeMap, BTreeSet};

/// The search on one key gives up after it has seen so many configurations.
pub const CONFIGURATIONS_COUNT_MAX: usize = 1_000_000;

/// Where the search stands: how many of the answered operations have been placed, which of the
/// unknown ones, and what the key holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    placed: usize,
    /// Indexes of the unknown operations placed so far, ascending.
    used: Vec<u32>,
    register: Register,
}

struct Search<'a> {
    /// The answered operations in the only order their revisions allow.
    answered: Vec<&'a Operation>,
    /// For each place in that order, the earliest answer from there on: an operation invoked
    /// after it cannot be placed before it.
    deadlines: Vec<u64>,
    /// The operations of unknown outcome, in order of invocation.
    unknown: Vec<&'a Operation>,
    /// The revisions that only an unknown operation can have had, with the value seen there.
    orphans: BTreeMap<u64, Option<&'a [u8]>>,
    revisions: &'a Revisions<'a>,
}

/// Looks for an order of `operations`, all those on `key`. Returns why there is none, or `None`.
///
/// # Errors
///
/// When the search becomes too large.
pub(super) fn search<'a>(
    key: &[u8],
    operations: &[&'a Operation],
    revisions: &'a Revisions<'a>,
) -> Result<Option<Violation>, CheckError> {
    let search = Search::new(operations, revisions);
    let start = Configuration { placed: 0, used: Vec::new(), register: Register::ABSENT };
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    let mut furthest: (usize, Vec<Register>) = (0, Vec::new());
    while let Some(configuration) = open.pop() {
        if configuration.placed == search.answered.len() {
            return Ok(None);
        }
        if configuration.placed > furthest.0 {
            furthest = (configuration.placed, Vec::new());
        }
        if configuration.placed == furthest.0
            && furthest.1.len() < Violation::POSSIBLE_COUNT_MAX
            && !furthest.1.contains(&configuration.register)
        {
            furthest.1.push(configuration.register.clone());
        }
        for next in search.successors(&configuration) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
        if seen.len() > CONFIGURATIONS_COUNT_MAX {
            return Err(CheckError::SearchTooLarge { key: key.to_vec() });
        }
    }
    Ok(Some(search.explain(operations, furthest.0, furthest.1)))
}

impl<'a> Search<'a> {
    fn new(operations: &[&'a Operation], revisions: &'a Revisions<'a>) -> Self {
        let mut answered: Vec<&Operation> =
            operations.iter().copied().filter(|o| o.answer().is_some()).collect();
        answered.sort_by_key(|o| (order(o), o.invoked));
        let mut deadlines: Vec<u64> = answered
            .iter()
            .rev()
            .scan(u64::MAX, |earliest, operation| {
                *earliest = operation.answered().min(*earliest);
                Some(*earliest)
            })
            .collect();
        deadlines.reverse();
        let unknown = operations.iter().copied().filter(|o| o.answer().is_none()).collect();
        let orphans = revisions.orphans(operations);
        Self { answered, deadlines, unknown, orphans, revisions }
    }

    /// The configurations one placement further, the one to try first at the end.
    fn successors(&self, from: &Configuration) -> Vec<Configuration> {
        let mut successors = Vec::new();
        for (index, operation) in (0u32..).zip(&self.unknown) {
            if operation.invoked >= self.deadlines[from.placed] {
                break;
            }
            if from.used.contains(&index) {
                continue;
            }
            for register in self.place_unknown(&from.register, operation) {
                let mut used = from.used.clone();
                used.insert(used.partition_point(|other| *other < index), index);
                successors.push(Configuration { placed: from.placed, used, register });
            }
        }
        let operation = self.answered[from.placed];
        let register =
            operation.answer().and_then(|answer| from.register.answered(&operation.call, answer));
        if let Some(register) = register {
            let (placed, used) = (from.placed + 1, from.used.clone());
            successors.push(Configuration { placed, used, register });
        }
        successors
    }

    /// What the key may hold after `operation`, of unknown outcome, was executed on `register`.
    fn place_unknown(&self, register: &Register, operation: &Operation) -> Vec<Register> {
        let Some(value) = register.unknown(operation) else {
            return Vec::new();
        };
        let floor = register.revision().max(self.revisions.floor(operation));
        let Some(written) = value else {
            // A removal's revision is never shown with a key, so mentions do not matter to it.
            let revision = self.revisions.free_above(floor, &BTreeMap::new());
            return vec![Register::modified(None, revision, false)];
        };
        let unmentioned = self.revisions.free_above(floor, &self.orphans);
        let mentioned = self
            .orphans
            .range(floor.saturating_add(1)..)
            .filter(|(_, seen)| seen.is_none_or(|seen| seen == written))
            .map(|(revision, _)| Register::modified(value, *revision, true));
        core::iter::once(Register::modified(value, unmentioned, false)).chain(mentioned).collect()
    }

    fn explain(
        &self,
        operations: &[&Operation],
        placed: usize,
        possible: Vec<Register>,
    ) -> Violation {
        let operation = self.answered[placed];
        let concurrent = operations
            .iter()
            .filter(|other| other.invoked != operation.invoked && other.overlaps(operation))
            .map(|other| (*other).clone())
            .collect();
        Violation::Impossible { operation: operation.clone(), possible, concurrent }
    }
}

/// The place of an answered operation in the order of revisions: a modification comes first among
/// those that name its revision, since it made it.
fn order(operation: &Operation) -> (u64, bool) {
    let revision = operation.answer().map_or(u64::MAX, |answer| answer.revision);
    let modifies = match operation.answer().map(|answer| &answer.response) {
        Some(Response::Put | Response::Deleted(true) | Response::Swapped(true)) => true,
        Some(Response::Got(_) | Response::Deleted(false) | Response::Swapped(false)) | None => {
            false
        }
    };
    (revision, !modifies)
}
