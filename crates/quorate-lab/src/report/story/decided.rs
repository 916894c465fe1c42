//! What became of numbers that a primary had given to several batches.

use super::lies::{batch, size};
use super::{Lie, Sentence};
use crate::report::reading::{Reading, replica};
use crate::report::wording::{count, numbers, replicas};
use crate::trace::EventLine;
use std::collections::{BTreeMap, BTreeSet};

/// What was executed at a number: the letters of the batches, and by whom; and whether another
/// batch asked for something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Decision {
    executed: Vec<(char, Vec<u32>)>,
    /// In which view, and where, the batch had prepared before a later view chose it.
    prepared: Option<(u64, Vec<u32>)>,
    /// Whether the batch is empty.
    is_empty: bool,
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
        let only = digests.keys().next().filter(|_| digests.len() == 1);
        let decision = Decision {
            prepared: only.and_then(|digest| prepared(reading, seq, digest)),
            is_empty: only.is_some_and(|digest| size(reading, digest) == Some(0)),
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
    by_decision.iter().map(|(decision, seqs)| tell_one(reading, lies, decision, seqs)).collect()
}

fn tell_one(
    reading: &Reading<'_>,
    lies: &[Lie],
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
            let rest =
                if all_answered && decision.has_left_out { later(reading, lies) } else { None };
            let rest = rest.unwrap_or_default();
            if decision.is_of_these {
                let why = why(reading, decision, *letter);
                format!("At {place}, {who} execute {batch} and nothing else.{why}{rest}")
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

/// The last view in which a batch prepared at a number before the view began in which it was
/// executed; nothing if that was one view.
fn prepared(reading: &Reading<'_>, seq: u64, digest: &str) -> Option<(u64, Vec<u32>)> {
    let executed = reading.named("executed").find(|event| event.seq == Some(seq))?.at;
    let began = reading.periods.iter().map(|period| period.from).rfind(|from| *from <= executed)?;
    let before = |event: &&EventLine| {
        event.at < began && event.seq == Some(seq) && event.digest.as_deref() == Some(digest)
    };
    let events: Vec<&EventLine> = reading.named("prepared").filter(before).collect();
    let view = events.iter().filter_map(|event| event.view).max()?;
    let of_it = events.iter().filter(|event| event.view == Some(view));
    let by: BTreeSet<u32> = of_it.filter_map(|event| replica(event.replica)).collect();
    Some((view, by.into_iter().collect()))
}

/// Why that batch was chosen.
fn why(reading: &Reading<'_>, decision: &Decision, letter: char) -> String {
    let Some((view, by)) = &decision.prepared else { return String::new() };
    let enough = reading.replica_count as usize - reading.fault_bound() as usize;
    let although = if decision.is_empty { ", although it is empty" } else { "" };
    let by = match by.len() {
        many if many >= enough => format!("{many} replicas"),
        _ => replicas(by),
    };
    format!(
        " {letter} won{although}: it had prepared in view {view} (at {by}), and a new view must choose \
         what may have been committed before it."
    )
}

/// The batch that orders what was left out.
fn later(reading: &Reading<'_>, lies: &[Lie]) -> Option<String> {
    let event = makes_good(reading, lies)?;
    let requests = count(event.requests.unwrap_or(0) as u64, "request", "requests");
    Some(format!(
        " What was left out is not lost: replicas keep requests until they are executed, and number \
         {} ({requests}) is the next that orders any.",
        event.seq?
    ))
}

/// The first execution of requests after a primary had given numbers to several batches, if empty
/// batches won there over others.
pub(in crate::report) fn makes_good<'a>(
    reading: &Reading<'a>,
    lies: &[Lie],
) -> Option<&'a EventLine> {
    let disputed = || lies.iter().filter(|lie| lie.is_equivocation());
    let first = disputed().map(|lie| lie.at).min()?;
    let executed = reading.executed();
    let has_lost = disputed().any(|lie| {
        let here = lie.seq.and_then(|seq| executed.get(&seq));
        let is_empty = |digest: &&str| size(reading, digest) == Some(0);
        here.is_some_and(|here| here.keys().all(is_empty))
            && lie.digests().any(|digest| size(reading, digest) != Some(0))
    });
    let mut later = reading
        .named("executed")
        .filter(|event| event.at >= first && event.requests.is_some_and(|many| many > 0));
    later.next().filter(|_| has_lost)
}
