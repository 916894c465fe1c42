//! The page about a run: one file that needs nothing else, for people who were not there.

mod diagram;
mod phase;
mod plots;

use super::Summary;
use crate::scenario::Scenario;
use crate::trace::{Line, Party};
use core::fmt::Write;

/// A page about a run.
pub fn page(scenario: &Scenario, summary: &Summary, lines: &[Line]) -> String {
    let mut html = String::new();
    // Writing to a string cannot fail.
    let out = &mut html;
    let title = escape(&summary.scenario);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}: {}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>",
        summary.verdict
    );
    head(out, scenario, summary);
    culprits(out, summary);
    let _ = write!(out, "<h2>Messages</h2>{}", phase::LEGEND_INTRO);
    out.push_str(&phase::legend());
    out.push_str(&diagram::svg(scenario, lines));
    let _ = write!(
        out,
        "<p class=\"note\">Time runs to the right, in steps: long pauses are drawn short. Point at \
         anything to read what it is. Messages that a replica delivers to itself are counted but \
         not drawn.</p><h2>Views and faults</h2>"
    );
    out.push_str(&plots::views(scenario, summary, lines));
    counts(out, summary);
    out.push_str(&plots::latency_and_throughput(summary, lines));
    events(out, lines);
    let _ = write!(
        out,
        "<h2>The scenario</h2><pre>{}</pre></main><script>{SCRIPT}</script></body></html>",
        escape(&scenario.text)
    );
    html
}

fn head(out: &mut String, scenario: &Scenario, summary: &Summary) {
    if !scenario.about.is_empty() {
        let _ = write!(out, "<p>{}</p>", escape(&scenario.about));
    }
    let is_good = summary.verdict == "pass";
    let _ = write!(
        out,
        "<p class=\"verdict {}\">{} {}</p>",
        if is_good { "good" } else { "bad" },
        if is_good { "✓" } else { "✗" },
        summary.verdict
    );
    if let Some(explanation) = &summary.explanation {
        let _ = write!(out, "<pre>{}</pre>", escape(explanation));
    }
    for miss in &summary.misses {
        let _ = write!(out, "<p class=\"bad\">Not as the scenario says: {}.</p>", escape(miss));
    }
    let n = scenario.options.replica_count;
    let f = scenario.options.fault_bound();
    let _ = write!(
        out,
        "<table><tr><th>replicas</th><td>n = {n}, f = {f}</td></tr>\
         <tr><th>seed</th><td>{}</td></tr><tr><th>took</th><td>{}</td></tr>\
         <tr><th>requests completed</th><td>{}</td></tr>\
         <tr><th>view changes</th><td>{}, ended in view {}</td></tr>",
        summary.seed,
        summary.took(),
        summary.requests_completed,
        summary.view_changes,
        summary.final_view
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
    out.push_str("</table>");
}

fn culprits(out: &mut String, summary: &Summary) {
    out.push_str("<h2>Who did wrong</h2>");
    if summary.culprits.is_empty() {
        out.push_str("<p>Nobody is suspected of anything.</p>");
        return;
    }
    out.push_str(
        "<p>Concluded from what the protocol saw, not from the scenario. <em>Proved</em> means that \
         the replica's own signatures convict it before anybody. <em>Suspected</em> means that f+1 \
         replicas, or a client, saw it; silence and slowness may be the network's.</p>\
         <table><tr><th>replica</th><th></th><th>what it did</th></tr>",
    );
    for culprit in &summary.culprits {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            culprit.replica,
            if culprit.proved { "<strong>proved</strong>" } else { "suspected" },
            escape(&culprit.evidence)
        );
    }
    out.push_str("</table>");
}

fn counts(out: &mut String, summary: &Summary) {
    let c = &summary.counts;
    let _ = write!(
        out,
        "<h2>Counts</h2><p>Messages where they were handled. One request among n correct replicas \
         takes 2n² + n messages if each also handles its own.</p><table>\
         <tr><th>phase</th><th>over the network</th></tr>"
    );
    let rows = [
        ("PRE-PREPARE", c.pre_prepare),
        ("PREPARE", c.prepare),
        ("COMMIT", c.commit),
        ("REPLY", c.reply),
        ("these four", c.total),
        ("these four, and each replica's own", c.total_with_self),
        ("CHECKPOINT", c.checkpoint),
        ("VIEW-CHANGE", c.view_change),
        ("NEW-VIEW", c.new_view),
        ("STATUS", c.status),
        ("state transfer", c.state_transfer),
        ("other, sessions opened among them", c.other),
    ];
    for (name, number) in rows {
        let _ = write!(out, "<tr><td>{name}</td><td class=\"number\">{number}</td></tr>");
    }
    let _ = write!(
        out,
        "<tr><td>of the four, for each request</td><td class=\"number\">{}</td></tr></table>\
         <table><tr><th>replica</th><th>handled</th><th>sent</th><th>share</th></tr>",
        c.per_request_with_self
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
}

/// The most lines in the list of events.
const EVENTS_MAX: usize = 300;

/// What happened beside the three phases, in words.
fn events(out: &mut String, lines: &[Line]) {
    const SHOWN: [&str; 8] = [
        "view change started",
        "view entered",
        "new-view timer started",
        "state transfer started",
        "state transferred",
        "evidence found",
        "checkpoint stable",
        "halted",
    ];
    out.push_str("<h2>What happened</h2><table><tr><th>time</th><th>where</th><th>what</th></tr>");
    let mut shown = 0;
    for line in lines {
        let (at, place, what) = match line {
            Line::Fault { at, what } => (*at, "the world".to_owned(), what.clone()),
            Line::Event(event) if SHOWN.contains(&event.event) => {
                (event.at, party(event.replica), event.describe())
            }
            _ => continue,
        };
        shown += 1;
        if shown > EVENTS_MAX {
            out.push_str("<tr><td colspan=\"3\">more is in the trace</td></tr>");
            break;
        }
        let _ = write!(
            out,
            "<tr><td class=\"number\">{}</td><td>{place}</td><td>{}</td></tr>",
            seconds(at),
            escape(&what)
        );
    }
    out.push_str("</table>");
}

fn party(party: Party) -> String {
    match party {
        Party::Replica(replica) => format!("replica {replica}"),
        Party::Client(client) => format!("client {client}"),
    }
}

/// Microseconds as seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
