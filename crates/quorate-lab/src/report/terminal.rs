//! The sequence diagram of a run in plain text: parties as columns, time from above to below.

use super::Summary;
use super::html::drawn_first;
use super::reading::{Arrow, Reading, letter};
use super::story;
use super::wording::count;
use crate::trace::{Fate, Line, MessageLine, Party};
use core::fmt::Write;
use pbft::{ClientId, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};

/// The most rows from the beginning, and from the end where there are more: more do not fit a screen,
/// and the end is what it came to.
const FIRST_MAX: usize = 30;
const LAST_MAX: usize = 10;
/// The most replicas that have room beside each other.
const REPLICA_COUNT_MAX: u32 = 10;
/// The width of a column.
const WIDTH: usize = 6;
/// Where the line of a party stands in its column.
const MIDDLE: usize = 2;

/// The first request, or what went wrong first: each message once, one row for all to whom it went
/// at once. Nothing if there are too many replicas for that, or nothing was sent.
pub fn diagram(replica_count: u32, summary: &Summary, lines: &[Line]) -> Option<String> {
    if replica_count > REPLICA_COUNT_MAX {
        return None;
    }
    let reading = Reading::new(replica_count, lines);
    let lies = story::tell(summary, &reading).lies;
    let (clients, arrows) = drawn_first(&reading, &lies);
    let rows = rows(&arrows);
    if rows.is_empty() {
        return None;
    }
    let replicas = (0..replica_count).map(|id| Party::Replica(ReplicaId::new(id)));
    let lanes: Vec<Party> = clients.into_iter().chain(replicas).collect();
    let mut text = format!("{:>10}  ", "ms");
    for lane in &lanes {
        let _ = write!(text, "{:<WIDTH$}", head(*lane));
    }
    text.truncate(text.trim_end().len());
    let left_out = rows.len().saturating_sub(FIRST_MAX + LAST_MAX);
    let (first, rest) = rows.split_at(rows.len().min(FIRST_MAX));
    let last = &rest[left_out..];
    for row in first {
        let _ = write!(text, "\n{}", row.draw(&lanes, &reading));
    }
    if left_out > 0 {
        let rows = count(left_out as u64, "more row", "more rows");
        let _ = write!(text, "\n{:>10}  {rows} here: the report has them", "…");
    }
    for row in last {
        let _ = write!(text, "\n{}", row.draw(&lanes, &reading));
    }
    let shown = first.iter().chain(last).flat_map(|row| row.ends.values().copied());
    let _ = write!(text, "\n{:>10}  {}", "", legend(&shown.collect()));
    Some(text)
}

/// How a message ended, as one letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Handled,
    Refused,
    Lost,
    Proof,
}

/// Equal messages that left together.
struct Row<'a> {
    message: &'a MessageLine,
    ends: BTreeMap<Party, End>,
}

fn rows<'a>(arrows: &[&Arrow<'a>]) -> Vec<Row<'a>> {
    let mut arrows = arrows.to_vec();
    arrows.sort_by_key(|arrow| (arrow.message.sent, arrow.message.at));
    let mut rows: Vec<Row<'a>> = Vec::new();
    for arrow in arrows {
        let message = arrow.message;
        let end = match (arrow.convicts, message.fate) {
            (Some(_), _) => End::Proof,
            (None, Fate::Handled | Fate::Own) => End::Handled,
            (None, Fate::Refused) => End::Refused,
            (None, Fate::Discarded | Fate::Down | Fate::Lost) => End::Lost,
        };
        let same =
            rows.iter_mut().rev().take_while(|row| row.message.sent == message.sent).find(|row| {
                content(row.message) == content(message) && !row.ends.contains_key(&message.to)
            });
        match same {
            Some(row) => {
                row.ends.insert(message.to, end);
            }
            None => rows.push(Row { message, ends: BTreeMap::from([(message.to, end)]) }),
        }
    }
    rows
}

type Content<'a> = (Party, &'a str, [Option<u64>; 2], Option<&'a str>, Option<(u64, u64)>);

fn content(message: &MessageLine) -> Content<'_> {
    let about = [message.view, message.seq];
    (message.from, message.kind, about, message.digest.as_deref(), message.request)
}

impl Row<'_> {
    fn draw(&self, lanes: &[Party], reading: &Reading<'_>) -> String {
        let place = |party: &Party| lanes.iter().position(|lane| lane == party);
        let mut cells = vec![' '; lanes.len() * WIDTH];
        let at = |lane: usize| lane * WIDTH + MIDDLE;
        (0..lanes.len()).for_each(|lane| cells[at(lane)] = '│');
        let ends = self.ends.iter().filter_map(|(party, end)| Some((place(party)?, *end)));
        let ends: Vec<(usize, End)> = ends.collect();
        if let Some(from) = place(&self.message.from) {
            let all = || ends.iter().map(|(lane, _)| *lane).chain([from]);
            let (first, last) = (all().min().unwrap_or(from), all().max().unwrap_or(from));
            for (offset, cell) in cells[at(first)..=at(last)].iter_mut().enumerate() {
                *cell = if offset % WIDTH == 0 { '┼' } else { '─' };
            }
            cells[at(from)] = 'o';
            for (lane, end) in ends {
                cells[at(lane)] = match end {
                    End::Handled if lane > from => '▶',
                    End::Handled => '◀',
                    End::Refused => '✗',
                    End::Lost => '?',
                    End::Proof => '!',
                };
            }
        }
        let picture: String = cells.into_iter().collect();
        let millis = self.message.sent.saturating_sub(reading.zero) as f64 / 1_000.0;
        format!("{millis:>10.3}  {picture}{}", self.label(reading))
    }

    fn label(&self, reading: &Reading<'_>) -> String {
        let message = self.message;
        let mut label = message.kind.to_owned();
        match (message.kind, message.view, message.seq) {
            ("VIEW-CHANGE", Some(view), _) => {
                let _ = write!(label, " to view {view}");
            }
            ("NEW-VIEW", Some(view), _) => {
                let _ = write!(label, " of view {view}");
            }
            ("PRE-PREPARE" | "PREPARE" | "COMMIT" | "CHECKPOINT" | "REPAIR", _, Some(seq)) => {
                let _ = write!(label, " {seq}");
            }
            _ => {}
        }
        if message.session && message.seq.is_none() {
            label.push_str(", opens the session");
        }
        if let Some(rank) = reading.rivals.rank(message) {
            let _ = write!(label, " {}", letter(rank));
        }
        label
    }
}

fn head(party: Party) -> String {
    match party {
        Party::Replica(id) => format!("r{}", ReplicaId::get(id)),
        Party::Client(id) => format!("c{}", ClientId::get(id)),
    }
}

/// What the signs mean, as far as they occur.
fn legend(ends: &BTreeSet<End>) -> String {
    let mut parts = vec!["o sends"];
    for (end, meaning) in [
        (End::Handled, "▶ ◀ handles"),
        (End::Refused, "✗ refuses"),
        (End::Lost, "? lost, or nobody there"),
        (End::Proof, "! proves a lie with it"),
    ] {
        if ends.contains(&end) {
            parts.push(meaning);
        }
    }
    parts.join(", ")
}
