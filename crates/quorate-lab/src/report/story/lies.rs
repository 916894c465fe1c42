//! Messages that no correct replica sends, found by laying messages beside each other.

use super::{Sentence, at};
use crate::culprits::broken_rule;
use crate::report::reading::{Arrow, Reading, replica};
use crate::report::wording::{count, listed, numbers, replicas};
use crate::trace::{EventLine, MessageLine};
use pbft::Reject;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica said that no correct one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Lie {
    pub(in crate::report) by: u32,
    /// When it was sent.
    pub(in crate::report) at: u64,
    kind: &'static str,
    view: Option<u64>,
    /// The number it is about.
    pub(in crate::report) seq: Option<u64>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Digests that it named in one place, and to whom.
    Two(Vec<(String, BTreeSet<u32>)>),
    /// A digest that nobody proposed, or that contradicts what enough others say.
    Odd(String),
    /// It was refused.
    Refused { by: u32, reason: Reject },
}

/// The most lies that are told one by one.
const TOLD_MAX: usize = 4;

impl Lie {
    /// Whether it gives one number to several batches.
    pub(in crate::report) fn is_equivocation(&self) -> bool {
        matches!(self.what, What::Two(_)) && self.kind == "PRE-PREPARE"
    }

    /// The digests that it names beside each other.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        let digests = match &self.what {
            What::Two(digests) => digests.as_slice(),
            What::Odd(_) | What::Refused { .. } => &[],
        };
        digests.iter().map(|(digest, _)| digest.as_str())
    }
}

/// Every lie that can be seen in the messages, in order of time.
pub(super) fn find(reading: &Reading<'_>) -> Vec<Lie> {
    let mut lies = equivocations(reading);
    let doubled: BTreeSet<(u32, &str)> = lies.iter().map(|lie| (lie.by, lie.kind)).collect();
    let other = odd_votes(reading).into_iter().chain(odd_among_equals(reading));
    let other = other.filter(|lie| !doubled.contains(&(lie.by, lie.kind)));
    lies.extend(other.collect::<Vec<_>>());
    let told = |lie: &Lie| lies.iter().any(|other| other.by == lie.by);
    let refused: Vec<Lie> = refused(reading).into_iter().filter(|lie| !told(lie)).collect();
    lies.extend(refused);
    lies.sort_by_key(|lie| lie.at);
    lies
}

type Slot = (u32, &'static str, Option<u64>, Option<u64>);

/// What a replica may be held to: it speaks for itself, and was not refused.
fn signed<'a>(reading: &'a Reading<'_>, kinds: &'a [&str]) -> impl Iterator<Item = &'a Arrow<'a>> {
    reading.arrows.iter().filter(move |arrow| {
        kinds.contains(&arrow.message.kind)
            && is_own(reading, arrow)
            && (!arrow.is_refused_as_a_lie() || arrow.refusal == Some(Reject::Contradiction))
    })
}

/// Whether a message is not one that its sender passes on for the primary.
fn is_own(reading: &Reading<'_>, arrow: &Arrow<'_>) -> bool {
    match (arrow.message.kind, arrow.message.view) {
        ("PRE-PREPARE" | "NEW-VIEW", Some(view)) => {
            replica(arrow.message.from) == Some(reading.primary(view))
        }
        _ => arrow.message.kind != "REPAIR",
    }
}

fn equivocations(reading: &Reading<'_>) -> Vec<Lie> {
    let mut said: BTreeMap<Slot, Vec<(String, u64, BTreeSet<u32>)>> = BTreeMap::new();
    for arrow in signed(reading, &["PRE-PREPARE", "PREPARE", "COMMIT", "CHECKPOINT"]) {
        let message = arrow.message;
        let (Some(from), Some(to)) = (replica(message.from), replica(message.to)) else { continue };
        let Some(digest) = &message.digest else { continue };
        let digests = said.entry((from, message.kind, message.view, message.seq)).or_default();
        match digests.iter_mut().find(|(named, ..)| named == digest) {
            Some((_, sent, receivers)) => {
                *sent = message.sent.min(*sent);
                receivers.insert(to);
            }
            None => digests.push((digest.clone(), message.sent, BTreeSet::from([to]))),
        }
    }
    said.into_iter()
        .filter(|(_, digests)| digests.len() > 1)
        .map(|((by, kind, view, seq), mut digests)| {
            digests.sort_by_key(|(_, sent, _)| *sent);
            let at = digests[1].1;
            digests
                .sort_by_key(|(digest, ..)| seq.and_then(|seq| reading.rivals.letter(seq, digest)));
            let two = digests.into_iter().map(|(digest, _, to)| (digest, to)).collect();
            Lie { by, at, kind, view, seq, what: What::Two(two) }
        })
        .collect()
}

/// Votes for what nobody proposed, where something was proposed.
fn odd_votes(reading: &Reading<'_>) -> Vec<Lie> {
    let mut proposed: BTreeMap<(Option<u64>, Option<u64>), BTreeSet<&str>> = BTreeMap::new();
    let messages = reading.arrows.iter().map(|arrow| arrow.message);
    let sent = messages.filter(|message| matches!(message.kind, "PRE-PREPARE" | "REPAIR"));
    let sent = sent.map(|message| (message.view, message.seq, &message.digest));
    let believed = reading.named("pre-prepared").map(|e| (e.view, e.seq, &e.digest));
    for (view, seq, digest) in sent.chain(believed) {
        if let Some(digest) = digest {
            proposed.entry((view, seq)).or_default().insert(digest);
        }
    }
    let mut seen = BTreeSet::new();
    let mut lies = Vec::new();
    for arrow in signed(reading, &["PREPARE", "COMMIT"]) {
        let message = arrow.message;
        let (Some(by), Some(digest)) = (replica(message.from), &message.digest) else { continue };
        let is_odd = proposed
            .get(&(message.view, message.seq))
            .is_some_and(|digests| !digests.contains(digest.as_str()));
        if is_odd && seen.insert((by, message.kind, message.view, message.seq)) {
            let (kind, view, seq) = (message.kind, message.view, message.seq);
            lies.push(Lie {
                by,
                at: message.sent,
                kind,
                view,
                seq,
                what: What::Odd(digest.clone()),
            });
        }
    }
    lies
}

/// States and results that contradict those of enough others.
fn odd_among_equals(reading: &Reading<'_>) -> Vec<Lie> {
    let enough = reading.fault_bound() as usize + 1;
    let mut said: BTreeMap<_, BTreeMap<&str, BTreeMap<u32, &Arrow<'_>>>> = BTreeMap::new();
    for arrow in signed(reading, &["CHECKPOINT", "REPLY"]) {
        let message = arrow.message;
        let (Some(by), Some(digest)) = (replica(message.from), &message.digest) else { continue };
        let client = (message.kind == "REPLY").then_some(message.to);
        let place = (message.kind, client, message.seq, message.request);
        said.entry(place).or_default().entry(digest).or_default().entry(by).or_insert(arrow);
    }
    let mut lies = Vec::new();
    for digests in said.into_values() {
        let Some(most) = digests.values().map(BTreeMap::len).max() else { continue };
        let lonely = digests.into_iter().filter(|(_, by)| most >= enough && by.len() < most);
        for (digest, by) in lonely {
            lies.extend(by.into_iter().map(|(by, arrow)| Lie {
                by,
                at: arrow.message.sent,
                kind: arrow.message.kind,
                view: arrow.message.view,
                seq: arrow.message.seq,
                what: What::Odd(digest.to_owned()),
            }));
        }
    }
    lies
}

/// Who refused messages of one sort, and what was wrong with each.
type Refusals = (BTreeSet<u32>, Vec<Lie>);

/// What f+1 replicas refused, one of which is correct.
fn refused(reading: &Reading<'_>) -> Vec<Lie> {
    let enough = reading.fault_bound() as usize + 1;
    let mut by_reason: BTreeMap<(u32, &str, Reject), Refusals> = BTreeMap::new();
    let refused = reading.arrows.iter().filter(|arrow| arrow.is_refused_as_a_lie());
    for arrow in refused.filter(|arrow| is_own(reading, arrow)) {
        let MessageLine { from, to, kind, view, seq, sent, .. } = *arrow.message;
        let (Some(by), Some(receiver), Some(reason)) = (replica(from), replica(to), arrow.refusal)
        else {
            continue;
        };
        let (receivers, lies) = by_reason.entry((by, kind, reason)).or_default();
        receivers.insert(receiver);
        lies.push(Lie {
            by,
            at: sent,
            kind,
            view,
            seq,
            what: What::Refused { by: receiver, reason },
        });
    }
    let seen = by_reason.into_values().filter(|(receivers, _)| receivers.len() >= enough);
    seen.flat_map(|(_, lies)| lies).collect()
}

/// The first lie of each sort, with the numbers at which it was told again; and who saw it.
pub(super) fn tell(reading: &Reading<'_>, lies: &[Lie]) -> Vec<Sentence> {
    let mut told: Vec<(&Lie, BTreeMap<u64, &Lie>)> = Vec::new();
    for lie in lies {
        let sort = |other: &Lie| match (&other.what, &lie.what) {
            (What::Two(_), What::Two(_)) | (What::Odd(_), What::Odd(_)) => true,
            (What::Refused { reason: one, .. }, What::Refused { reason: other, .. }) => {
                one == other
            }
            _ => false,
        };
        let is_same = |other: &Lie| other.by == lie.by && other.kind == lie.kind && sort(other);
        match told.iter_mut().find(|(other, _)| is_same(other)) {
            Some((_, again)) => again.extend(lie.seq.map(|seq| (seq, lie))),
            None => told.push((lie, BTreeMap::new())),
        }
    }
    // Whoever signs two things says more than whoever is refused.
    told.sort_by_key(|(lie, _)| (matches!(lie.what, What::Refused { .. }), lie.at));
    let untold = told.len().saturating_sub(TOLD_MAX);
    let mut sentences = Vec::new();
    for (lie, mut again) in told.into_iter().take(TOLD_MAX) {
        lie.seq.map(|seq| again.remove(&seq));
        let again = match again.len() {
            0 => String::new(),
            1..=6 => {
                let word = if again.len() == 1 { "number" } else { "numbers" };
                let seqs: Vec<u64> = again.keys().copied().collect();
                format!(" The same with {word} {}{}.", numbers(&seqs), others(lie, &again))
            }
            many => format!(" The same with {many} more numbers."),
        };
        sentences.push(at(lie.at, format!("{}{again}", describe(reading, lie))));
        sentences.extend(seen(reading, lie));
    }
    if untold > 0 {
        let more =
            count(untold as u64, "other sort of wrong message", "other sorts of wrong messages");
        sentences.push(Sentence { at: None, text: format!("Seen as well: {more}.") });
    }
    sentences
}

/// What the letters stand for where a lie is told again, if not for the same batches.
fn others(lie: &Lie, again: &BTreeMap<u64, &Lie>) -> &'static str {
    let same: BTreeSet<&str> = lie.digests().collect();
    let other = |lie: &&&Lie| lie.digests().any(|digest| !same.contains(digest));
    match (again.values().any(|lie| other(&lie)), again.len()) {
        (false, _) => "",
        (true, 1) => ", with batches of its own",
        (true, _) => ", each with batches of its own",
    }
}

fn describe(reading: &Reading<'_>, lie: &Lie) -> String {
    let who = match lie.view {
        Some(view) if lie.kind == "PRE-PREPARE" && reading.primary(view) == lie.by => {
            format!("Replica {}, the primary of view {view},", lie.by)
        }
        _ => format!("Replica {}", lie.by),
    };
    let (kind, seq) = (lie.kind, lie.seq.map_or(String::new(), |seq| format!(" {seq}")));
    match &lie.what {
        What::Two(digests) => {
            let each: Vec<String> = digests
                .iter()
                .map(|(digest, to)| {
                    let to: Vec<u32> = to.iter().copied().collect();
                    format!("{} to {}", batch(reading, lie.seq, digest), replicas(&to))
                })
                .collect();
            let many = match digests.len() {
                2 => "two".to_owned(),
                many => many.to_string(),
            };
            match kind {
                "PRE-PREPARE" => format!(
                    "{who} gives number{seq} to {many} batches: its PRE-PREPAREs name {}.",
                    listed(&each)
                ),
                "CHECKPOINT" => format!(
                    "{who} signs {many} states for the checkpoint at number{seq}: {}.",
                    listed(&each)
                ),
                _ => format!(
                    "{who} votes for {many} batches at number{seq}: its {kind}s name {}.",
                    listed(&each)
                ),
            }
        }
        What::Odd(digest) => match kind {
            "REPLY" => format!("{who} answers a client otherwise than f+1 others."),
            "CHECKPOINT" => format!(
                "{who} names another state ({digest}) for the checkpoint at number{seq} than f+1 \
                 others."
            ),
            _ => format!(
                "{who} votes for a batch that nobody proposed: its {kind} for number{seq} names {}.",
                batch(reading, lie.seq, digest)
            ),
        },
        What::Refused { by, reason } => {
            let about = if seq.is_empty() { String::new() } else { format!(" for number{seq}") };
            let what = if kind == crate::trace::GARBAGE { "what it sends" } else { kind };
            let rule = broken_rule(*reason).unwrap_or("it breaks a rule");
            format!("{who} sends {what}{about} that replica {by} refuses: {rule}.")
        }
    }
}

/// A batch by its letter, the beginning of its digest and how much is in it.
pub(super) fn batch(reading: &Reading<'_>, seq: Option<u64>, digest: &str) -> String {
    let letter = seq.and_then(|seq| reading.rivals.letter(seq, digest));
    let size = size(reading, digest);
    let size = size.map(|size| match size {
        0 => ", empty".to_owned(),
        _ => format!(", {}", count(size as u64, "request", "requests")),
    });
    let size = size.unwrap_or_default();
    match letter {
        Some(letter) => format!("{letter} ({digest}{size})"),
        None => format!("{digest}{size}"),
    }
}

/// How many requests are in a batch, as far as somebody accepted it.
pub(super) fn size(reading: &Reading<'_>, digest: &str) -> Option<usize> {
    let is_it =
        |event: &&&EventLine| event.requests.is_some() && event.digest.as_deref() == Some(digest);
    reading.events.iter().find(is_it).and_then(|event| event.requests)
}

/// The first who was told one thing by the primary and hears of another.
fn seen(reading: &Reading<'_>, lie: &Lie) -> Option<Sentence> {
    let What::Two(digests) = &lie.what else { return None };
    if !lie.is_equivocation() {
        return None;
    }
    let given = |id: u32| digests.iter().find(|(_, to)| to.contains(&id)).map(|(digest, _)| digest);
    reading.arrows.iter().find_map(|arrow| {
        let message = arrow.message;
        let (from, to) = (replica(message.from)?, replica(message.to)?);
        let (given, named) = (given(to)?, message.digest.as_ref()?);
        let is_about = message.view == lie.view && message.seq == lie.seq;
        let is_other = is_about && from != lie.by && to != lie.by && given != named;
        if !is_other || !message.fate.is_handled() {
            return None;
        }
        let letter = |digest| reading.rivals.letter(message.seq.unwrap_or(0), digest);
        let (given, named) = (letter(given).unwrap_or('?'), letter(named).unwrap_or('?'));
        let what = match message.kind {
            "REPAIR" => format!("is shown the PRE-PREPARE for {named} by replica {from}"),
            kind => format!("gets replica {from}'s {kind} for {named}"),
        };
        Some(at(message.at, format!("Replica {to}, which was given {given}, {what}.")))
    })
}
