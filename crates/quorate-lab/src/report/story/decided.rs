//! What became of numbers that a primary had given to several batches.

use super::lies::{batch, size};
use super::{Lie, Sentence};
use crate::report::reading::Reading;
use crate::report::wording::{numbers, replicas};
use std::collections::BTreeMap;

/// What was executed at a number: the letters of the batches, and by whom; and whether another
/// batch asked for something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Decision {
    executed: Vec<(char, Vec<u32>)>,
    /// Whether it is one of those that the liar named.
    is_of_these: bool,
    has_left_out: bool,
}

pub(super) fn tell(reading: &Reading<'_>, lies: &[Lie]) -> Vec<Sentence> {
    let mut by_decision: BTreeMap<Decision, BTreeMap<u64, Vec<String>>> = BTreeMap::new();
    let executed = reading.executed();
    for lie in lies.iter().filter(|lie| lie.is_equivocation()) {
        let Some(seq) = lie.seq else { continue };
        let none = BTreeMap::new();
        let digests = executed.get(&seq).unwrap_or(&none);
        let letter = |digest| reading.rivals.letter(seq, digest).unwrap_or('?');
        let left_out = lie.digests().filter(|digest| !digests.contains_key(digest));
        let decision = Decision {
            executed: digests
                .iter()
                .map(|(digest, by)| (letter(digest), by.iter().copied().collect()))
                .collect(),
            is_of_these: lie.digests().any(|digest| digests.contains_key(digest)),
            has_left_out: left_out.into_iter().any(|digest| size(reading, digest) != Some(0)),
        };
        let words = digests.keys().map(|digest| batch(reading, Some(seq), digest)).collect();
        by_decision.entry(decision).or_default().insert(seq, words);
    }
    by_decision.iter().map(|(decision, seqs)| tell_one(reading, decision, seqs)).collect()
}

fn tell_one(
    reading: &Reading<'_>,
    decision: &Decision,
    seqs: &BTreeMap<u64, Vec<String>>,
) -> Sentence {
    let list: Vec<u64> = seqs.keys().copied().collect();
    let (word, each) = if list.len() == 1 { ("number", "") } else { ("numbers", "each of ") };
    let place = format!("{each}{word} {}", numbers(&list));
    let when = reading
        .named("executed")
        .find(|event| event.seq.is_some_and(|seq| seqs.contains_key(&seq)))
        .map(|event| event.at);
    let is_same = seqs.values().all(|words| Some(words) == seqs.values().next());
    let text = match decision.executed.as_slice() {
        [] => format!("Nothing was executed at {place}."),
        [(letter, by)] => {
            let who = match by.len() {
                all if all == reading.replica_count as usize => format!("all {all} replicas"),
                _ => replicas(by),
            };
            let batch = match seqs.values().next().and_then(|words| words.first()) {
                Some(batch) if is_same => batch.clone(),
                _ => letter.to_string(),
            };
            let all_answered = reading.calls.iter().all(|call| call.answered.is_some());
            let rest = if all_answered && decision.has_left_out {
                " What the other batch asked for was ordered again later: every operation was \
                 answered."
            } else {
                ""
            };
            if decision.is_of_these {
                format!("At {place}, {who} execute {batch} and nothing else.{rest}")
            } else {
                format!(
                    "At {place}, {who} execute what a later primary proposed ({batch}), and neither of \
                     the two."
                )
            }
        }
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|(letter, by)| format!("{letter} by {}", replicas(by)))
                .collect();
            format!("At {place}, different batches are executed: {}.", each.join("; "))
        }
    };
    Sentence { at: when, text }
}
