//! The part of a run that is worth a picture: the first request, or what happened around the first
//! lie, proof or change of view.

use crate::report::reading::Reading;
use crate::report::story::{self, Lie};
use crate::report::wording::{capital, listed, moment, numbers};
use crate::trace::Party;
use std::collections::{BTreeMap, BTreeSet};

/// A part of a run.
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
    /// The numbers whose messages are drawn before anybody asks for more; all if there are none.
    pub(super) seqs: BTreeSet<u64>,
    /// The moment that it is drawn for.
    pub(super) drawn_for: u64,
}

/// The most replicas among which the messages of two numbers can be told apart.
const ROOM_FOR_TWO: u32 = 7;

/// What a stretch is drawn for.
struct Focus {
    at: u64,
    /// Until when it is not over.
    over: u64,
}

impl Stretch {
    /// The whole run, from the first call.
    pub(super) fn whole(reading: &Reading<'_>) -> Self {
        Self { from: reading.zero, to: reading.end, seqs: BTreeSet::new(), drawn_for: reading.zero }
    }

    /// The part that tells most.
    pub(super) fn telling(reading: &Reading<'_>, lies: &[Lie]) -> Self {
        let lie = first_lie(reading, lies);
        let Some(focus) = focus(reading, lie) else { return Self::first_request(reading) };
        let waiting = reading.calls.iter().filter(|call| {
            call.called <= focus.at && call.answered.is_none_or(|answer| answer >= focus.at)
        });
        let since = waiting.map(|call| call.called).min().unwrap_or(focus.at);
        let lie = lie.filter(|lie| lie.at <= focus.over);
        let from = lie.map_or(since.max(reading.zero), |lie| since.min(lie.at));
        let answered = first_answer(reading, focus.over).unwrap_or(focus.over.max(focus.at));
        // Of many changes of view the first two are enough.
        let changes = reading.periods.iter().map(|period| period.from);
        let third = changes.filter(|change| *change > focus.at).nth(2);
        let to = third.map_or(answered, |third| third.min(answered));
        let mended = lie.and_then(|_| story::makes_good(reading, lies));
        let mended = mended.filter(|event| event.at <= to);
        let to =
            mended.and_then(|event| last_reply(reading, event.seq)).map_or(to, |at| at.min(to));
        let mut seqs: BTreeSet<u64> = lie.and_then(|lie| lie.seq).into_iter().collect();
        if seqs.is_empty() {
            seqs.extend(first_number(reading, from, to));
        }
        // One that shows that work goes on afterwards, where a picture has room for two.
        let has_room = reading.replica_count <= ROOM_FOR_TWO;
        let mended = mended.and_then(|event| event.seq);
        let goes_on = || first_number(reading, focus.over, to).filter(|_| focus.over > focus.at);
        seqs.extend(mended.or_else(goes_on).filter(|_| has_room));
        let drawn_for = lie.map_or(focus.at, |lie| lie.at.min(focus.at));
        Self { from, to, seqs, drawn_for }
    }

    /// The first request; all that happened if none was answered.
    fn first_request(reading: &Reading<'_>) -> Self {
        let Some(request) = reading.first_request() else { return Self::whole(reading) };
        let from = request.sent;
        let answered = first_answer(reading, from).unwrap_or(reading.end);
        let on_their_way = reading.arrows.iter().map(|arrow| arrow.message).filter(|message| {
            (from..=answered).contains(&message.sent)
                && (message.seq == Some(request.seq) && message.kind != "STATUS"
                    || message.kind == "REPLY" && message.to == request.client)
        });
        // What takes a hundred times as long is another story.
        let late = answered + 100 * (answered - from);
        let to = on_their_way.map(|message| message.at).filter(|at| *at <= late).max();
        let seqs = BTreeSet::from([request.seq]);
        Self { from, to: to.unwrap_or(answered).max(answered), seqs, drawn_for: from }
    }

    /// What is drawn, in words.
    pub(super) fn caption(&self, reading: &Reading<'_>) -> String {
        let zero = reading.zero;
        let mut parts = vec![format!(
            "from {} to {} after the first call",
            moment(self.from, zero),
            moment(self.to, zero)
        )];
        if !self.seqs.is_empty() {
            let seqs: Vec<u64> = self.seqs.iter().copied().collect();
            let word = if seqs.len() == 1 { "number" } else { "numbers" };
            parts.push(format!("messages about {word} {}", numbers(&seqs)));
        }
        format!("{}, each message once.", capital(&listed(&parts)))
    }
}

/// The first lie by what was signed twice, while clients opened their sessions too; else any other.
fn first_lie<'a>(reading: &Reading<'_>, lies: &'a [Lie]) -> Option<&'a Lie> {
    let equivocation = lies.iter().find(|lie| lie.is_equivocation());
    equivocation.or_else(|| lies.iter().find(|lie| lie.at >= reading.zero))
}

fn focus(reading: &Reading<'_>, lie: Option<&Lie>) -> Option<Focus> {
    let proof = reading.named("evidence found").map(|event| event.at).next();
    let next = reading.periods.get(1).map(|period| period.from);
    let left = reading.periods.first().and_then(|period| period.until);
    let left = left.filter(|left| *left >= reading.zero);
    let at_proof = proof.map(|at| {
        let change = next.filter(|next| left.is_some_and(|left| left >= at) && *next >= at);
        Focus { at, over: change.unwrap_or(at) }
    });
    let at_change = left.map(|at| Focus { at, over: next.unwrap_or(at) });
    let at_lie = lie.map(|lie| Focus { at: lie.at, over: lie.at });
    let transferred = reading.named("state transferred").next().map(|event| event.at);
    let at_transfer = reading
        .named("state transfer started")
        .next()
        .map(|event| Focus { at: event.at, over: transferred.unwrap_or(event.at) });
    let at_fault = reading.later_faults().next().map(|(at, _)| Focus { at, over: at });
    let first = |one: Option<Focus>, other: Option<Focus>| match (one, other) {
        (Some(one), Some(other)) if other.at < one.at => Some(other),
        (one, other) => one.or(other),
    };
    first(at_proof, at_change).or(at_lie).or(at_transfer).or(at_fault)
}

fn first_answer(reading: &Reading<'_>, after: u64) -> Option<u64> {
    reading.calls.iter().filter_map(|call| call.answered).filter(|at| *at > after).min()
}

/// When the last REPLY came that was sent on execution of a number.
fn last_reply(reading: &Reading<'_>, seq: Option<u64>) -> Option<u64> {
    let executed: BTreeMap<Party, u64> = reading
        .executions()
        .filter(|event| event.seq == seq)
        .map(|event| (event.replica, event.at))
        .collect();
    let (first, last) = (*executed.values().min()?, *executed.values().max()?);
    let messages = reading.arrows.iter().map(|arrow| arrow.message);
    let replies = messages
        .filter(|message| message.kind == "REPLY" && (first..=last).contains(&message.sent));
    replies.map(|message| message.at).max()
}

/// The first number at which something for a client is proposed in a stretch.
fn first_number(reading: &Reading<'_>, from: u64, to: u64) -> Option<u64> {
    let mut sent = reading.arrows.iter().map(|arrow| arrow.message).filter(|message| {
        message.kind == "PRE-PREPARE" && (from..=to).contains(&message.sent) && !message.session
    });
    if let Some(message) = sent.next() {
        return message.seq;
    }
    let mut proposed = reading
        .named("pre-prepared")
        .filter(|event| (from..=to).contains(&event.at) && event.requests != Some(0));
    proposed.next().and_then(|event| event.seq)
}
