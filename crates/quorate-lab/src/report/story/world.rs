//! What the scenario did to the world, and how those that fell behind came back.

use super::{Sentence, at};
use crate::report::reading::{Reading, replica};
use crate::report::wording::{count, moment};
use crate::trace::Party;
use std::collections::{BTreeMap, BTreeSet};

/// The most changes of the world that are told one by one.
const TOLD_MAX: usize = 4;

pub(super) fn tell(reading: &Reading<'_>) -> Vec<Sentence> {
    let mut sentences = faults(reading);
    sentences.extend(transfers(reading));
    sentences.extend(rejoined(reading));
    sentences
}

/// What the scenario changed after the first call; what it changed at one moment is one sentence.
fn faults(reading: &Reading<'_>) -> Vec<Sentence> {
    let mut moments: Vec<(u64, Vec<&str>)> = Vec::new();
    for (when, what) in reading.faults.iter().copied().filter(|(at, _)| *at >= reading.zero) {
        match moments.last_mut() {
            Some((last, whats)) if *last == when => whats.push(what),
            _ => moments.push((when, vec![what])),
        }
    }
    // To mend what was not broken, or broke nothing, is no story.
    if reading.later_faults().next().is_none() && reading.periods.len() == 1 {
        return Vec::new();
    }
    let untold = moments.split_off(moments.len().min(TOLD_MAX));
    let mut sentences: Vec<Sentence> = moments
        .into_iter()
        .map(|(when, mut whats)| {
            let more = whats.split_off(whats.len().min(TOLD_MAX)).len() as u64;
            let more = match more {
                0 => String::new(),
                _ => format!("; and {}", count(more, "more change", "more changes")),
            };
            at(when, format!("The scenario: {}{more}.", whats.join("; ")))
        })
        .collect();
    if let (Some((first, _)), Some((last, _))) = (untold.first(), untold.last()) {
        let many = untold.len() as u64;
        let more =
            count(many, "more change of the world follows", "more changes of the world follow");
        let by = if many == 1 {
            String::new()
        } else {
            format!(", until {}", moment(*last, reading.zero))
        };
        sentences.push(at(*first, format!("{more}{by}.")));
    }
    sentences
}

/// The first transfer of state of each replica; only one is told.
fn transfers(reading: &Reading<'_>) -> Option<Sentence> {
    let mut asked: BTreeMap<u32, u64> = BTreeMap::new();
    for event in reading.named("state transfer started") {
        if let Some(id) = replica(event.replica) {
            asked.entry(id).or_insert(event.at);
        }
    }
    let transferred: Vec<_> = reading.named("state transferred").collect();
    let Some(first) = transferred.first() else {
        let (id, when) = asked.iter().next()?;
        let text = format!("Replica {id} has fallen behind, asks for the state, and never has it.");
        return Some(at(*when, text));
    };
    let (id, seq) = (replica(first.replica)?, first.seq.unwrap_or(0));
    let since = asked.get(&id).copied().unwrap_or(first.at);
    let more = match transferred.len() {
        1 => String::new(),
        2 => " One more such follows.".to_owned(),
        many => format!(" {} more such follow.", many - 1),
    };
    let text = format!(
        "Replica {id} had fallen behind{}, asked for the state at {}, and now has that of \
         checkpoint {seq}.{more}",
        missed(reading, first.replica, since),
        moment(since, reading.zero)
    );
    Some(at(first.at, text))
}

/// What a replica that asks for the state had not been sent.
fn missed(reading: &Reading<'_>, behind: Party, since: u64) -> String {
    let executed: BTreeSet<u64> = reading
        .named("executed")
        .filter(|event| event.at <= since)
        .filter_map(|event| event.seq)
        .collect();
    let proposals = reading.arrows.iter().map(|arrow| arrow.message).filter(|message| {
        message.kind == "PRE-PREPARE"
            && message.to == behind
            && message.at <= since
            && message.fate.is_handled()
    });
    let came: BTreeSet<u64> = proposals.filter_map(|message| message.seq).collect();
    let missed = executed.iter().filter(|seq| !came.contains(seq)).count() as u64;
    match (missed, executed.len() as u64) {
        (0, _) => String::new(),
        (missed, all) => format!(
            ", without the PRE-PREPAREs of {missed} of the {} executed until then",
            count(all, "number", "numbers")
        ),
    }
}

fn rejoined(reading: &Reading<'_>) -> Option<Sentence> {
    let event = reading.named("rejoin executed").next()?;
    let who = event.detail.clone().unwrap_or_default();
    let seq = event.seq.unwrap_or(0);
    Some(at(
        event.at,
        format!("The REJOIN of a replica without memory is executed at {seq}: {who}."),
    ))
}
