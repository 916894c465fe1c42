//! What a primary had proposed when a request had waited too long for it.

use crate::report::reading::{Period, Reading, replica};
use crate::report::wording::{count, moment, numbers};
use crate::trace::EventLine;
use std::collections::BTreeSet;

/// Who waited, and what the primary of a view had done, when a replica left it for having waited too
/// long.
pub(super) fn until(reading: &Reading<'_>, period: &Period, left: &EventLine) -> Option<String> {
    if left.detail.as_deref() != Some(crate::trace::WAITED) {
        return None;
    }
    let waiting = reading.calls.iter().filter(|call| {
        call.called <= left.at && call.answered.is_none_or(|answer| answer > left.at)
    });
    let waited = waiting.min_by_key(|call| call.called).map_or_else(String::new, |call| {
        format!("Client {} had waited since {}. ", call.client, moment(call.called, reading.zero))
    });
    Some(waited + &proposed(reading, period, left))
}

/// What the primary of a view had proposed, and what had come of it.
fn proposed(reading: &Reading<'_>, period: &Period, left: &EventLine) -> String {
    let primary = reading.primary(period.view);
    let is_in_time = |at: u64| at <= left.at;
    let proposed: BTreeSet<u64> = reading
        .arrows
        .iter()
        .map(|arrow| arrow.message)
        .filter(|message| {
            message.kind == "PRE-PREPARE"
                && message.view == Some(period.view)
                && replica(message.from) == Some(primary)
                && message.fate.is_handled()
                && is_in_time(message.at)
        })
        .filter_map(|message| message.seq)
        .collect();
    let Some(last) = proposed.last() else {
        return format!("No PRE-PREPARE of replica {primary} had arrived in this view.");
    };
    let known: BTreeSet<u64> =
        reading.named("executed").filter(|e| is_in_time(e.at)).filter_map(|e| e.seq).collect();
    let below = known.last().copied().unwrap_or(0);
    // A liar may have left out as many numbers as there are.
    if let Some(first) = (below + 1..*last).find(|seq| !proposed.contains(seq)) {
        let next = proposed.range(first..).next().unwrap_or(last);
        let gap = match next - first {
            1 => format!("number {first}"),
            _ => format!("numbers {first} to {}", next - 1),
        };
        return format!(
            "Replica {primary} had proposed number {last}, but nothing at {gap}, and numbers are \
             executed in order.",
        );
    }
    let stuck: Vec<u64> = proposed.iter().copied().filter(|seq| !known.contains(seq)).collect();
    if !stuck.is_empty() {
        let word = if stuck.len() == 1 { "number" } else { "numbers" };
        return format!(
            "What replica {primary} had proposed at {word} {} was executed nowhere.",
            numbers(&stuck)
        );
    }
    let executed = proposed.len() as u64;
    let served = count(executed, "number was", "numbers were");
    format!("Replica {primary} had proposed other requests: {served} executed in this view.")
}
