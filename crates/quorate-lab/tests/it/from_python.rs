//! What users of the Python program try first: its own defaults, its names, and small changes to its
//! default run.

use quorate_lab::answers::Answers;
use quorate_lab::report::Summary;
use quorate_lab::scenario::Scenario;
use quorate_lab::world::{Outcome, run, run_observed};
use std::path::Path;

/// The text of a shipped scenario with something in it replaced.
fn original(name: &str, replacements: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/original");
    let mut text = std::fs::read_to_string(folder.join(name)).expect("it can be read");
    for (there, instead) in replacements {
        assert!(text.contains(there), "{name} has no {there}");
        text = text.replace(there, instead);
    }
    text
}

fn played(text: &str) -> (Scenario, Outcome) {
    let scenario = Scenario::parse("s.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(scenario.seed, &scenario.options);
    (scenario, outcome)
}

fn summary(text: &str) -> Summary {
    let scenario = Scenario::parse("s.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let mut answers = Answers::default();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| answers.see(&line));
    Summary::new(&scenario, &outcome, "").with_answers(&scenario, answers)
}

/// Both of its timers are 200 s, and a run goes on for as long as they take.
#[test]
fn its_default_timers_delay_an_answer_and_keep_it_from_nobody() {
    let slow_view_change = [("view_change_timeout = 3", "view_change_timeout = 200")];
    let primary = summary(&original("faulty_primary.toml", &slow_view_change));
    assert_eq!((primary.verdict, primary.final_view), ("pass", 1), "{:?}", primary.explanation);
    assert!(primary.seconds() > 200.0, "{}", primary.took());
    let slow_repetition = [("retransmission_timeout = 2\n", "retransmission_timeout = 200\n")];
    let timeline = summary(&original("timeline.toml", &slow_repetition));
    assert_eq!((timeline.verdict, timeline.requests_completed), ("pass", 5));
    assert!(timeline.seconds() > 200.0, "requests waited: {}", timeline.took());
}

#[test]
fn a_run_that_is_stopped_while_a_timer_runs_says_so() {
    let stopped = [
        ("view_change_timeout = 3", "view_change_timeout = 200"),
        ("[expect]\n", "[expect]\nwithin = 60\n"),
    ];
    let summary = summary(&original("faulty_primary.toml", &stopped));
    assert_eq!(summary.verdict, "no_progress");
    let told = summary.explanation.expect("it is explained");
    for words in ["stopped 60 s after", "200 s (cluster.view_change_timeout)", "expect.within"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_run_in_which_no_quorum_takes_part_says_so() {
    let silent =
        [("honest_node = 3\nnon_responding_node = 1", "honest_node = 2\nnon_responding_node = 2")];
    let text = original("non_responding_node.toml", &silent);
    let summary = summary(&text.replace("format = 1", "format = 1\nbeyond_budget = true"));
    assert_eq!(summary.verdict, "no_progress");
    let told = summary.explanation.expect("it is explained");
    assert!(told.contains("no quorum takes part: 3 of 4 replicas must"), "{told}");
    assert!(!told.contains("stopped"), "it was waited long enough: {told}");
}

/// Of the default run there is one reply of each node, to a put.
#[test]
fn a_node_with_faulty_replies_lies_about_the_only_request_of_a_run() {
    let (_, honest) = played(&original("honest.toml", &[]));
    let liar = [("honest_node = 4", "honest_node = 3\nfaulty_replies_node = 1")];
    let (scenario, outcome) = played(&original("honest.toml", &liar));
    assert_eq!(scenario.misses(&outcome), [""; 0]);
    assert_ne!(outcome.trace_hash, honest.trace_hash, "something else happened");
    let suspects: Vec<(u32, bool)> =
        outcome.culprits.iter().map(|culprit| (culprit.replica.get(), culprit.proved)).collect();
    assert_eq!(suspects, [(3, false)], "{:?}", outcome.culprits);
}

#[test]
fn requests_of_many_clients_share_batches_unless_batches_hold_one() {
    let fifty = [("clients = 1", "clients = 50"), ("messages_per_request = 36", "")];
    let batched = summary(&original("honest.toml", &fifty));
    assert!(batched.counts.per_request_with_self < 36.0);
    let one_each = [("clients = 1", "clients = 50"), ("proportion = 1", "batch_requests = 1")];
    let summary = summary(&original("honest.toml", &one_each));
    assert_eq!(summary.misses, [""; 0]);
    assert_eq!((summary.counts.total_with_self, summary.requests_completed), (1800, 50));
}

#[test]
fn a_node_that_comes_after_all_requests_is_remarked_on() {
    let late = [("honest_node = 4", "honest_node = 3\n\n[[start]]\nat = 5\nhonest_node = 1")];
    let idle = original("honest.toml", &late).replace("messages_per_request = 36", "");
    let told = summary(&idle);
    assert_eq!(told.verdict, "pass");
    assert_eq!(told.remarks.len(), 1, "{:?}", told.remarks);
    assert!(
        told.remarks[0].contains("replica 3 started at 5 s, after the last reply"),
        "{:?}",
        told.remarks
    );
    let busy = idle.replace("clients = 1", "clients = 1\nbegins_at = 6");
    assert_eq!(summary(&busy).remarks, [""; 0]);
}

#[test]
fn what_is_not_as_the_file_says_is_told_with_what_was_expected() {
    let expecting = |expectation: &str| {
        let text = original("faulty_node.toml", &[]);
        let (rest, _) = text.split_once("[expect]").expect("it expects something");
        let (scenario, outcome) = played(&format!("{rest}[expect]\n{expectation}\n"));
        scenario.misses(&outcome).join("; ")
    };
    for (expectation, told) in [
        ("view = 2", "expected view 2 at the end, found 0"),
        ("view_at_least = 1", "expected view 1 or a higher one at the end, found 0"),
        ("messages_per_request = 20", "expected 20 messages for each request, found 36"),
        ("proved = [3]", "expected replicas 3 to be proved to have lied, found no replica"),
        ("suspected = [1]", "expected replicas 1 to be suspected, found replicas 3"),
        ("stopped = [0, 1]", "expected replicas 0, 1 to stop of themselves, found no replica"),
        ("verdict = \"violation\"", "expected verdict violation, found pass"),
        (
            "happens = [\"view change started\"]",
            "expected 'view change started' to happen, found it nowhere",
        ),
    ] {
        assert_eq!(expecting(expectation), told);
    }
    assert!(expecting("answered_within = \"1ms\"").contains("within 0.001 s, found one after"));
}

fn refusal(text: &str) -> String {
    Scenario::parse("s.toml", text).expect_err(text).to_string()
}

#[test]
fn everything_that_a_file_must_have_is_missed_at_once() {
    for (text, missing) in [
        ("", "format and title and [[start]] missing"),
        ("seed = 1\n[[start]]\nat = 0\nhonest_node = 4\n", "format and title missing"),
        ("format = 1\n[[start]]\nat = 0\nhonest_node = 4\n", "title missing"),
        ("format = 1\ntitle = \"t\"\n", "[[start]] missing"),
    ] {
        let error = refusal(text);
        assert!(error.starts_with(&format!("s.toml:1: {missing}: ")), "{error}");
        assert!(error.contains("format = 1"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_kind_or_its_parameters_is_said() {
    let with = |nodes: &str| {
        refusal(&format!(
            "format = 1\ntitle = \"t\"\n[[start]]\nat = 0\nhonest_node = 3\n{nodes}\n"
        ))
    };
    for (nodes, says) in [
        ("HonestNode = 1", "did you mean honest_node?"),
        ("slow_node = 1", "did you mean slow_nodes?"),
        (
            "slow_nodes = { delay = \"5 parsecs\" }",
            "'5 parsecs' is not allowed for delay of slow_nodes",
        ),
        ("slow_nodes = { where = \"replies\" }", "which is one of all, reply"),
        (
            "slow_nodes = { n = 2 }",
            "no parameter 'n': it takes delay=20s, where=all|reply; how many",
        ),
    ] {
        let error = with(nodes);
        assert!(error.starts_with("s.toml:6: ") && error.contains(says), "{error}");
        assert!(error.len() < 250, "{error}");
    }
}

#[test]
fn a_delay_may_be_written_as_every_time_is() {
    for delay in ["5", "0.5", "\"5s\"", "\"5 s\"", "\"0.5s\"", "\"500ms\""] {
        let nodes = format!("honest_node = 3\nslow_nodes = {{ delay = {delay} }}");
        let text = format!("format = 1\ntitle = \"t\"\n[[start]]\nat = 0\n{nodes}\n");
        assert!(Scenario::parse("s.toml", &text).is_ok(), "{delay}");
    }
}
