//! Histories of an imagined store, ways to spoil them, and a checker that tries every order of
//! all operations on all keys at once, with every revision an unknown operation may have had.

use super::super::*;
use crate::rng::{Seed, Stream};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Options {
    pub(super) clients: u32,
    pub(super) keys: u32,
    pub(super) operations: u32,
    /// How many revisions somebody else may use between two of ours.
    pub(super) gap: u64,
    /// The share of operations whose answer is lost, in percent.
    pub(super) unknown: u64,
}

#[derive(Clone, Default)]
struct Store {
    revision: u64,
    keys: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
}

impl Store {
    /// Executes the call; a modification gets `revision`, which must be above the store's.
    fn execute(&mut self, key: &[u8], call: &Call, revision: u64) -> Answer {
        let present = self.keys.get(key).cloned();
        let response = match call {
            Call::Get => {
                Response::Got(present.map(|(value, mod_revision)| Found { value, mod_revision }))
            }
            Call::Put(value) => {
                self.write(key, value, revision);
                Response::Put
            }
            Call::Delete => {
                let existed = self.keys.remove(key).is_some();
                if existed {
                    self.revision = revision;
                }
                Response::Deleted(existed)
            }
            Call::CompareAndSwap { expected, value } => {
                let holds = match expected {
                    Expected::Value(value) => present.as_ref().is_some_and(|p| p.0 == *value),
                    Expected::ModRevision(r) => present.as_ref().map_or(0, |p| p.1) == *r,
                };
                if holds {
                    self.write(key, value, revision);
                }
                Response::Swapped(holds)
            }
        };
        Answer { revision: self.revision, response }
    }

    fn write(&mut self, key: &[u8], value: &[u8], revision: u64) {
        self.keys.insert(key.to_vec(), (value.to_vec(), revision));
        self.revision = revision;
    }
}

/// A history as clients of a correct store see it: each operation takes effect at some moment
/// between its call and its answer, and some answers are lost.
pub(super) fn generate(seed: u64, options: &Options) -> History {
    enum Stage {
        Called(OperationId),
        Executed(OperationId, Answer),
    }
    let mut rng = Seed::new(seed).stream("history");
    let mut history = History::default();
    let mut store = Store { revision: 1, ..Store::default() };
    let mut clients: BTreeMap<u32, Stage> = BTreeMap::new();
    let mut left = options.operations;
    while left > 0 || !clients.is_empty() {
        let client = u32::try_from(rng.below(u64::from(options.clients))).unwrap();
        let next = match clients.remove(&client) {
            None if left == 0 => continue,
            None => {
                left -= 1;
                let key = format!("k{}", rng.below(u64::from(options.keys)));
                let call = any_call(&mut rng, &store, left);
                Stage::Called(history.invoke(client, key.as_bytes(), call))
            }
            Some(Stage::Called(id)) if rng.below(200) < options.unknown => {
                // Lost on the way: never executed, or executed by a later generation of the
                // client's connection, which is the next case.
                let _ = id;
                continue;
            }
            Some(Stage::Called(id)) => {
                let operation = operation(&history, id);
                let revision = store.revision + 1 + rng.below(options.gap + 1);
                let answer = store.execute(&operation.key, &operation.call, revision);
                Stage::Executed(id, answer)
            }
            Some(Stage::Executed(..)) if rng.below(200) < options.unknown => continue,
            Some(Stage::Executed(id, answer)) => {
                history.complete(id, answer);
                continue;
            }
        };
        clients.insert(client, next);
    }
    history
}

fn any_call(rng: &mut Stream, store: &Store, left: u32) -> Call {
    // Mostly unique values, sometimes one that recurs.
    let value = if rng.below(3) > 0 { format!("v{left}").into_bytes() } else { b"again".to_vec() };
    match rng.below(8) {
        0..=2 => Call::Get,
        3..=4 => Call::Put(value),
        5 => Call::Delete,
        6 => {
            let expected = if rng.below(2) == 0 { b"again".to_vec() } else { b"v0".to_vec() };
            Call::CompareAndSwap { expected: Expected::Value(expected), value }
        }
        _ => {
            let revision = store.keys.values().next().map_or(0, |(_, revision)| *revision);
            let revision = if rng.below(2) == 0 { 0 } else { revision };
            Call::CompareAndSwap { expected: Expected::ModRevision(revision), value }
        }
    }
}

fn operation(history: &History, id: OperationId) -> Operation {
    history.operations()[id.0].clone()
}

/// The same history with one value that was read replaced by one nobody ever wrote.
pub(super) fn corrupt_a_read(history: &History, seed: u64) -> History {
    let mut history = history.clone();
    let mut rng = Seed::new(seed).stream("corruption");
    let mut reads: Vec<&mut Found> = history
        .operations
        .iter_mut()
        .filter_map(|operation| match &mut operation.outcome {
            Outcome::Answered { answer: Answer { response: Response::Got(found), .. }, .. } => {
                found.as_mut()
            }
            _ => None,
        })
        .collect();
    let chosen = usize::try_from(rng.below(reads.len() as u64)).unwrap();
    reads[chosen].value = b"corrupted".to_vec();
    history
}

/// The same history with some answers changed a little; it may remain a possible one.
pub(super) fn spoil(mut history: History, seed: u64, changes: u32) -> History {
    let mut rng = Seed::new(seed).stream("spoiling");
    for _ in 0..changes {
        let count = history.operations.len() as u64;
        let chosen = usize::try_from(rng.below(count)).unwrap();
        let Outcome::Answered { answer, .. } = &mut history.operations[chosen].outcome else {
            continue;
        };
        let shift = |number: &mut u64, up: bool| {
            *number = if up { *number + 1 } else { number.saturating_sub(1) };
        };
        match (rng.below(4), &mut answer.response) {
            (0 | 1, _) => shift(&mut answer.revision, rng.below(2) == 0),
            (_, Response::Put) => {}
            (2, Response::Got(Some(found))) => shift(&mut found.mod_revision, rng.below(2) == 0),
            (3, Response::Got(Some(found))) => found.value = b"again".to_vec(),
            (_, Response::Got(found)) => *found = None,
            (_, Response::Deleted(flag) | Response::Swapped(flag)) => *flag = !*flag,
        }
    }
    history
}

/// The same history with room for seven more revisions before each one in it.
pub(super) fn spread(history: &History) -> History {
    let mut history = history.clone();
    for operation in &mut history.operations {
        if let Call::CompareAndSwap { expected: Expected::ModRevision(revision), .. } =
            &mut operation.call
        {
            *revision *= 8;
        }
        if let Outcome::Answered { answer, .. } = &mut operation.outcome {
            answer.revision *= 8;
            if let Response::Got(Some(found)) = &mut answer.response {
                found.mod_revision *= 8;
            }
        }
    }
    history
}

/// Tries everything.
pub(super) fn is_linearizable(history: &History) -> bool {
    let mut mentioned = BTreeSet::new();
    for operation in history.operations() {
        if let Call::CompareAndSwap { expected: Expected::ModRevision(revision), .. } =
            operation.call
        {
            mentioned.insert(revision);
        }
        let Some(answer) = operation.answer() else {
            continue;
        };
        mentioned.insert(answer.revision);
        if let Response::Got(Some(found)) = &answer.response {
            mentioned.insert(found.mod_revision);
        }
    }
    extend(history.operations(), &mut Vec::new(), &Store::default(), &mentioned)
}

fn extend(
    operations: &[Operation],
    placed: &mut Vec<usize>,
    store: &Store,
    mentioned: &BTreeSet<u64>,
) -> bool {
    let left = |index: &usize| !placed.contains(index);
    let remaining: Vec<usize> = (0..operations.len()).filter(left).collect();
    let deadline = remaining.iter().map(|index| operations[*index].answered()).min();
    if remaining.iter().all(|index| operations[*index].answer().is_none()) {
        return true;
    }
    for index in remaining {
        let operation = &operations[index];
        if deadline.is_some_and(|deadline| operation.invoked > deadline) {
            continue;
        }
        let revisions: Vec<u64> = match operation.answer() {
            Some(answer) => vec![answer.revision],
            // Of the revisions nobody mentions, the lowest ones leave the most room.
            None => (store.revision + 1..)
                .filter(|revision| !mentioned.contains(revision))
                .take(2)
                .chain(mentioned.range(store.revision + 1..).copied())
                .collect(),
        };
        for revision in revisions {
            let mut after = store.clone();
            let given = after.execute(&operation.key, &operation.call, revision);
            let possible = match operation.answer() {
                None => given.revision == revision,
                Some(answer) if operation.modification().is_some() => {
                    revision > store.revision && given == *answer
                }
                Some(answer) => {
                    let unchanged = after.revision == store.revision;
                    after.revision = revision;
                    unchanged && revision >= store.revision && given.response == answer.response
                }
            };
            if !possible {
                continue;
            }
            placed.push(index);
            let found = extend(operations, placed, &after, mentioned);
            placed.pop();
            if found {
                return true;
            }
        }
    }
    false
}
