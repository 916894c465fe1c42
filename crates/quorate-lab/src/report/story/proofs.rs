//! Who could prove which lie, and how.

use super::{Sentence, at};
use crate::report::Summary;
use crate::report::reading::{Reading, replica};
use crate::report::wording::{capital, moment, party, replicas};
use crate::trace::{Against, EventLine};
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
        let how = how(reading, first, liar);
        let text = format!(
            "{finder} can prove the lie to anybody: {lie}, signed by replica {liar}. {how}"
        );
        sentences.push(at(first.at, capital(text.trim_end())));
        sentences.extend(others(reading, &events, liar));
    }
    sentences
}

/// The lie, as the conviction names it.
fn lie(summary: &Summary, liar: u32, view: Option<u64>) -> Option<String> {
    let ending = view.map_or(String::new(), |view| format!(", in view {view}"));
    let mut proved = summary.culprits.iter().filter(|c| c.proved && c.replica == liar);
    proved.find_map(|culprit| culprit.evidence.strip_suffix(&ending)).map(str::to_owned)
}

/// The message that made the proof whole.
fn how(reading: &Reading<'_>, found: &EventLine, liar: u32) -> String {
    let arrow = reading.arrows.iter().find(|arrow| {
        arrow.message.to == found.replica
            && arrow.message.at == found.at
            && arrow.convicts.is_some_and(|convicted| convicted.get() == liar)
    });
    let Some(message) = arrow.map(|arrow| arrow.message) else { return String::new() };
    let from = party(message.from);
    match (message.kind, replica(message.from)) {
        ("REPAIR", _) => {
            format!("It had asked, and {from} forwarded the PRE-PREPARE that it had not been sent.")
        }
        (kind, Some(from)) if from == liar => format!("The liar's own {kind} makes it whole."),
        (kind, _) => format!("The {kind} of {from} makes it whole."),
    }
}

fn others(reading: &Reading<'_>, events: &[&EventLine], liar: u32) -> Option<Sentence> {
    let ids: BTreeSet<u32> = events[1..].iter().filter_map(|e| replica(e.replica)).collect();
    let last = events.last().filter(|_| !ids.is_empty())?;
    let ids: Vec<u32> = ids.into_iter().collect();
    let own = if ids.contains(&liar) {
        format!(
            " Replica {liar} too: it lies on its links, and behind them runs the unchanged protocol."
        )
    } else {
        String::new()
    };
    let verb = if ids.len() == 1 { "has" } else { "have" };
    let by = moment(last.at, reading.zero);
    let text = format!("{} {verb} a proof by {by}.{own}", replicas(&ids));
    Some(at(events[1].at, capital(&text)))
}
