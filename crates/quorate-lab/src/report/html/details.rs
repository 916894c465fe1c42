//! What stands below the slide: tables for those who want to know more.

use super::{escape, fold};
use crate::report::reading::Reading;
use crate::report::story::place_of_proof;
use crate::report::wording::{count, grouped, moment, party, rounded};
use crate::report::{Summary, checked, count_rows};
use crate::scenario::Scenario;
use crate::trace::{Against, EventLine};
use core::fmt::Write;
use std::collections::BTreeMap;

pub(super) fn culprits(out: &mut String, summary: &Summary, reading: &Reading<'_>) {
    out.push_str("<h2>Who did wrong</h2>");
    if summary.culprits.is_empty() {
        out.push_str("<p>Nobody is suspected of anything.</p>");
        return;
    }
    out.push_str(
        "<p class=\"note\">Concluded from what the protocol saw, not from the scenario. \
         <em>Proved</em>: the replica's own signatures contradict each other, and anybody who has \
         the cluster's public keys can check that. <em>Suspected</em>: f+1 replicas, or a client, \
         saw it; silence and slowness may be the network's, so they are never proved.</p>\
         <table><tr><th>replica</th><th>how certain</th><th>what it did</th><th>first proved by, with what</th><th>proof</th></tr>",
    );
    for (index, culprit) in summary.culprits.iter().enumerate() {
        let certainty = if culprit.proved { "<strong>proved</strong>" } else { "suspected" };
        // A run on processes keeps its proofs with each replica.
        let has_file = culprit.proved && summary.trace_hash.is_some();
        let name = format!("evidence/{index}-replica-{}", culprit.replica);
        let proof = if has_file { format!("<a href=\"{name}\">{name}</a>") } else { String::new() };
        let accuses = |event: &&EventLine| match event.against {
            Some(Against::Proved(liar)) => culprit.proved && liar.get() == culprit.replica,
            _ => false,
        };
        let found = reading.named("evidence found").find(accuses).map(|event| {
            let (who, when) = (party(event.replica), moment(event.at, reading.zero));
            format!("{who}, {when}{}", place_of_proof(reading, event, culprit.replica))
        });
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{certainty}</td><td>{}</td><td>{}</td><td>{proof}</td></tr>",
            culprit.replica,
            escape(&culprit.evidence),
            found.unwrap_or_default()
        );
    }
    out.push_str("</table>");
    if summary.culprits.iter().any(|culprit| culprit.proved) {
        how_to_check(out, summary);
    }
}

/// The command that checks a proof.
fn how_to_check(out: &mut String, summary: &Summary) {
    let report = escape(&summary.report);
    let _ = if summary.trace_hash.is_some() {
        // The keys of a simulated world are its own, and no file holds them.
        write!(
            out,
            "<p class=\"note\">To check: <code>quorate lab replay {report}</code> makes the run, and \
             the proof in it, once more. A cluster of real replicas has a public file, and anybody \
             checks its proofs with <code>quorate verify FILE --cluster cluster.toml</code>.</p>"
        )
    } else {
        write!(
            out,
            "<p class=\"note\">To check: <code>quorate verify {report}/cluster/replica-N/evidence/FILE \
             --cluster {report}/cluster/cluster.toml</code>.</p>"
        )
    };
}

pub(super) fn checked(out: &mut String, scenario: &Scenario, summary: &Summary) {
    fold(out, "What was checked", |out| {
        out.push_str("<p>In every run, at every step where it can be judged:</p><table>");
        for property in checked::properties(scenario, summary) {
            let meaning = checked::meaning(property).unwrap_or_default();
            let _ =
                write!(out, "<tr><td>{}</td><td>{}</td></tr>", escape(property), escape(meaning));
        }
        out.push_str("</table>");
        let expectations = checked::expectations(scenario);
        if expectations.is_empty() {
            return;
        }
        out.push_str("<p>The scenario asks for this as well:</p><ul>");
        for expectation in expectations {
            let _ = write!(out, "<li>{}</li>", escape(&expectation));
        }
        out.push_str("</ul>");
    });
}

pub(super) fn counts(out: &mut String, scenario: &Scenario, summary: &Summary) {
    let c = &summary.counts;
    let n = u64::from(scenario.options.replica_count);
    fold(out, "Counts of messages", |out| {
        let _ = write!(
            out,
            "<p>Messages count where they are handled. If all n = {n} replicas are correct, a request \
             that is ordered alone takes 2n² + n = {} messages of the four phases, each replica's own \
             among them; here it took {} / {} = {} on the average. Fewer means that batches carried \
             several requests or that somebody was silent, more that something was said again or that \
             empty batches were ordered.</p>\
             <table><tr><th>messages handled</th><th>number</th></tr>",
            2 * n * n + n,
            grouped(c.total_with_self),
            count(summary.requests_completed, "request", "requests"),
            rounded(c.per_request_with_self)
        );
        for (name, number) in count_rows(c) {
            let _ = write!(out, "<tr><td>{name}</td><td class=\"number\">{number}</td></tr>");
        }
        out.push_str(
            "</table><p>Of the four phases, with each replica's own:</p><table><tr><th>replica</th>\
             <th>handled</th><th>sent</th><th>share of all sent</th></tr>",
        );
        for part in &c.per_replica {
            let _ = write!(
                out,
                "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
                 <td class=\"number\">{:.1} %</td></tr>",
                part.replica,
                part.handled,
                part.sent,
                part.share * 100.0
            );
        }
        out.push_str("</table>");
    });
}

/// The most rows in the table of events.
const ROWS_MAX: usize = 300;

/// What happened, in order; what happened to a number is one row.
pub(super) fn events(out: &mut String, reading: &Reading<'_>) {
    const SHOWN: [&str; 7] = [
        "view change started",
        "view entered",
        "state transfer started",
        "state transferred",
        "rejoin executed",
        "evidence found",
        "halted",
    ];
    let mut rows: Vec<(u64, String, String)> = reading
        .faults
        .iter()
        .map(|(at, what)| (*at, "the world".to_owned(), (*what).to_owned()))
        .collect();
    for event in reading.events.iter().filter(|event| SHOWN.contains(&event.event)) {
        rows.push((event.at, party(event.replica), event.describe()));
    }
    for name in ["executed", "checkpoint stable"] {
        let mut of: BTreeMap<u64, (u64, u64, usize)> = BTreeMap::new();
        for event in reading.named(name) {
            let (_, last, many) =
                of.entry(event.seq.unwrap_or(0)).or_insert((event.at, event.at, 0));
            *last = event.at;
            *many += 1;
        }
        rows.extend(of.into_iter().map(|(seq, (first, last, many))| {
            let by = moment(last, reading.zero);
            (first, format!("{many} times"), format!("{name}, number {seq}, until {by}"))
        }));
    }
    rows.sort();
    fold(out, "What happened, as a table", |out| {
        out.push_str("<table><tr><th>time</th><th>where</th><th>what</th></tr>");
        for (at, place, what) in rows.iter().take(ROWS_MAX) {
            let _ = write!(
                out,
                "<tr><td class=\"number\">{}</td><td>{place}</td><td>{}</td></tr>",
                moment(*at, reading.zero),
                escape(what)
            );
        }
        out.push_str("</table>");
        if rows.len() > ROWS_MAX {
            let more = rows.len() - ROWS_MAX;
            let _ = write!(out, "<p class=\"note\">{more} more are in trace.jsonl.</p>");
        }
    });
}

pub(super) fn scenario(out: &mut String, scenario: &Scenario, summary: &Summary) {
    fold(out, "The scenario, and how to run it again", |out| {
        let _ = write!(
            out,
            "<p>{}</p><table><tr><th>seed</th><td>{}</td></tr><tr><th>took</th><td>{}</td></tr>",
            escape(&scenario.about),
            summary.seed,
            summary.took()
        );
        if let Some(hash) = &summary.trace_hash {
            let _ = write!(
                out,
                "<tr><th>trace hash</th><td><code>{hash}</code></td></tr>\
                 <tr><th>to replay</th><td><code>quorate lab replay {}</code></td></tr>",
                escape(&summary.report)
            );
        }
        if let Some(costs) = &summary.processor {
            let _ = write!(out, "<tr><th>processors</th><td>{}</td></tr>", escape(costs));
        }
        let _ = write!(out, "</table><pre>{}</pre>", escape(&scenario.text));
    });
}
