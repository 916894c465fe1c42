//! What a verdict is a verdict about.

use super::Summary;
use super::wording::{count, grouped, listed, moment, rounded};
use crate::checker::{Checkers, LINEARIZABILITY, ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS};
use crate::scenario::{self, Scenario};
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
            "all {properties} properties that were checked held, all work was done in time, and {} what \
             one correct server would give",
            match summary.operations_completed {
                1 => "the answer equals".to_owned(),
                many => format!("all {} answers equal", grouped(many)),
            }
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
    scenario::properties(&checkers)
}

/// What a property says, for those who do not know its name.
pub(super) fn meaning(property: &str) -> Option<&'static str> {
    let (_, meaning) = MEANINGS.iter().find(|(name, _)| *name == property)?;
    Some(meaning)
}

const MEANINGS: [(&str, &str); 21] = [
    ("agreement", "no two correct replicas execute different batches at one number"),
    ("equal states", "after the same number correct replicas have the same state"),
    ("one execution of each operation", "no operation of a client has its effect twice"),
    (LINEARIZABILITY, "the answers equal what one correct server would give"),
    (
        "accepted results are results of correct replicas",
        "what a client believes, a correct replica answered, and it is not undone",
    ),
    (
        "clients believe quorums",
        "a quorum vouches for what a client believes, tentatively in one view only",
    ),
    ("no reading goes back", "no replica shows readers a state before one that it has shown"),
    (
        "no correct replica equivocates",
        "none signs two messages for one place, not after a restart either; liars do",
    ),
    (
        "a view that was left stays left",
        "who has sent a VIEW-CHANGE votes no more in the views before",
    ),
    ("VIEW-CHANGEs tell what they may", "what they list is bounded and inside the window"),
    (
        "a new view follows from its VIEW-CHANGEs",
        "the NEW-VIEW chooses what those that it names imply",
    ),
    ("what is committed is the only choice", "no later view could choose another batch there"),
    ("certificates are whole", "who prepares or commits has a quorum for it"),
    ("promises are durable before they leave", "what was sent is known again after a crash"),
    ("no promises without memory", "who lost its disk does not vote on what it may have forgotten"),
    ("a replica rejoins seldom", "two REJOINs of one replica are three minutes apart or more"),
    ("determinism of the service", "the same operations give the same results everywhere"),
    ("bounded memory", "what a correct replica holds is bounded, whatever the others do"),
    ("bounded message rate", "what a correct replica sends is bounded, whatever the others do"),
    (ONLY_THE_FAULTY_ARE_CONVICTED, "no proof names a correct replica"),
    (OWN_INVARIANTS, "what each replica checks of itself after each step"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_property_that_is_judged_is_explained() {
        let scenario = Scenario::parse(
            "a.toml",
            "format = 1\ntitle = \"a\"\n[[start]]\nat = 0\nhonest_node = 4\n",
        );
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let judged = scenario::properties(&Checkers::of_a_world(&scenario.options));
        for property in &judged {
            assert!(meaning(property).is_some(), "{property}");
        }
        for (name, _) in MEANINGS {
            assert!(judged.contains(&name), "{name} is judged nowhere");
        }
    }
}
