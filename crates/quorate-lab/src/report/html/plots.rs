//! Plots over the whole run, with time to scale: views and faults, latency, throughput.

use super::{Summary, escape, party, seconds};
use crate::scenario::Scenario;
use crate::trace::{Line, Party};
use core::fmt::Write;
use std::collections::BTreeMap;

const WIDTH: f64 = 1180.0;
const LEFT: f64 = 110.0;

fn x(at: u64, end: u64) -> f64 {
    LEFT + (WIDTH - LEFT - 10.0) * at as f64 / end.max(1) as f64
}

fn end(summary: &Summary) -> u64 {
    // A run's time is never negative and far below the range.
    (summary.seconds() * 1e6) as u64
}

/// The views of each replica over the run, and what went wrong when.
pub(super) fn views(scenario: &Scenario, summary: &Summary, lines: &[Line]) -> String {
    let end = end(summary);
    let n = scenario.options.replica_count;
    let height = 30.0 + 22.0 * f64::from(n) + 24.0;
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"views and faults\" width=\"{WIDTH}\" \
         height=\"{height:.0}\">"
    );
    let y = |replica: u32| 24.0 + 22.0 * f64::from(replica);
    let mut state: BTreeMap<u32, (u64, u64, bool)> = BTreeMap::new();
    let bar = |svg: &mut String, replica: u32, (from, view, active): (u64, u64, bool), to: u64| {
        let (x1, x2) = (x(from, end), x(to, end));
        let fill = match (active, view.is_multiple_of(2)) {
            (false, _) => "#fff",
            (true, true) => "#9cc3e6",
            (true, false) => "#f5b971",
        };
        let state = if active { "active in" } else { "waits for" };
        let _ = write!(
            svg,
            "<g><title>replica {replica} {state} view {view}, {} to {}</title><rect x=\"{x1:.1}\" \
             y=\"{:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{fill}\" stroke=\"#666\"/></g>",
            seconds(from),
            seconds(to),
            y(replica),
            (x2 - x1).max(0.5)
        );
        if x2 - x1 > 24.0 {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">v{view}</text>",
                x1 + 4.0,
                y(replica) + 12.0
            );
        }
    };
    for line in lines {
        let Line::Event(event) = line else { continue };
        let (Some(view), Party::Replica(replica)) = (event.view, event.replica) else { continue };
        let active = match event.event {
            "view change started" => false,
            "view entered" => true,
            _ => continue,
        };
        let replica = replica.get();
        let before = state.insert(replica, (event.at, view, active)).unwrap_or((0, 0, true));
        bar(&mut svg, replica, before, event.at);
    }
    for replica in 0..n {
        bar(&mut svg, replica, state.get(&replica).copied().unwrap_or((0, 0, true)), end);
        let label = party(Party::Replica(pbft::ReplicaId::new(replica)));
        let _ = write!(svg, "<text x=\"4\" y=\"{:.1}\">{label}</text>", y(replica) + 12.0);
    }
    for line in lines {
        let Line::Fault { at, what } = line else { continue };
        let x = x(*at, end);
        let _ = write!(
            svg,
            "<g><title>{}: {}</title><line x1=\"{x:.1}\" y1=\"18\" x2=\"{x:.1}\" y2=\"{:.1}\" \
             stroke=\"#a02010\" stroke-dasharray=\"2 3\"/><text x=\"{:.1}\" y=\"14\" \
             fill=\"#a02010\">⚡</text></g>",
            seconds(*at),
            escape(what),
            height - 24.0,
            x - 5.0
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0:.1}\">0</text><text x=\"{WIDTH}\" y=\"{0:.1}\" \
         text-anchor=\"end\">{1}</text></svg>",
        height - 6.0,
        seconds(end)
    );
    svg
}

/// How long each operation took, and how many were answered in each part of the run.
pub(super) fn latency_and_throughput(summary: &Summary, lines: &[Line]) -> String {
    let mut called: BTreeMap<usize, u64> = BTreeMap::new();
    let mut answered: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        match line {
            Line::Called { at, operation, .. } => {
                called.insert(*operation, *at);
            }
            Line::Answered { at, operation, .. } => {
                if let Some(since) = called.get(operation) {
                    answered.push((*at, at - since));
                }
            }
            _ => {}
        }
    }
    if answered.is_empty() {
        return "<h2>Latency and throughput</h2><p>No operation was answered.</p>".to_owned();
    }
    let mut sorted: Vec<u64> = answered.iter().map(|(_, latency)| *latency).collect();
    sorted.sort_unstable();
    let percentile = |share: usize| sorted[(sorted.len() - 1) * share / 100];
    let mut html = format!(
        "<h2>Latency and throughput</h2><p>{} operations answered; latency {} in the middle, {} for \
         one in a hundred, {} at most.</p>",
        answered.len(),
        seconds(percentile(50)),
        seconds(percentile(99)),
        seconds(percentile(100))
    );
    let end = end(summary);
    dots(&mut html, &answered, percentile(100), end);
    bars(&mut html, &answered, end);
    html
}

const HEIGHT: f64 = 160.0;
const BASE: f64 = 130.0;

fn frame(html: &mut String, label: &str, top: &str, end: u64) {
    let _ = write!(
        html,
        "<svg role=\"img\" aria-label=\"{label}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\
         <line x1=\"{LEFT}\" y1=\"{BASE}\" x2=\"{WIDTH}\" y2=\"{BASE}\" stroke=\"#666\"/>\
         <text x=\"4\" y=\"22\">{label}</text><text x=\"{0}\" y=\"22\" \
         text-anchor=\"end\">{top}</text><text x=\"{LEFT}\" y=\"{1}\">0</text>\
         <text x=\"{WIDTH}\" y=\"{1}\" text-anchor=\"end\">{2}</text>",
        LEFT + 90.0,
        BASE + 18.0,
        seconds(end)
    );
}

fn dots(html: &mut String, answered: &[(u64, u64)], highest: u64, end: u64) {
    frame(html, "latency", &seconds(highest), end);
    // More dots than pixels say nothing more.
    for (at, latency) in answered.iter().step_by(answered.len().div_ceil(4_000)) {
        let y = BASE - 100.0 * *latency as f64 / highest.max(1) as f64;
        let _ = write!(
            html,
            "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"#0072b2\"/>",
            x(*at, end)
        );
    }
    html.push_str("</svg>");
}

fn bars(html: &mut String, answered: &[(u64, u64)], end: u64) {
    const PARTS: usize = 60;
    let mut parts = [0u64; PARTS];
    for (at, _) in answered {
        let part = (*at as u128 * PARTS as u128 / u128::from(end.max(1))) as usize;
        parts[part.min(PARTS - 1)] += 1;
    }
    let most = parts.iter().copied().max().unwrap_or(1).max(1);
    frame(html, "answered", &format!("{most} in {}", seconds(end / PARTS as u64)), end);
    let width = (WIDTH - LEFT - 10.0) / PARTS as f64;
    for (index, count) in parts.iter().enumerate() {
        let height = 100.0 * *count as f64 / most as f64;
        let _ = write!(
            html,
            "<g><title>{count} answered</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"{height:.1}\" fill=\"#007a5e\"/></g>",
            LEFT + width * index as f64,
            BASE - height,
            width - 1.0
        );
    }
    html.push_str("</svg>");
}
