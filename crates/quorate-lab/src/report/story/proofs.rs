//! Who could prove which lie, and how.

use super::{Sentence, at};
use crate::report::Summary;
use crate::report::reading::{Reading, replica};
use crate::report::wording::{capital, listed, moment, party, replicas};
use crate::trace::{Against, EventLine, MessageLine};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn tell(summary: &Summary, reading: &Reading<'_>) -> Vec<Sentence> {
    let mut found: BTreeMap<(u32, Option<u64>), Vec<&EventLine>> = BTreeMap::new();
    for event in reading.named("evidence found") {
        if let Some(Against::Proved(liar)) = event.against {
            found.entry((liar.get(), event.view)).or_default().push(event);
        }
    }
    let mut sentences = Vec::new();
    for ((liar, view), events) in found {
        let first = events[0];
        // What a liar alone sees of itself is not proved before others.
        let Some(lie) = lie(summary, liar, view) else { continue };
        let finder = party(first.replica);
        let (which, how) = how(reading, first, liar);
        let others = others(reading, &events, liar);
        let text = format!(
            "{finder} can prove the lie to anybody: {lie}{which}, signed by replica {liar}."
        );
        let parts: Vec<String> = [Some(text), how, others].into_iter().flatten().collect();
        sentences.push(at(first.at, capital(&parts.join(" "))));
    }
    sentences
}

/// The lie, as the conviction names it.
fn lie(summary: &Summary, liar: u32, view: Option<u64>) -> Option<String> {
    let ending = view.map_or(String::new(), |view| format!(", in view {view}"));
    let mut proved = summary.culprits.iter().filter(|c| c.proved && c.replica == liar);
    proved.find_map(|culprit| culprit.evidence.strip_suffix(&ending)).map(str::to_owned)
}

/// At which number the lie was told, and the message that made the proof whole.
fn how(reading: &Reading<'_>, found: &EventLine, liar: u32) -> (String, Option<String>) {
    let Some(message) = convicting(reading, found, liar) else { return (String::new(), None) };
    let from = party(message.from);
    let text = match (message.kind, replica(message.from)) {
        ("REPAIR", _) => {
            let letter = message.seq.zip(message.digest.as_ref());
            let letter = letter.and_then(|(seq, digest)| reading.rivals.letter(seq, digest));
            let which = letter.map_or_else(String::new, |letter| format!(" for {letter}"));
            format!("It had asked, and {from} forwarded the PRE-PREPARE{which}.")
        }
        (kind, Some(from)) if from == liar => format!("The liar's own {kind} makes it whole."),
        (kind, _) => format!("The {kind} of {from} makes it whole."),
    };
    (slot(message), Some(text))
}

/// The message with which a replica could prove a lie.
fn convicting<'a>(reading: &Reading<'a>, found: &EventLine, liar: u32) -> Option<&'a MessageLine> {
    let arrow = reading.arrows.iter().rfind(|arrow| {
        arrow.message.to == found.replica
            && arrow.message.at <= found.at
            && arrow.convicts.is_some_and(|convicted| convicted.get() == liar)
    });
    arrow.map(|arrow| arrow.message)
}

/// The number that a convicting message is about.
fn slot(message: &MessageLine) -> String {
    match (message.kind, message.seq) {
        ("REPAIR" | "PRE-PREPARE", Some(seq)) => format!(", {seq}"),
        _ => String::new(),
    }
}

/// Where the lie was told that a replica could prove, what stands against each other, and who
/// helped: for the table of proofs.
pub(in crate::report) fn place(reading: &Reading<'_>, found: &EventLine, liar: u32) -> String {
    let Some(message) = convicting(reading, found, liar) else { return String::new() };
    let Some(seq) = message.seq.filter(|_| !slot(message).is_empty()) else { return String::new() };
    let letters = reading.rivals.letters(seq);
    let letters = match letters.len() {
        0 | 1 => String::new(),
        _ => format!(": {}", listed(&letters)),
    };
    let helper = match (message.kind, replica(message.from)) {
        ("REPAIR", Some(helper)) => format!(", forwarded by replica {helper}"),
        _ => String::new(),
    };
    format!("; number {seq}{letters}{helper}")
}

fn others(reading: &Reading<'_>, events: &[&EventLine], liar: u32) -> Option<String> {
    let ids: BTreeSet<u32> = events[1..].iter().filter_map(|e| replica(e.replica)).collect();
    let last = events.last().filter(|_| !ids.is_empty())?;
    let ids: Vec<u32> = ids.into_iter().collect();
    let own = if ids.contains(&liar) {
        format!(
            " (So can replica {liar}: the scenario falsifies what it sends, not how it judges.)"
        )
    } else {
        String::new()
    };
    let by = moment(last.at, reading.zero);
    Some(capital(&format!("{} can by {by}.{own}", replicas(&ids))))
}
