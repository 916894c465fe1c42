//! The first request of a run in which nothing went wrong, phase by phase.

use super::{Sentence, at};
use crate::report::reading::{FirstRequest, Reading, replica};
use crate::report::wording::{capital, moment, party};
use std::collections::BTreeSet;

pub(super) fn tell(reading: &Reading<'_>) -> Vec<Sentence> {
    let Some(FirstRequest { client, sent, seq, proposal }) = reading.first_request() else {
        return Vec::new();
    };
    let client = party(client);
    let primary = party(proposal.from);
    let mut sentences = vec![
        at(
            sent,
            capital(&format!(
                "{client}, whose session is open, sends its first request to all replicas."
            )),
        ),
        at(
            proposal.sent,
            format!(
                "PRE-PREPARE: {primary}, the primary of view {}, proposes it as number {seq}.",
                proposal.view.unwrap_or(0)
            ),
        ),
    ];
    let phases = [
        ("prepared", "PREPARE: each backup tells all others that it accepts this; prepared at"),
        ("executed tentatively", "Executed tentatively, before it is committed, at"),
        ("committed", "COMMIT: each replica tells all others that it is prepared; committed at"),
        ("executed", "Executed, in the order of numbers, at"),
    ];
    for (name, text) in phases {
        let events: Vec<_> = reading.named(name).filter(|event| event.seq == Some(seq)).collect();
        let who: BTreeSet<u32> = events.iter().filter_map(|event| replica(event.replica)).collect();
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            let by = moment(last.at, reading.zero);
            let all = reading.replica_count;
            sentences
                .push(at(first.at, format!("{text} {} of {all} replicas by {by}.", who.len())));
        }
    }
    if let Some(answer) = reading.calls.iter().filter_map(|call| call.answered).min() {
        let text = "REPLY: enough replicas give the same result, and the client accepts it.";
        sentences.push(at(answer, text.to_owned()));
    }
    sentences
}
