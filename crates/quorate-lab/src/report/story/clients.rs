//! What clients noticed of a change of view.

use super::{Sentence, at};
use crate::report::reading::{Call, Reading};
use crate::report::wording::{count, millis};
use std::collections::BTreeSet;

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
    let clients: BTreeSet<u32> = waited.iter().map(|call| call.client).collect();
    let clients = count(clients.len() as u64, "client", "clients");
    let operations = count(waited.len() as u64, "operation", "operations");
    if waited.is_empty() {
        return Some(at(next, format!("No client waited when view {view} began.")));
    }
    let Some(slowest) = waited.iter().filter_map(|call| call.latency()).max() else {
        return Some(at(next, format!("{operations} of {clients} waited and were not answered.")));
    };
    let last = waited.iter().filter_map(|call| call.answered).max()?;
    let median = reading.median_latency().map_or_else(String::new, |median| {
        format!(" (the median of the run is {})", millis(median))
    });
    let resent = match reading.resent() {
        0 => "no client had to send a request again".to_owned(),
        1 => "in the whole run one request was sent again".to_owned(),
        many => format!("in the whole run {many} requests were sent again"),
    };
    Some(at(
        last,
        format!(
            "What clients noticed: {operations} of {clients} waited through the change to view \
             {view}, and the slowest answer took {}{median}; {resent}.",
            millis(slowest)
        ),
    ))
}
