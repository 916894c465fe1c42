//! The page about a run tells what happened to a reader who was not there.

use quorate_lab::report::{Summary, page};
use quorate_lab::scenario::Scenario;
use quorate_lab::trace::Line;
use quorate_lab::world::run_observed;
use std::path::Path;

/// A run of a shipped scenario, and its trace.
fn run_of(file: &str) -> (Scenario, Summary, Vec<Line>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let scenario = Scenario::parse(file, &text).unwrap_or_else(|error| panic!("{error}"));
    let mut lines = Vec::new();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| lines.push(line));
    let summary = Summary::new(&scenario, &outcome, "somewhere");
    (scenario, summary, lines)
}

/// The page about a run.
fn page_of(file: &str) -> String {
    let (scenario, summary, lines) = run_of(file);
    page(&scenario, &summary, &lines)
}

/// What a page says before its picture, without marks.
fn slide(page: &str) -> String {
    let (top, _) = page.split_once("<figure>").expect("there is a picture");
    let (_, top) = top.split_once("<h1>").expect("there is a title");
    let mut text = String::new();
    let mut is_mark = false;
    for letter in top.chars() {
        match letter {
            '<' => is_mark = true,
            '>' => is_mark = false,
            _ if !is_mark => text.push(letter),
            _ => {}
        }
    }
    text
}

#[track_caller]
fn assert_says(text: &str, whats: &[&str]) {
    for what in whats {
        assert!(text.contains(what), "nothing of '{what}' in: {text}");
    }
}

/// E19: a reader learns what the primary did wrong, who found out, and what came of it.
#[test]
fn page_about_an_equivocation_says_what_the_primary_did_wrong() {
    let page = page_of("acceptance/E19-equivocating-primary-n4.toml");
    assert_says(
        &slide(&page),
        &[
            "Replica 0, the primary of view 0, gives number 1 to two batches",
            "A (38aedb97, 1 request) to replica 1 and B (7ca8bb0b, empty) to replicas 2 and 3",
            "The same with numbers 2 and 3",
            "Replica 2, which was given B, gets replica 1's PREPARE for A",
            "Replica 2 can prove the lie to anybody: two PRE-PREPAREs for one sequence number, signed \
             by replica 0",
            "replica 1 forwarded the PRE-PREPARE",
            "Replicas 0 to 3 leave view 0, whose primary is replica 0",
            "Replica 1 takes over as the primary of view 1",
            "At each of numbers 1, 2 and 3, all 4 replicas execute B (7ca8bb0b, empty) and nothing else",
            "What clients noticed: 6 operations of 3 clients waited",
            "no number was executed with two batches",
            "60 of 60 operations answered in 57 requests",
        ],
    );
    // The picture has the lie, the proof and the one who takes over.
    assert_says(
        &page,
        &["view 0 · primary: replica 0", "view 1 · primary: replica 1", ">1A<", ">1B<", "⚑ proof"],
    );
    assert!(page.contains("with it the receiver can prove that replica 0 lied"));
}

/// Silence is suspected, and the page says of whom and why without calling it proved.
#[test]
fn page_about_a_silent_primary_suspects_it() {
    let page = page_of("acceptance/E25-silent-primary-n4.toml");
    let slide = slide(&page);
    assert_says(
        &slide,
        &[
            "No PRE-PREPARE of replica 0 had arrived in this view",
            "Replica 1 takes over as the primary of view 1",
            "Suspected, not proved",
            "replica 0 (as the primary of view 0 it let a request wait too long; nothing was heard of it)",
        ],
    );
    assert!(!slide.contains("can prove"), "{slide}");
    assert!(!page.contains("<strong>proved</strong>"));
}

/// Each kind of lie that messages show is told as what it is.
#[test]
fn pages_say_what_liars_did() {
    let cases = [
        (
            "original/faulty_primary.toml",
            "sends PRE-PREPARE for number 1 that replica 1 refuses: its digest is not that of what it carries",
        ),
        ("original/faulty_node.toml", "Replica 3 votes for a batch that nobody proposed"),
        (
            "original/faulty_replies_node.toml",
            "Replica 3 answers a client otherwise than f+1 others",
        ),
        ("acceptance/E39-divergent-checkpoints-n4.toml", "Replica 3 names another state"),
        ("acceptance/E22-jump-to-high-n4.toml", "but nothing at numbers 1 to 31"),
        (
            "acceptance/E21-backups-in-the-dark-n4.toml",
            "Replica 3 had fallen behind, without the PRE-PREPAREs of",
        ),
        (
            "acceptance/E02-duplicated-and-reordered-n4.toml",
            "sends its first request to all replicas",
        ),
        ("acceptance/E25-starved-client-n4.toml", "Replica 0 had proposed other requests"),
        ("acceptance/E33-new-view-dropped-n4.toml", "in which nobody follows it"),
        ("acceptance/E36-state-transfer-into-a-new-view-n7.toml", "Replica 6 had fallen behind"),
        (
            "acceptance/E19-equivocating-primary-n7.toml",
            "Replica 6 votes for two batches at number 1",
        ),
    ];
    for (file, what) in cases {
        assert_says(&slide(&page_of(file)), &[what]);
    }
}

/// A page is one small file that needs no script and nothing from elsewhere.
#[test]
fn page_of_an_honest_run_is_small_and_stands_alone() {
    let page = page_of("original/honest.toml");
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert_says(
        &slide(&page),
        &["PRE-PREPARE: replica 0, the primary of view 0, proposes it as number 2"],
    );
    for foreign in ["<script", "<link", "@import", "src=", "http:", "https:"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// The diagram of a run in plain text.
fn diagram_of(file: &str) -> String {
    let (scenario, summary, lines) = run_of(file);
    summary.with_diagram(&scenario, &lines).diagram.expect("it has room")
}

#[test]
fn terminal_draws_the_first_request_with_a_row_for_each_broadcast() {
    let text = diagram_of("original/honest.toml");
    let rows = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    let counts = ["REQUEST", "PRE-PREPARE 2", " PREPARE 2", "COMMIT 2", "REPLY"].map(rows);
    assert_eq!(counts, [1, 1, 3, 4, 4], "{text}");
    let mut requests = text.lines().filter(|line| line.ends_with("REQUEST"));
    let request = requests.next().unwrap_or_default();
    assert!(request.contains("o─────▶─────▶─────▶─────▶"), "{text}");
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn terminal_draws_what_was_refused_and_the_view_that_followed() {
    let text = diagram_of("original/faulty_primary.toml");
    for telling in ["o─────✗─────✗─────✗", "VIEW-CHANGE to view 1", "NEW-VIEW of view 1"]
    {
        assert!(text.contains(telling), "{telling}: {text}");
    }
    assert!(text.ends_with("✗ refuses"), "{text}");
}
