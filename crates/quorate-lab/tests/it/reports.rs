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
    let (top, _) = page.split_once("<figure").expect("there is a picture");
    let (_, top) = top.split_once("<h1>").expect("there is a title");
    text_of(top)
}

/// What a reader sees of it.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut is_mark = false;
    for letter in html.chars() {
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
        assert!(text.contains(what), "nothing of '{what}' in: {text:.6000}");
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
            "A (680f5170, 1 request) to replica 1 and B (7ca8bb0b, empty) to replicas 2 and 3",
            "The same with numbers 2 and 3, each with batches of its own",
            "Replica 2, which was given B, gets replica 1's PREPARE for A",
            "Replica 2 can prove the lie to anybody: two PRE-PREPAREs for one sequence number, 1, \
             signed by replica 0. It had asked, and replica 1 forwarded the PRE-PREPARE for A. \
             Replicas 0, 1 and 3 can by +1.89 ms.",
            "Replicas 0 to 3 leave view 0, whose primary is replica 0, by +1.89 ms (f+1 = 2 of them by \
             +1.70 ms, which ends it): the primary was caught lying",
            "Replica 1 takes over as the primary of view 1: it has a quorum of VIEW-CHANGEs, and its \
             NEW-VIEW leaves at +2.41 ms; replicas 0 to 3 are in the view by +2.85 ms",
            "At each of numbers 1, 2 and 3, all 4 replicas execute B (7ca8bb0b, empty) and nothing else",
            "B won, although it is empty: it had prepared in view 0 (at replicas 2 and 3), \
             and a new view must choose what may have been committed before it",
            "What was left out is not lost",
            "number 4 (3 requests) is the next that orders any",
            "Clients 0, 1 and 2 send their first operations by +4.35 ms: what they had sent until now, \
             request 0, was no operation but the opening of a session",
            "What clients noticed: 6 operations of 3 clients waited",
            "the slowest answer to these 6 took 6.52 ms (of all in the run: median 2.20 ms, slowest \
             14.0 ms)",
            "all 60 answers equal what one correct server would give",
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

/// The picture of E19 shows the lie and the number that made good for it, and the story's numbers.
#[test]
fn picture_of_an_equivocation_shows_the_lie_and_the_number_that_makes_good_for_it() {
    let page = page_of("acceptance/E19-equivocating-primary-n4.toml");
    let (_, rest) = page.split_once("<figure id=\"picture\">").expect("there is a picture");
    let (figure, rest) = rest.split_once("</figure>").expect("it ends");
    assert_says(
        figure,
        &[
            "messages about numbers 1 and 4, each message once",
            "▮4 (3 requests)",
            "▮1B (empty)",
            "<a href=\"#picture\">Show the picture alone, large</a>",
            "brings the proof of a lie",
            "asks for it",
            "the colour is the digest where a letter stands, the kind elsewhere",
            "REPLY, view 1, digest 2b08a5aa, request 0: it opens the client's session",
        ],
    );
    // A row of the story and its mark have one number, and the last row is after the picture.
    for number in 1..=7 {
        assert_says(figure, &[&format!("y=\"35\">{number}</text>")]);
    }
    assert!(!figure.contains("y=\"35\">8</text>"));
    assert_says(&page, &["<b>8</b></td><td class=\"number\">+6.52 ms"]);
    // No arrow is drawn above a label.
    let (_, later) = figure.split_once("rx=\"3\"").expect("there are labels");
    assert!(!later.contains(" → "), "{later}");
    assert_says(
        &text_of(rest),
        &[
            "f+1 = 2, so that one is correct",
            "a client opens a session with request 0, and believes a quorum, 3, of equal REPLYs",
            "replica 2, +1.52 ms; number 1: A 680f5170 and B 7ca8bb0b, forwarded by replica 1",
            "quorate lab replay somewhere",
            "quorate verify FILE --cluster cluster.toml",
            "no correct replica equivocatesnone signs two messages for one place",
            "The primary had proposed all 16 numbers that it may above its stable checkpoint, and \
             operations waited for the next one, from +8.99 ms to +21.0 ms and from +32.4 ms to +40.2 ms",
            "Messages of all numbers, until +9.44 ms of +47.5 ms",
            "here it took 1,592 / 57 requests = 27.93 on the average",
        ],
    );
}

/// On real links sessions are open before the first call: the lie that came before it is drawn.
#[test]
fn picture_shows_an_equivocation_before_the_first_call() {
    let (scenario, summary, mut lines) = run_of("acceptance/E19-equivocating-primary-n4.toml");
    for line in &mut lines {
        if let Line::Called { at, .. } = line {
            *at += 5_000;
        }
    }
    let page = page(&scenario, &summary, &lines);
    let (_, figure) = page.split_once("<figure id=\"picture\">").expect("there is a picture");
    assert_says(figure, &[">1A<", ">1B<", "▮4 (3 requests)", "messages about numbers 1 and 4"]);
    // The scale has times before the first call.
    assert_says(figure, &["y=\"498\">−3.40 ms</text>", "y=\"498\">−1.30 ms</text>"]);
}

/// Who needs f+1 REPLYs only is told so, and a story without trouble has no row about sessions.
#[test]
fn page_says_how_many_replies_a_client_believes() {
    let page = page_of("original/honest.toml");
    assert!(!slide(&page).contains("request 0"), "{}", slide(&page));
    assert_says(&text_of(&page), &["believes a quorum, 3, of equal REPLYs"]);
    let page = page_of("beyond/false-replies-n4.toml");
    assert_says(&text_of(&page), &["believes a weak quorum, 2, of equal REPLYs"]);
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
            "replica 0 (as the primary of view 0 it let requests wait too long; nothing was heard of it)",
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
        ("acceptance/E22-jump-to-max-n4.toml", "but nothing at numbers 1 to 18446744073709551614"),
        (
            "acceptance/E21-backups-in-the-dark-n4.toml",
            "Replica 3 had fallen behind, without the PRE-PREPAREs of",
        ),
        (
            "acceptance/E02-duplicated-and-reordered-n4.toml",
            "sends its first request to all replicas",
        ),
        (
            "acceptance/E22-jump-to-max-n4.toml",
            "Replica 0 had proposed number 18446744073709551615, but nothing at numbers",
        ),
        ("acceptance/E25-starved-client-n7.toml", "Replica 0 had proposed other requests"),
        ("acceptance/E33-new-view-dropped-n4.toml", "in which nobody follows it"),
        ("acceptance/E36-state-transfer-into-a-new-view-n7.toml", "Replica 6 had fallen behind"),
        (
            "acceptance/E19-equivocating-primary-n7.toml",
            "Replica 6 votes for two batches at number 1",
        ),
        (
            "acceptance/E19-equivocating-primary-n7.toml",
            " won: it had prepared in view 0 (at replica",
        ),
        (
            "acceptance/E35-new-primary-dies-n7.toml",
            "1 operation of 1 client waited through the change to view 1, and its answer took",
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

/// The diagram has what the picture of the page shows first.
#[test]
fn terminal_draws_the_lie_and_the_number_that_makes_good_for_it() {
    let text = diagram_of("acceptance/E19-equivocating-primary-n4.toml");
    for telling in [
        "PRE-PREPARE 1 A",
        "PRE-PREPARE 1 B",
        "PRE-PREPARE 4",
        "COMMIT 4",
        "REQUEST, opens the session",
    ] {
        assert!(text.contains(telling), "{telling}: {text}");
    }
    assert!(!text.contains("PRE-PREPARE 5"), "{text}");
    // It fits a screen, and what is left out is neither how it began nor what it came to.
    assert!(text.lines().count() <= 43, "{text}");
    let (begin, end) = text.split_once(" more rows here: the report has them").expect(&text);
    assert!(begin.contains("!─"), "{text}");
    assert!(end.contains("REPLY, opens the session"), "{text}");
}

/// The label of a vote has a place of its own; where there is none, the vote has no label.
#[test]
fn labels_of_votes_lie_on_no_other_label() {
    for (file, first) in [
        ("original/faulty_primary.toml", ">1A<"),
        ("acceptance/E19-equivocating-primary-n4.toml", ">1A<"),
        ("acceptance/E19-equivocating-primary-n7.toml", ">1A<"),
    ] {
        let page = page_of(file);
        let (_, figure) = page.split_once("<figure id=\"picture\">").expect("there is a picture");
        let (figure, _) = figure.split_once("</figure>").expect("it ends");
        assert_says(figure, &[first]);
        let labels: Vec<(&str, f64, f64, f64)> = shown_labels(figure);
        let is_vote = |class: &str| class.starts_with("prepare") || class.starts_with("commit");
        assert!(labels.iter().filter(|(class, ..)| is_vote(class)).count() > 5, "{file}");
        for (index, (class, x, y, width)) in labels.iter().enumerate() {
            for (other, x2, y2, width2) in &labels[..index] {
                // Places are rounded to whole units.
                let is_apart =
                    x + width <= x2 + 1.0 || x2 + width2 <= x + 1.0 || (y - y2).abs() >= 12.0;
                assert!(is_apart || !is_vote(class) && !is_vote(other), "{file}: {class} {x} {y}");
            }
        }
    }
}

/// The labels that are shown before anybody asks for more: class, place and width.
fn shown_labels(figure: &str) -> Vec<(&str, f64, f64, f64)> {
    let hidden = ["repeat", "late", "vain", "more", "status", "other", "repair"];
    let groups = figure.split("<g class=\"").filter_map(|group| group.split_once("\"><rect "));
    let is_shown =
        |class: &str| class.contains("proof") || !class.split(' ').any(|it| hidden.contains(&it));
    let shown = groups.filter(|(class, _)| is_shown(class));
    shown
        .map(|(class, rect)| {
            let number = |key: &str| -> f64 {
                let (_, rest) = rect.split_once(&format!("{key}=\"")).expect(key);
                rest.split('"').next().and_then(|number| number.parse().ok()).expect(key)
            };
            (class, number("x"), number("y"), number("width"))
        })
        .collect()
}

/// What the picture is about fits a slide: it begins later where its beginning has no room.
#[test]
fn picture_is_never_wider_than_a_slide() {
    for file in [
        "acceptance/E35-new-primary-dies-n7.toml",
        "acceptance/E25-starved-client-n4.toml",
        "acceptance/E43-target-of-a-transfer-moves-n7.toml",
    ] {
        let page = page_of(file);
        let (_, figure) = page.split_once("<figure id=\"picture\">").expect("there is a picture");
        let (_, svg) =
            figure.split_once("aria-label=\"message sequence diagram\" width=\"").expect(file);
        let width: f64 = svg.split('"').next().and_then(|width| width.parse().ok()).expect(file);
        assert!(width <= 1_071.0, "{file}: {width}");
    }
}
