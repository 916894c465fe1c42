//! What a verdict is a verdict about.

use super::Summary;
use super::wording::{count, listed, moment, rounded};
use crate::checker::{Checkers, LINEARIZABILITY, ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS};
use crate::scenario::Scenario;
use crate::trace::{HEALED, Line};
use std::collections::BTreeSet;

/// The verdict in one sentence, with what it is a verdict about.
pub(super) fn verdict(scenario: &Scenario, summary: &Summary) -> String {
    let properties = properties(scenario, summary).len();
    let asked = expectations(scenario).len();
    let came_true = match (asked, summary.misses.is_empty()) {
        (0, _) => "",
        (_, true) => " It went as the scenario says it must.",
        (_, false) => " It did not go as the scenario says it must.",
    };
    let how = match summary.verdict {
        "pass" => format!(
            "all {properties} properties that were checked held, agreement, equal states, one execution \
             of each operation and linearizability among them, and all work was done in time"
        ),
        "no_progress" => format!(
            "all {properties} properties that were checked held, but the work was not done in time"
        ),
        _ => format!("of {properties} properties that were checked, one did not hold"),
    };
    format!("{how}.{came_true}")
}

/// The properties that are judged; some in simulated runs alone.
pub(super) fn properties(scenario: &Scenario, summary: &Summary) -> Vec<&'static str> {
    let options = &scenario.options;
    let is_simulated = summary.trace_hash.is_some();
    let checkers = if is_simulated {
        Checkers::of_a_world(options)
    } else {
        Checkers::new(options.replica_count, &options.parameters)
    };
    let mut all = checkers.properties();
    all.extend([ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS, LINEARIZABILITY]);
    all
}

/// What the scenario asks for beside that, in words.
pub(super) fn expectations(scenario: &Scenario) -> Vec<String> {
    let expect = &scenario.expect;
    let ids = |set: &BTreeSet<pbft::ReplicaId>| {
        if set.is_empty() {
            return "nobody".to_owned();
        }
        let ids: Vec<String> = set.iter().map(|id| format!("replica {id}")).collect();
        listed(&ids)
    };
    let mut all = Vec::new();
    if expect.verdict.name() != "pass" || expect.property.is_some() {
        let of = expect.property.as_ref().map_or_else(String::new, |what| format!(" of “{what}”"));
        all.push(format!("the verdict is {}{of}", expect.verdict.name()));
    }
    all.extend(expect.view.map(|view| format!("the cluster ends in view {view}")));
    all.extend(expect.view_at_least.map(|view| format!("it ends in view {view} or a later one")));
    all.extend(expect.view_at_most.map(|view| format!("it ends in view {view} or an earlier one")));
    all.extend(expect.proved.as_ref().map(|set| format!("proved to have lied: {}", ids(set))));
    all.extend(expect.suspected.as_ref().map(|set| format!("suspected: {}", ids(set))));
    all.extend(expect.stopped.as_ref().map(|set| format!("stopped of itself: {}", ids(set))));
    all.extend(expect.happens.iter().map(|event| format!("somewhere: {event}")));
    all.extend(expect.never.iter().map(|event| format!("nowhere: {event}")));
    all.extend(expect.answered_within.map(|within| {
        format!("every operation is answered within {} s", rounded(within.as_secs_f64()))
    }));
    all.extend(expect.messages_per_request.map(|many| format!("{many} messages for each request")));
    all
}

/// The world in one line: how large, and what was different from the start.
pub(super) fn world(scenario: &Scenario, lines: &[Line], zero: u64) -> String {
    let n = scenario.options.replica_count;
    let f = scenario.options.fault_bound();
    let early = lines.iter().filter_map(|line| match line {
        Line::Fault { at, what } if *at < zero && what != HEALED => Some((*at, what)),
        _ => None,
    });
    let early: Vec<String> = early
        .map(|(at, what)| match at {
            0 => what.clone(),
            _ => format!("{what} ({})", moment(at, zero)),
        })
        .collect();
    let before = match early.len() {
        0 => String::new(),
        1..=6 => format!(" Before the first call: {}.", early.join("; ")),
        many => format!(
            " Before the first call: {}; and {}.",
            early[..5].join("; "),
            count(many as u64 - 5, "more change of the world", "more changes of the world")
        ),
    };
    format!("n = {n} replicas, of which f = {f} may be faulty.{before}")
}

/// What the run came to, in one line.
pub(super) fn result(summary: &Summary, reading: &super::reading::Reading<'_>) -> String {
    let conflicts = reading.executed().values().filter(|digests| digests.len() > 1).count();
    let called = reading.calls.len() as u64;
    let requests = match (summary.requests_completed, summary.operations_completed) {
        (requests, operations) if requests == operations => String::new(),
        (requests, _) => {
            format!(" in {} (a request may carry several)", count(requests, "request", "requests"))
        }
    };
    let resent = match reading.resent() {
        0 => "none sent again".to_owned(),
        many => format!("{} sent again", count(many, "request", "requests")),
    };
    [
        match conflicts {
            0 => "no number was executed with two batches".to_owned(),
            1 => "one number was executed with two batches".to_owned(),
            many => format!("{many} numbers were executed with two batches"),
        },
        format!(
            "{} of {called} operations answered{requests}, {resent}",
            summary.operations_completed
        ),
        format!(
            "{}, ended in view {} (primary: replica {})",
            count(summary.view_changes, "view change", "view changes"),
            summary.final_view,
            reading.primary(summary.final_view)
        ),
    ]
    .join(" · ")
}
