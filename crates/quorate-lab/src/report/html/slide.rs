//! The top of the page: what the run is about, how it ended, and its story.

use super::escape;
use crate::report::reading::Reading;
use crate::report::story::Sentence;
use crate::report::wording::moment;
use crate::report::{Summary, checked};
use crate::scenario::Scenario;
use crate::trace::Line;
use core::fmt::Write;

pub(super) fn write(
    out: &mut String,
    scenario: &Scenario,
    summary: &Summary,
    reading: &Reading<'_>,
    lines: &[Line],
    sentences: &[Sentence],
) {
    let _ = write!(out, "<h1>{}</h1>", escape(&summary.scenario));
    verdict(out, scenario, summary);
    let _ = write!(
        out,
        "<p class=\"note\">{} Times are counted from the first call of a client.</p><table \
         class=\"story\">",
        escape(&checked::world(scenario, lines, reading.zero))
    );
    for (index, sentence) in sentences.iter().enumerate() {
        let when = sentence.at.map_or_else(String::new, |at| moment(at, reading.zero));
        let _ = write!(
            out,
            "<tr><td class=\"row\"><b>{}</b></td><td class=\"number\">{when}</td><td>{}</td></tr>",
            index + 1,
            escape(&sentence.text)
        );
    }
    let _ = write!(
        out,
        "</table><p class=\"result\">{}</p>",
        escape(&checked::result(summary, reading))
    );
}

fn verdict(out: &mut String, scenario: &Scenario, summary: &Summary) {
    let is_good = summary.verdict == "pass";
    let _ = write!(
        out,
        "<p class=\"verdict {}\"><b>{} {}</b>: {}</p>",
        if is_good { "good" } else { "bad" },
        if is_good { "✓" } else { "✗" },
        summary.verdict,
        escape(&checked::verdict(scenario, summary)),
    );
    if let Some(explanation) = &summary.explanation {
        let _ = write!(out, "<pre>{}</pre>", escape(explanation));
    }
    for miss in &summary.misses {
        let _ = write!(out, "<p class=\"bad\">Not as the scenario says: {}.</p>", escape(miss));
    }
}
