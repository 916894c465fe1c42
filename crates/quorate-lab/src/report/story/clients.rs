//! What clients noticed of a change of view, and when they could begin.

use super::{Sentence, at};
use crate::report::reading::{Call, Reading};
use crate::report::wording::{capital, clients, count, millis, moment};
use crate::trace::Party;
use std::collections::{BTreeMap, BTreeSet};

/// The sessions that clients opened after something of this story had happened: until then nothing
/// that they sent was an operation.
pub(super) fn sessions(reading: &Reading<'_>, told: &[Sentence]) -> Option<Sentence> {
    let mut opened: BTreeMap<u32, u64> = BTreeMap::new();
    let mut begun: BTreeMap<u32, u64> = BTreeMap::new();
    for message in reading.arrows.iter().map(|arrow| arrow.message) {
        match (message.kind, message.session, message.from, message.to) {
            ("REPLY", true, _, Party::Client(client)) if message.at >= reading.zero => {
                opened.entry(client.get()).or_insert(message.at);
            }
            ("REQUEST", false, Party::Client(client), _) => {
                let first = begun.entry(client.get()).or_insert(message.sent);
                *first = message.sent.min(*first);
            }
            _ => {}
        }
    }
    begun.retain(|client, sent| opened.get(client).is_some_and(|opened| opened < sent));
    let (first, last) = (*begun.values().min()?, *begun.values().max()?);
    let ids: Vec<u32> = begun.into_keys().collect();
    let by =
        if first == last { String::new() } else { format!(" by {}", moment(last, reading.zero)) };
    let (verb, whose) = if ids.len() == 1 { ("sends", "its") } else { ("send", "their") };
    let text = format!(
        "{} {verb} {whose} first operations{by}: what they had sent until now, request 0, was no \
         operation but the opening of a session, which is ordered like one.",
        clients(&ids)
    );
    let is_needed = told.iter().any(|sentence| sentence.at.is_some_and(|at| at < first));
    is_needed.then(|| at(first, capital(&text)))
}

pub(super) fn tell(reading: &Reading<'_>) -> Option<Sentence> {
    let first = reading.periods.first()?;
    let left = first.until?;
    let answers: Vec<u64> = reading.calls.iter().filter_map(|call| call.answered).collect();
    // Views in which nobody was answered changed nothing for clients.
    let mut later = reading.periods.iter().skip(1).peekable();
    let mut period = later.next()?;
    while let Some(after) = later
        .next_if(|after| !answers.iter().any(|answer| (period.from..after.from).contains(answer)))
    {
        period = after;
    }
    let (next, view) = (period.from, period.view);
    let waited: Vec<&Call> = reading
        .calls
        .iter()
        .filter(|call| call.called <= left && call.answered.is_none_or(|answer| answer >= left))
        .collect();
    let who: BTreeSet<u32> = waited.iter().map(|call| call.client).collect();
    let who = count(who.len() as u64, "client", "clients");
    let operations = count(waited.len() as u64, "operation", "operations");
    if waited.is_empty() {
        return Some(at(next, format!("No client waited when view {view} began.")));
    }
    let Some(slowest) = waited.iter().filter_map(|call| call.latency()).max() else {
        return Some(at(next, format!("{operations} of {who} waited and were not answered.")));
    };
    let last = waited.iter().filter_map(|call| call.answered).max()?;
    let usual =
        match (reading.median_latency(), reading.calls.iter().filter_map(Call::latency).max()) {
            (Some(median), Some(slowest)) => {
                format!(
                    " (of all in the run: median {}, slowest {})",
                    millis(median),
                    millis(slowest)
                )
            }
            _ => String::new(),
        };
    let of_these = match waited.len() {
        1 => "its answer".to_owned(),
        many => format!("the slowest answer to these {many}"),
    };
    let resent = match reading.resent() {
        0 => "no client had to send a request again".to_owned(),
        1 => "in the whole run one request was sent again".to_owned(),
        many => format!("in the whole run {many} requests were sent again"),
    };
    Some(at(
        last,
        format!(
            "What clients noticed: {operations} of {who} waited through the change to view \
             {view}, and {of_these} took {}{usual}; {resent}.",
            millis(slowest)
        ),
    ))
}
