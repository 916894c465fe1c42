//! How each kind of message is drawn: a colour for those who see it, a shape and a line for all.

use core::fmt::Write;

/// How the arrows of a kind look. The colours stay apart for people who see few of them.
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// The class of its arrows.
    pub(super) class: &'static str,
    pub(super) colour: &'static str,
    /// The pattern of the line; empty for a solid one.
    pub(super) dashes: &'static str,
    shape: Shape,
    /// Whether its arrows are shown before anybody asks for them.
    pub(super) is_shown: bool,
}

#[derive(Clone, Copy)]
enum Shape {
    Triangle,
    Square,
    Diamond,
    Circle,
    Ring,
    Star,
    Bar,
}

const PHASES: [Phase; 11] = [
    phase("REQUEST", "request", "#000000", "", Shape::Circle, true),
    phase("PRE-PREPARE", "pre-prepare", "#0072b2", "", Shape::Triangle, true),
    phase("PREPARE", "prepare", "#d55e00", "6 2", Shape::Square, true),
    phase("COMMIT", "commit", "#007a5e", "2 2", Shape::Diamond, true),
    phase("REPLY", "reply", "#7a5195", "", Shape::Ring, true),
    phase("CHECKPOINT", "checkpoint", "#8a6d00", "8 3 2 3", Shape::Bar, true),
    phase("VIEW-CHANGE", "view-change", "#b0005a", "10 3", Shape::Star, true),
    phase("NEW-VIEW", "new-view", "#b0005a", "", Shape::Star, true),
    phase("STATE-TRANSFER", "state-transfer", "#4f7a00", "1 3", Shape::Bar, true),
    phase("STATUS", "status", "#777777", "1 4", Shape::Ring, false),
    phase("other", "other", "#777777", "1 4", Shape::Bar, false),
];

const fn phase(
    name: &'static str,
    class: &'static str,
    colour: &'static str,
    dashes: &'static str,
    shape: Shape,
    is_shown: bool,
) -> Phase {
    Phase { name, class, colour, dashes, shape, is_shown }
}

/// How a kind of message is drawn.
pub(super) fn of(kind: &str) -> &'static Phase {
    let named = PHASES.iter().find(|phase| phase.name == kind);
    named.unwrap_or(&PHASES[PHASES.len() - 1])
}

impl Phase {
    /// Its shape, around a point.
    pub(super) fn head(&self, x: f64, y: f64) -> String {
        let colour = self.colour;
        let polygon = |points: &[(f64, f64)]| {
            let mut path = String::new();
            for (dx, dy) in points {
                let _ = write!(path, "{:.1},{:.1} ", x + dx, y + dy);
            }
            format!("<polygon points=\"{}\" fill=\"{colour}\"/>", path.trim_end())
        };
        match self.shape {
            Shape::Triangle => polygon(&[(-5.0, -4.0), (4.0, 0.0), (-5.0, 4.0)]),
            Shape::Square => polygon(&[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)]),
            Shape::Diamond => polygon(&[(-5.0, 0.0), (0.0, -5.0), (5.0, 0.0), (0.0, 5.0)]),
            Shape::Circle => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>")
            }
            Shape::Ring => format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#fff\" stroke=\"{colour}\" \
                 stroke-width=\"1.5\"/>"
            ),
            Shape::Star => polygon(&[
                (0.0, -6.0),
                (1.6, -1.6),
                (6.0, 0.0),
                (1.6, 1.6),
                (0.0, 6.0),
                (-1.6, 1.6),
                (-6.0, 0.0),
                (-1.6, -1.6),
            ]),
            Shape::Bar => polygon(&[(-1.2, -5.0), (1.2, -5.0), (1.2, 5.0), (-1.2, 5.0)]),
        }
    }
}

pub(super) const LEGEND_INTRO: &str = "<p>Replicas and clients are rows. Each arrow goes from where \
    and when a message was sent to where and when it arrived; its shape, line and colour say which \
    phase it belongs to. A cross ends a message that was lost, a red ring marks one that the \
    receiver refused.</p>";

/// What the shapes mean, and a box for each to hide or show it.
pub(super) fn legend() -> String {
    let mut html = String::from("<div class=\"legend\">");
    for phase in &PHASES {
        let _ = write!(
            html,
            "<label><input type=\"checkbox\" value=\"{}\"{}><svg width=\"44\" height=\"14\">\
             <line x1=\"0\" y1=\"7\" x2=\"36\" y2=\"7\" stroke=\"{}\" stroke-dasharray=\"{}\"/>{}\
             </svg>{}</label>",
            phase.class,
            if phase.is_shown { " checked" } else { "" },
            phase.colour,
            phase.dashes,
            phase.head(36.0, 7.0),
            phase.name
        );
    }
    html.push_str("</div>");
    html
}
