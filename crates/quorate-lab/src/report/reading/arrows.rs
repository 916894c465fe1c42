//! Messages, with what can be said of each only by looking at others.

use super::replica;
use crate::culprits::broken_rule;
use crate::trace::{Against, EventLine, Fate, Line, MessageLine, Party};
use pbft::{Reject, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};

/// A message on its way.
pub(in crate::report) struct Arrow<'a> {
    pub(in crate::report) message: &'a MessageLine,
    /// Its receiver had the same message already, or it is lost as the same was before.
    pub(in crate::report) is_repeat: bool,
    /// It is about a view that its receiver had left.
    pub(in crate::report) is_late: bool,
    /// Why the receiver refused it.
    pub(in crate::report) refusal: Option<Reject>,
    /// With it the receiver could prove that this replica lied.
    pub(in crate::report) convicts: Option<ReplicaId>,
    /// It asks for a message that convicts.
    pub(in crate::report) asks_for_proof: bool,
}

impl Arrow<'_> {
    /// Whether it was refused for what no correct replica sends.
    pub(in crate::report) fn is_refused_as_a_lie(&self) -> bool {
        self.refusal.and_then(broken_rule).is_some()
    }
}

/// How long after a message something may still be its effect, in microseconds: a replica on real
/// links writes down one after the other.
const EFFECT_MICROS: u64 = 1_000;

pub(super) fn read(lines: &[Line]) -> Vec<Arrow<'_>> {
    let mut arrows: Vec<Arrow<'_>> = Vec::new();
    let mut had: BTreeSet<Key<'_>> = BTreeSet::new();
    let mut in_vain: BTreeSet<Key<'_>> = BTreeSet::new();
    let mut heads_for: BTreeMap<Party, u64> = BTreeMap::new();
    let mut last: BTreeMap<Party, usize> = BTreeMap::new();
    for line in lines {
        match line {
            Line::Message(message) if message.fate != Fate::Own && message.kind != "HELLO" => {
                // What is lost again, as it was before, tells nothing new either.
                let is_repeat = match message.fate {
                    Fate::Lost | Fate::Down => {
                        !in_vain.insert(key(message)) || had.contains(&key(message))
                    }
                    _ => !had.insert(key(message)),
                };
                if message.fate.is_handled() {
                    last.insert(message.to, arrows.len());
                }
                let is_agreement = matches!(message.kind, "PRE-PREPARE" | "PREPARE" | "COMMIT");
                let view = heads_for.get(&message.to).copied().unwrap_or(0);
                let is_late = is_agreement && message.view.is_some_and(|about| about < view);
                arrows.push(Arrow {
                    message,
                    is_repeat,
                    is_late,
                    refusal: message.reason,
                    convicts: None,
                    asks_for_proof: false,
                });
            }
            Line::Event(event) => {
                if let ("view change started" | "view entered", Some(view)) =
                    (event.event, event.view)
                {
                    heads_for.insert(event.replica, view);
                }
                if let Some(index) = last.get(&event.replica) {
                    explain(&mut arrows[*index], event);
                }
            }
            _ => {}
        }
    }
    mark_questions(&mut arrows);
    arrows
}

/// What tells a message from others.
type Key<'a> = (Party, Party, &'a str, Option<u64>, Option<u64>, Option<&'a str>, (u64, u64));

fn key(message: &MessageLine) -> Key<'_> {
    let MessageLine { from, to, kind, view, seq, request, .. } = *message;
    // Without a number it is told by what it speaks of, and two without either are not the same.
    let other = request.unwrap_or(if view.or(seq).is_none() && message.digest.is_none() {
        (message.sent, message.at)
    } else {
        (0, 0)
    });
    (from, to, kind, view, seq, message.digest.as_deref(), other)
}

/// What an event says about the message that its replica handled before.
fn explain(arrow: &mut Arrow<'_>, event: &EventLine) {
    if event.at.saturating_sub(arrow.message.at) > EFFECT_MICROS {
        return;
    }
    match event.against {
        Some(Against::Message(from, kind, reason)) => {
            let is_of = arrow.message.from == Party::Replica(from);
            if is_of && arrow.message.kind == kind.name() && arrow.refusal.is_none() {
                arrow.refusal = Some(reason);
            }
        }
        Some(Against::Proved(replica)) => arrow.convicts = Some(replica),
        None => {}
    }
}

/// Marks what asked for a message that convicts.
fn mark_questions(arrows: &mut [Arrow<'_>]) {
    let answers: Vec<(usize, &MessageLine)> = arrows
        .iter()
        .enumerate()
        .filter(|(_, arrow)| arrow.convicts.is_some() && arrow.message.kind == "REPAIR")
        .map(|(index, arrow)| (index, arrow.message))
        .collect();
    for (index, answer) in answers {
        let question = arrows[..index].iter_mut().rev().find(|arrow| {
            let asked = arrow.message;
            (asked.from, asked.to, asked.kind) == (answer.to, answer.from, answer.kind)
                && (asked.view, asked.seq) == (answer.view, answer.seq)
                && asked.digest.is_none()
                && replica(asked.from).is_some()
                && asked.at <= answer.sent
        });
        if let Some(question) = question {
            question.asks_for_proof = true;
        }
    }
}
