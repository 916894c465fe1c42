//! A run in a few dated sentences, each made from lines of its trace.

mod calm;
mod clients;
mod decided;
mod lies;
mod proofs;
mod proposals;
mod views;
mod world;

pub(super) use decided::makes_good;
pub(super) use lies::Lie;
pub(super) use proofs::place as place_of_proof;

use super::Summary;
use super::reading::Reading;
use super::wording::{listed, replicas};
use std::collections::BTreeMap;

/// A sentence, and the moment that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// None for one about the whole run.
    pub(super) at: Option<u64>,
    pub(super) text: String,
}

/// What happened, and the lies that were seen.
pub(super) struct Story {
    pub(super) sentences: Vec<Sentence>,
    pub(super) lies: Vec<Lie>,
}

fn at(at: u64, text: String) -> Sentence {
    Sentence { at: Some(at), text }
}

/// Tells a run.
pub(super) fn tell(summary: &Summary, reading: &Reading<'_>) -> Story {
    let lies = lies::find(reading);
    let mut sentences = lies::tell(reading, &lies);
    sentences.extend(proofs::tell(summary, reading));
    sentences.extend(views::tell(reading));
    sentences.extend(world::tell(reading));
    sentences.extend(decided::tell(reading, &lies));
    let is_calm = sentences.is_empty();
    if is_calm {
        sentences.extend(calm::tell(reading));
    }
    sentences.extend(clients::sessions(reading, &sentences).filter(|_| !is_calm));
    sentences.extend(clients::tell(reading));
    sentences.sort_by_key(|sentence| sentence.at.unwrap_or(u64::MAX));
    sentences.extend(suspects(summary));
    Story { sentences, lies }
}

/// Who is suspected and not proved to have done wrong.
fn suspects(summary: &Summary) -> Option<Sentence> {
    let is_proved = |id| summary.culprits.iter().any(|c| c.proved && c.replica == id);
    let mut of: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for culprit in summary.culprits.iter().filter(|culprit| !is_proved(culprit.replica)) {
        of.entry(culprit.replica).or_default().push(&culprit.evidence);
    }
    // The rest stands in the table.
    let told = if of.len() > 2 { 1 } else { 2 };
    let each: Vec<String> = of
        .into_iter()
        .map(|(id, what)| {
            let told = what.iter().take(told).copied().collect::<Vec<_>>();
            format!("{} ({})", replicas(&[id]), told.join("; "))
        })
        .collect();
    (!each.is_empty()).then(|| Sentence {
        at: None,
        text: format!(
            "Suspected, not proved (silence and delay may be the network's): {}.",
            listed(&each)
        ),
    })
}

#[cfg(test)]
mod tests;
