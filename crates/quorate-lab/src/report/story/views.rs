//! Which views were left and why, and who took over.

use super::{Sentence, at, proposals};
use crate::report::reading::{Period, Reading, replica};
use crate::report::wording::{capital, count, listed, moment, numbers, replicas};
use crate::trace::EventLine;
use std::collections::BTreeSet;

/// The most changes of view that are told one by one.
const TOLD_MAX: usize = 2;
/// Who enters a view so much later than a quorum follows on its own, in microseconds.
const LATER_MICROS: u64 = 50_000;

pub(super) fn tell(reading: &Reading<'_>) -> Vec<Sentence> {
    let periods = &reading.periods;
    let mut sentences = Vec::new();
    for pair in periods.windows(2).take(TOLD_MAX) {
        sentences.extend(left(reading, &pair[0], Some(&pair[1])));
        sentences.push(begins(reading, &pair[0], &pair[1]));
    }
    let last = periods.last().expect("the first view is always there");
    let untold = (periods.len() - 1).saturating_sub(TOLD_MAX);
    if untold > 0 {
        let more = count(untold as u64, "more view follows", "more views follow");
        let (view, primary) = (last.view, reading.primary(last.view));
        let text = format!("{more}; the last is view {view}, whose primary is replica {primary}.");
        sentences.push(at(last.from, text));
    }
    if last.until.is_some() {
        sentences.extend(left(reading, last, None));
    } else if periods.len() == 1 {
        sentences.extend(alone(reading));
    }
    sentences
}

/// Why a view was left, and by whom; and what its primary had done, if it was waited for in vain.
fn left(reading: &Reading<'_>, period: &Period, next: Option<&Period>) -> Option<Sentence> {
    let until = next.map_or(u64::MAX, |next| next.from);
    let leaving: Vec<&EventLine> = reading
        .named("view change started")
        .filter(|event| (period.from..=until).contains(&event.at))
        .filter(|event| event.view.is_some_and(|view| view > period.view))
        .collect();
    let (first, last) = (leaving.first()?, leaving.last()?);
    let (view, primary) = (period.view, reading.primary(period.view));
    let over = period.until.filter(|over| (first.at + 1..last.at).contains(over));
    let over = over.map_or_else(String::new, |over| {
        let enough = reading.fault_bound() + 1;
        format!(" (f+1 = {enough} of them by {}, which ends it)", moment(over, reading.zero))
    });
    let by = if last.at == first.at {
        String::new()
    } else {
        format!(" by {}{over}", moment(last.at, reading.zero))
    };
    let leavers = ids(leaving.iter().copied());
    let verb = if leavers.len() == 1 { "leaves" } else { "leave" };
    let what = proposals::until(reading, period, first).map(|what| format!(" {what}"));
    let text = format!(
        "{} {verb} view {view}, whose primary is replica {primary},{by}: {}.{}",
        replicas(&leavers),
        causes(&leaving),
        what.unwrap_or_default()
    );
    Some(at(first.at, capital(&text.replace(",:", ":"))))
}

/// Why replicas left: what others did is a reason only if there is no other.
fn causes(leaving: &[&EventLine]) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in leaving.iter().filter_map(|event| event.detail.clone()) {
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    if causes.len() > 1 {
        causes.retain(|cause| cause != crate::trace::JOINED);
    }
    listed(&causes)
}

/// A view begins.
fn begins(reading: &Reading<'_>, before: &Period, period: &Period) -> Sentence {
    let (view, primary) = (period.view, reading.primary(period.view));
    let entered: Vec<&EventLine> =
        reading.named("view entered").filter(|event| event.view == Some(view)).collect();
    let quorum = quorum(reading.replica_count).min(entered.len());
    let in_time = entered.get(quorum.saturating_sub(1)).map_or(period.from, |event| event.at);
    let is_late = |event: &EventLine| event.at > in_time + LATER_MICROS;
    let (late, members): (Vec<&EventLine>, Vec<&EventLine>) =
        entered.into_iter().partition(|event| is_late(event));
    let by = members.last().map_or(period.from, |event| event.at);
    let members = ids(members.into_iter());
    let mut late_ids = ids(late.iter().copied());
    late_ids.retain(|id| !members.contains(id));
    let skipped: Vec<u64> = (before.view + 1..view).collect();
    let skipped = match skipped.len() {
        0 => String::new(),
        1 => format!("View {} never begins. ", numbers(&skipped)),
        _ => format!("Views {} never begin. ", numbers(&skipped)),
    };
    let later = match (late_ids.as_slice(), late.last()) {
        (late @ [_, ..], Some(last)) => {
            format!("; {} by {}", replicas(late), moment(last.at, reading.zero))
        }
        _ => String::new(),
    };
    let text = if members == [primary] {
        format!(
            "{skipped}Replica {primary} sends a NEW-VIEW for view {view}, in which nobody follows it."
        )
    } else {
        let verb = if members.len() == 1 { "is" } else { "are" };
        let new_view = reading.arrows.iter().map(|arrow| arrow.message).find(|message| {
            message.kind == "NEW-VIEW"
                && message.view == Some(view)
                && replica(message.from) == Some(primary)
        });
        let sent = new_view.map_or_else(String::new, |message| {
            format!(", and its NEW-VIEW leaves at {}", moment(message.sent, reading.zero))
        });
        format!(
            "{skipped}Replica {primary} takes over as the primary of view {view}: it has a quorum of \
             VIEW-CHANGEs{sent}; {} {verb} in the view by {}{later}.",
            replicas(&members),
            moment(by, reading.zero)
        )
    };
    at(period.from, text)
}

/// Replicas that left a view which the others stayed in.
fn alone(reading: &Reading<'_>) -> Option<Sentence> {
    let leaving: Vec<&EventLine> = reading.named("view change started").collect();
    let first = leaving.first()?;
    let who = ids(leaving.iter().copied());
    let verb = if who.len() == 1 { "wants" } else { "want" };
    let text = format!(
        "{} {verb} to leave view 0 ({}), but too few others do.",
        replicas(&who),
        causes(&leaving)
    );
    Some(at(first.at, capital(&text)))
}

fn ids<'a>(events: impl Iterator<Item = &'a EventLine>) -> Vec<u32> {
    let ids: BTreeSet<u32> = events.filter_map(|event| replica(event.replica)).collect();
    ids.into_iter().collect()
}

/// How many of n replicas make a quorum.
fn quorum(replica_count: u32) -> usize {
    let n = replica_count as usize;
    (n + (n - 1) / 3) / 2 + 1
}
