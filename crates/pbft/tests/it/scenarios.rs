//! Scenarios a person can read without Rust: `tests/scenarios/*.txt` holds commands and, behind
//! `----`, everything that followed from each. A change of the protocol that changes a trace shows
//! up as a difference; `cargo xtask bless` rewrites the traces, and whoever commits one explains
//! it. `tests/scenarios/README.md` lists the commands.

mod notation;
mod stage;

use stage::Stage;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The part of a scenario that one command and its trace make.
struct Case {
    /// Comments and blank lines before the command, as they are.
    before: String,
    command: String,
    line: usize,
}

const SEPARATOR: &str = "----";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn scenario_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the folder of scenarios");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

/// Takes a scenario apart; what follows `----` up to a blank line is the old trace.
fn parse(text: &str) -> (Vec<Case>, String) {
    let mut cases = Vec::new();
    let mut before = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            before.push_str(line);
            before.push('\n');
            continue;
        }
        let before = std::mem::take(&mut before);
        cases.push(Case { before, command: line.to_owned(), line: index + 1 });
        if lines.next_if(|(_, next)| *next == SEPARATOR).is_some() {
            while lines.next_if(|(_, next)| !next.is_empty()).is_some() {}
        }
    }
    (cases, before)
}

/// The scenario with the trace that the core of today produces.
fn replay(path: &Path, text: &str) -> String {
    let (cases, rest) = parse(text);
    let mut stage = Stage::default();
    let mut replayed = String::new();
    for case in cases {
        let place = format!("{}:{}", path.display(), case.line);
        let trace = stage.perform(&case.command, &place);
        let _ = writeln!(replayed, "{}{}\n{SEPARATOR}", case.before, case.command);
        for line in trace {
            let _ = writeln!(replayed, "{line}");
        }
    }
    replayed + &rest
}

/// The first lines in which two traces differ, with a little of what comes before.
fn first_difference(old: &str, new: &str) -> String {
    let common = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| -> String {
        let from = common.saturating_sub(3);
        text.lines().skip(from).take(8).map(|line| format!("    {line}\n")).collect()
    };
    format!("  line {}, written:\n{}  now:\n{}", common + 1, shown(old), shown(new))
}

#[test]
fn every_scenario_unfolds_as_it_is_written_down() {
    let bless = std::env::var_os("QUORATE_BLESS").is_some();
    let mut differences = String::new();
    for path in scenario_files() {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let replayed = replay(&path, &text);
        if bless {
            std::fs::write(&path, replayed).expect("the folder of scenarios can be written");
        } else if replayed != text {
            let _ = writeln!(differences, "{}", path.display());
            differences.push_str(&first_difference(&text, &replayed));
        }
    }
    assert!(differences.is_empty(), "run `cargo xtask bless` and explain:\n{differences}");
}

#[test]
fn every_scenario_tells_its_story_first_and_has_a_trace() {
    let files = scenario_files();
    assert!(files.len() >= 30, "{} scenarios", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        assert!(text.starts_with("# "), "{} begins with its story", path.display());
        assert!(text.contains(SEPARATOR), "{} has a trace", path.display());
    }
}
