//! Digests that stand against each other: of one number's batch, of one checkpoint's state, of one
//! request's result.

use crate::trace::{Fate, Line, MessageLine, Party};
use std::collections::{BTreeMap, BTreeSet};

/// Where more than one digest was named, and the letter of each: A for the one told first.
pub(in crate::report) struct Rivals<'a> {
    of: BTreeMap<Place, Vec<&'a str>>,
}

/// What a digest is the digest of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The batch at this number.
    Batch(u64),
    /// The state of the checkpoint at this number.
    State(u64),
    /// The result of a client's request.
    Result(Party, (u64, u64)),
}

impl<'a> Rivals<'a> {
    pub(super) fn read(lines: &'a [Line]) -> Self {
        let mut of: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for line in lines {
            let (place, digest) = match line {
                Line::Message(message) => (place(message), message.digest.as_deref()),
                // The primary names a batch to itself before it sends it.
                Line::Event(event) if event.event == "pre-prepared" => {
                    (event.seq.map(Place::Batch), event.digest.as_deref())
                }
                _ => continue,
            };
            let (Some(place), Some(digest)) = (place, digest) else { continue };
            let named = of.entry(place).or_default();
            if !named.contains(&digest) {
                named.push(digest);
            }
            if matches!(line, Line::Message(message) if message.fate != Fate::Own) {
                told.insert((place, digest));
            }
        }
        // A liar names to itself what it tells nobody: the first letters are not for that.
        for (place, named) in &mut of {
            named.sort_by_key(|digest| !told.contains(&(*place, *digest)));
        }
        of.retain(|_, digests| digests.len() > 1);
        Self { of }
    }

    /// The rank of the digest that a message names among those named in its place, from 0; nothing
    /// if no other was named there.
    pub(in crate::report) fn rank(&self, message: &MessageLine) -> Option<usize> {
        let digest = message.digest.as_deref()?;
        self.of.get(&place(message)?)?.iter().position(|rival| *rival == digest)
    }

    /// The letter of a batch at a number, if there were several.
    pub(in crate::report) fn letter(&self, seq: u64, digest: &str) -> Option<char> {
        let rivals = self.of.get(&Place::Batch(seq))?;
        rivals.iter().position(|rival| *rival == digest).map(letter)
    }

    /// Each batch that was named at a number beside others, by letter and digest.
    pub(in crate::report) fn letters(&self, seq: u64) -> Vec<String> {
        let rivals = self.of.get(&Place::Batch(seq)).into_iter().flatten();
        rivals.enumerate().map(|(rank, digest)| format!("{} {digest}", letter(rank))).collect()
    }
}

/// A letter for a rank; all beyond the alphabet have the last one.
pub(in crate::report) fn letter(rank: usize) -> char {
    char::from(b'A' + u8::try_from(rank.min(25)).unwrap_or(25))
}

fn place(message: &MessageLine) -> Option<Place> {
    match message.kind {
        "PRE-PREPARE" | "PREPARE" | "COMMIT" | "REPAIR" => message.seq.map(Place::Batch),
        "CHECKPOINT" => message.seq.map(Place::State),
        "REPLY" => message.request.map(|request| Place::Result(message.to, request)),
        _ => None,
    }
}
