//! How each kind of message is drawn: a colour for those who see it, a shape and a line for all;
//! and the legend, in which kinds can be shown and hidden.

use super::diagram::Frame;
use super::diagram::marks::MARKS;
use crate::trace::{MessageLine, Party};
use core::fmt::Write;

/// A kind of message in a picture. Colours and dashes are in the style sheet.
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// The class of its arrows, and the name of their head.
    pub(super) class: &'static str,
    /// The head, around the origin.
    head: &'static str,
    /// Whether it is shown before anybody asks for it.
    pub(super) is_shown: bool,
    /// Whether it is about one sequence number of many.
    pub(super) is_numbered: bool,
}

const STAR: &str = "M0-6 1.6-1.6 6 0 1.6 1.6 0 6-1.6 1.6-6 0-1.6-1.6Z";
const BAR: &str = "M-1.2-5H1.2V5H-1.2Z";
const DISC: &str = "M-3.5 0A3.5 3.5 0 1 0 3.5 0A3.5 3.5 0 1 0-3.5 0Z";

const PHASES: [Phase; 12] = [
    phase("REQUEST", "request", DISC, true, false),
    phase("PRE-PREPARE", "pre-prepare", "M-6-5 4 0-6 5Z", true, true),
    phase("PREPARE", "prepare", "M-3.5-3.5H3.5V3.5H-3.5Z", true, true),
    phase("COMMIT", "commit", "M-5 0 0-5 5 0 0 5Z", true, true),
    phase("REPLY", "reply", DISC, true, false),
    phase("CHECKPOINT", "checkpoint", BAR, true, true),
    phase("VIEW-CHANGE", "view-change", STAR, true, false),
    phase("NEW-VIEW", "new-view", STAR, true, false),
    phase("STATE-TRANSFER", "state-transfer", BAR, true, false),
    phase("STATUS", "status", DISC, false, false),
    phase("REPAIR", "repair", BAR, false, true),
    phase("other", "other", BAR, false, false),
];

const fn phase(
    name: &'static str,
    class: &'static str,
    head: &'static str,
    is_shown: bool,
    is_numbered: bool,
) -> Phase {
    Phase { name, class, head, is_shown, is_numbered }
}

/// How a kind of message is drawn.
pub(super) fn of(kind: &str) -> &'static Phase {
    let named = PHASES.iter().find(|phase| phase.name == kind);
    named.unwrap_or(&PHASES[PHASES.len() - 1])
}

/// What a message is, in words that need no knowledge of this software.
pub(super) fn words(message: &MessageLine) -> &'static str {
    match (message.kind, message.view, message.seq, &message.digest) {
        ("REQUEST", ..) if matches!(message.from, Party::Replica(_)) => "passes a REQUEST on",
        ("REPAIR", Some(_), Some(_), None) => "asks for the primary's PRE-PREPARE",
        ("REPAIR", Some(_), Some(_), Some(_)) => "forwards the primary's PRE-PREPARE",
        ("REPAIR", None, Some(_), Some(_)) => "brings a committed batch",
        ("REPAIR", ..) => "asks for a batch, or brings it",
        ("GARBAGE", ..) => "bytes that are no message",
        (kind, ..) => kind,
    }
}

/// Heads and marks that arrows point with, once for the whole page.
pub(super) fn heads() -> String {
    let mut svg =
        String::from("<svg width=\"0\" height=\"0\" class=\"heads\" aria-hidden=\"true\">");
    for phase in &PHASES {
        let hollow = if phase.class == "reply" || phase.class == "status" { " hollow" } else { "" };
        let _ = write!(
            svg,
            "<symbol id=\"h-{}\" overflow=\"visible\"><path class=\"head{hollow}\" d=\"{}\"/></symbol>",
            phase.class, phase.head
        );
    }
    svg.push_str(
        "<symbol id=\"h-lost\" overflow=\"visible\"><path class=\"cross\" \
         d=\"M-4-4 4 4M-4 4 4-4\"/></symbol><symbol id=\"h-refused\" overflow=\"visible\"><path \
         class=\"ring\" d=\"M-8 0A8 8 0 1 0 8 0A8 8 0 1 0-8 0Z\"/></symbol></svg>",
    );
    svg
}

/// What is in a picture, and a box for each kind and sort of message to show or hide it.
pub(super) fn choices(frame: &Frame<'_>) -> String {
    let mut html = String::from("<div class=\"legend\">");
    for phase in &PHASES {
        let number = frame.count_kind(phase.class);
        if number == 0 {
            continue;
        }
        let _ = write!(
            html,
            "<label><input type=\"checkbox\" class=\"k-{0}\"{1}><svg width=\"40\" height=\"14\" \
             aria-hidden=\"true\"><g class=\"{0}\"><path d=\"M0 7H32\"/><use href=\"#h-{0}\" \
             x=\"32\" y=\"7\"/></g></svg>{2}</label>",
            phase.class,
            if phase.is_shown { " checked" } else { "" },
            phase.name
        );
    }
    html.push_str("</div><div class=\"legend\">");
    let sorts = [
        ("more", "about other numbers, or of other clients"),
        ("repeat", "said before"),
        ("late", "about a view that the receiver has left"),
        ("vain", "came in vain"),
    ];
    for (sort, words) in sorts {
        let number = frame.count(sort);
        if number > 0 {
            let _ = write!(
                html,
                "<label><input type=\"checkbox\" class=\"k-{sort}\">{number} {words}</label>"
            );
        }
    }
    html.push_str("</div><p class=\"legend\">");
    let mut entry = |class: &str, glyph: &str, meaning: &str| {
        let _ = write!(html, "<span><b class=\"{class}\">{glyph}</b> {meaning}</span>");
    };
    for rank in 0..frame.rivals().min(4) {
        let letter = crate::report::reading::letter(rank).to_string();
        let what = if rank == 0 { "the digest named first" } else { "another digest in its place" };
        entry(&format!("chip b{rank}"), &letter, what);
    }
    if frame.rivals() > 0 {
        entry("", "◐", "the colour is the digest where a letter stands, the kind elsewhere");
    }
    if frame.has_proofs() {
        entry("m-proof", "━━", "brings the proof of a lie");
    }
    if frame.has_questions() {
        entry("m-ask", "┄┄", "asks for it");
    }
    for mark in MARKS.iter().filter(|mark| frame.has_mark(mark)) {
        entry(mark.class, mark.glyph, mark.meaning);
    }
    if frame.has_refusals() {
        entry("m-ring", "◯", "refused: no correct replica sends it");
    }
    if frame.has_losses() {
        entry("m-ring", "✕", "lost, or nobody there");
    }
    if frame.has_faults() {
        entry("m-fault", "⚡", "the scenario changes the world");
    }
    entry("m-primary", "━", "the primary of the view");
    entry("m-waits", "╌", "has left its view and waits");
    html.push_str("</p>");
    html
}
