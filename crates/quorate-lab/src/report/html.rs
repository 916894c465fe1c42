//! The page about a run: one file that needs nothing else and no script, for people who were not
//! there. Its top is a slide; everything below is closed until somebody opens it.

mod details;
mod diagram;
mod glossary;
mod phase;
mod plots;
mod slide;

pub(super) use diagram::drawn_first;

use super::Summary;
use super::reading::Reading;
use super::story;
use crate::scenario::Scenario;
use crate::trace::Line;
use core::fmt::Write;

/// A page about a run.
pub fn page(scenario: &Scenario, summary: &Summary, lines: &[Line]) -> String {
    let reading = Reading::new(scenario.options.replica_count, lines);
    let story = story::tell(summary, &reading);
    let mut html = String::new();
    // Writing to a string cannot fail.
    let out = &mut html;
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}: {}</title>\
         <style>{STYLE}</style></head><body><main>{}",
        escape(&summary.scenario),
        summary.verdict,
        phase::heads()
    );
    slide::write(out, scenario, summary, &reading, lines, &story.sentences);
    out.push_str(&diagram::telling(scenario, &reading, &story));
    glossary::write(out, scenario);
    details::culprits(out, summary, &reading);
    details::checked(out, scenario, summary);
    fold(out, "Views, latency and throughput over the whole run", |out| {
        out.push_str(&plots::views(&reading));
        out.push_str(&plots::latency_and_throughput(scenario, &reading));
    });
    let (title, whole) = diagram::whole(scenario, &reading);
    fold(out, &title, |out| out.push_str(&whole));
    details::counts(out, scenario, summary);
    details::events(out, &reading);
    details::scenario(out, scenario, summary);
    out.push_str("</main></body></html>");
    html
}

/// A part that is closed until somebody opens it.
fn fold(out: &mut String, title: &str, content: impl FnOnce(&mut String)) {
    let _ = write!(out, "<details><summary>{title}</summary>");
    content(out);
    out.push_str("</details>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = include_str!("html/style.css");
