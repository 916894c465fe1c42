//! Plots over the whole run, with time to scale from the first call: views and faults, latency,
//! throughput.

use super::escape;
use crate::report::reading::Reading;
use crate::report::wording::{count, listed, millis, moment};
use crate::scenario::Scenario;
use core::fmt::Write;

const WIDTH: f64 = 1_180.0;
const LEFT: f64 = 110.0;

/// A scale from the first call to the last answer, or to the last event of interest.
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    fn of(reading: &Reading<'_>) -> Self {
        let answers = reading.calls.iter().filter_map(|call| call.answered);
        let views = reading.periods.iter().map(|period| period.from);
        let faults = reading.faults.iter().map(|(at, _)| *at);
        let is_open = reading.calls.iter().any(|call| call.answered.is_none());
        let end = is_open.then_some(reading.end);
        let to = answers.chain(views).chain(faults).chain(end).max().unwrap_or(reading.end);
        Self { from: reading.zero, to: to.max(reading.zero + 1) }
    }

    fn x(&self, at: u64) -> f64 {
        let share = at.saturating_sub(self.from) as f64 / (self.to - self.from) as f64;
        LEFT + (WIDTH - LEFT - 10.0) * share.min(1.0)
    }

    fn labels(&self, svg: &mut String, y: f64) {
        let step = round_step(self.to - self.from);
        for at in (self.from..=self.to).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let x = self.x(at);
            let anchor = if x + 70.0 > WIDTH { " text-anchor=\"end\"" } else { "" };
            let _ = write!(
                svg,
                "<path class=\"tick\" d=\"M{x:.1} {:.0}v5\"/><text x=\"{x:.0}\" y=\"{y:.0}\"{anchor}>{}</text>",
                y - 17.0,
                moment(at, self.from)
            );
        }
    }
}

/// A round distance of which four to nine fit the span.
fn round_step(span: u64) -> u64 {
    let mut unit = 1;
    while unit * 50 <= span {
        unit *= 10;
    }
    let [two, five] = [2 * unit, 5 * unit];
    [unit, two, five].into_iter().find(|step| span / step < 9).unwrap_or(five)
}

/// The views of the cluster, and what the scenario changed when.
pub(super) fn views(reading: &Reading<'_>) -> String {
    let scale = Scale::of(reading);
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"views and faults\" width=\"{WIDTH}\" height=\"76\"><text \
         x=\"4\" y=\"42\">view, primary</text>"
    );
    for period in &reading.periods {
        let until = period.until.unwrap_or(scale.to);
        let (x1, x2) = (scale.x(period.from), scale.x(until));
        let class = if period.view.is_multiple_of(2) { "even" } else { "odd" };
        let primary = reading.primary(period.view);
        let _ = write!(
            svg,
            "<g><title>view {}, primary replica {primary}, {} to {}</title><rect class=\"{class}\" \
             x=\"{x1:.1}\" y=\"26\" width=\"{:.1}\" height=\"24\" stroke=\"#666\"/>",
            period.view,
            moment(period.from.max(reading.zero), reading.zero),
            moment(until, reading.zero),
            (x2 - x1).max(2.0)
        );
        if x2 - x1 > 60.0 {
            let _ = write!(
                svg,
                "<text x=\"{:.0}\" y=\"42\">v{}: r{primary}</text>",
                (x1 + x2) / 2.0,
                period.view
            );
        }
        svg.push_str("</g>");
    }
    for (at, what) in reading.faults.iter().filter(|(at, _)| *at >= reading.zero) {
        let x = scale.x(*at);
        let _ = write!(
            svg,
            "<g class=\"fault\"><title>{}: {}</title><path d=\"M{x:.1} 18V56\"/><text x=\"{x:.1}\" \
             y=\"14\">⚡</text></g>",
            moment(*at, reading.zero),
            escape(what)
        );
    }
    scale.labels(&mut svg, 70.0);
    svg.push_str("</svg>");
    svg
}

/// How long each operation took, and how many were answered in each part of the run.
pub(super) fn latency_and_throughput(scenario: &Scenario, reading: &Reading<'_>) -> String {
    let mut answered: Vec<(u64, u64)> =
        reading.calls.iter().filter_map(|call| Some((call.answered?, call.latency()?))).collect();
    if answered.is_empty() {
        return "<p>No operation was answered.</p>".to_owned();
    }
    answered.sort_unstable();
    let mut sorted: Vec<u64> = answered.iter().map(|(_, latency)| *latency).collect();
    sorted.sort_unstable();
    let percentile = |share: usize| millis(sorted[(sorted.len() - 1) * share / 100]);
    // Of few, one in a hundred is none of them.
    let rare = match sorted.len() {
        0..200 => String::new(),
        _ => format!(", 99th percentile {}", percentile(99)),
    };
    let highest = *sorted.last().unwrap_or(&1);
    let mut html = format!(
        "<p>{} answered; latency: median {}{rare}, maximum {}.</p>",
        count(answered.len() as u64, "operation was", "operations were"),
        percentile(50),
        millis(highest)
    );
    html.push_str(&full_windows(scenario, reading));
    let scale = Scale::of(reading);
    dots(&mut html, reading, &answered, highest, &scale);
    bars(&mut html, reading, &answered, &scale);
    html
}

/// The longest waits for a stable checkpoint: they make operations slow, often without any fault.
fn full_windows(scenario: &Scenario, reading: &Reading<'_>) -> String {
    /// The most that are named.
    const NAMED_MAX: usize = 3;
    let parameters = &scenario.options.parameters;
    let usual = reading.median_latency().unwrap_or(0);
    let mut waits = reading.full_windows(parameters);
    waits.retain(|(since, until)| until - since > usual);
    waits.sort_by_key(|(since, until)| since.abs_diff(*until));
    let mut named: Vec<(u64, u64)> = waits.into_iter().rev().take(NAMED_MAX).collect();
    named.sort_unstable();
    if named.is_empty() {
        return String::new();
    }
    let zero = reading.zero;
    let spans = named
        .iter()
        .map(|(since, until)| format!("from {} to {}", moment(*since, zero), moment(*until, zero)));
    format!(
        "<p>The primary had proposed all {} numbers that it may above its stable \
         checkpoint, and operations waited for the next one, {}.</p>",
        parameters.proposal_limit(pbft::SeqNum::new(0)),
        listed(&spans.collect::<Vec<_>>())
    )
}

const HEIGHT: f64 = 160.0;
const BASE: f64 = 130.0;

fn frame(html: &mut String, reading: &Reading<'_>, label: &str, top: &str, scale: &Scale) {
    let _ = write!(
        html,
        "<p class=\"note\">{label}:</p><svg role=\"img\" aria-label=\"{label}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\"><path \
         class=\"lane\" d=\"M{LEFT} 30V{BASE}H{WIDTH}\"/><text \
         x=\"4\" y=\"36\">{top}</text><text x=\"4\" y=\"{BASE}\">0</text>"
    );
    for period in reading.periods.iter().skip(1).take(60) {
        let x = scale.x(period.from);
        let _ = write!(
            html,
            "<path class=\"waits\" d=\"M{x:.1} 24V{BASE}\"><title>view {} begins, {}</title></path>",
            period.view,
            moment(period.from, reading.zero)
        );
        if reading.periods.len() <= 5 {
            let _ = write!(html, "<text x=\"{:.0}\" y=\"22\">view {}</text>", x + 3.0, period.view);
        }
    }
    scale.labels(html, BASE + 18.0);
}

fn dots(
    html: &mut String,
    reading: &Reading<'_>,
    answered: &[(u64, u64)],
    highest: u64,
    scale: &Scale,
) {
    frame(
        html,
        reading,
        "Latency of each operation, at the time of its answer",
        &millis(highest),
        scale,
    );
    // More dots than pixels say nothing more.
    for (at, latency) in answered.iter().step_by(answered.len().div_ceil(1_500)) {
        let y = BASE - 100.0 * *latency as f64 / highest.max(1) as f64;
        let _ = write!(html, "<circle cx=\"{:.0}\" cy=\"{y:.0}\" r=\"2\"/>", scale.x(*at));
    }
    html.push_str("</svg>");
}

fn bars(html: &mut String, reading: &Reading<'_>, answered: &[(u64, u64)], scale: &Scale) {
    const PARTS: u64 = 60;
    let span = scale.to - scale.from;
    let mut parts = [0u64; PARTS as usize];
    for (at, _) in answered {
        let part = u128::from(at - scale.from) * u128::from(PARTS) / u128::from(span);
        parts[usize::try_from(part).unwrap_or(usize::MAX).min(PARTS as usize - 1)] += 1;
    }
    let most = parts.iter().copied().max().unwrap_or(1).max(1);
    let label = format!("Operations answered in each {}", millis((span / PARTS).max(1)));
    frame(html, reading, &label, &most.to_string(), scale);
    let width = (WIDTH - LEFT - 10.0) / PARTS as f64;
    for (index, count) in parts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = 100.0 * *count as f64 / most as f64;
        let _ = write!(
            html,
            "<rect class=\"bar\" x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{height:.0}\">\
             <title>{count} answered</title></rect>",
            LEFT + width * index as f64,
            BASE - height,
            width - 1.0
        );
    }
    html.push_str("</svg>");
}

#[cfg(test)]
mod tests {
    use super::round_step;

    #[test]
    fn scales_have_round_steps_and_few_of_them() {
        for span in [1, 9, 39_117, 55_400, 1_000_000, 5_115_500, u64::MAX / 8] {
            let step = round_step(span);
            assert!(span / step < 10, "{span}: {step}");
            assert!(span < 50 || span / step >= 4, "{span}: {step}");
            let digits = step.to_string();
            assert!(matches!(digits.trim_end_matches('0'), "1" | "2" | "5"), "{span}: {step}");
        }
    }
}
