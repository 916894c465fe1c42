//! What tentative execution saves, and that what was executed so is undone where it must be.

use quorate_lab::scenario::Scenario;
use quorate_lab::trace::Line;
use quorate_lab::world::{Verdict, run_observed};
use std::collections::BTreeMap;

/// How long each operation of one client took, in microseconds, where every message takes ten
/// milliseconds.
fn latencies(replicas: u32, is_tentative: bool) -> Vec<u64> {
    let text = format!(
        "format = 1\ntitle = \"t\"\n[cluster]\ntentative_execution = {is_tentative}\n\
         view_change_timeout = 60\n[client]\nretransmission_timeout = 60\n\
         [workload]\noperations = 21\n[network]\nround_trips_ms = [[20]]\nplaces = [\"a\"]\n\
         clients = \"a\"\n[disk]\nsync = [0, 0]\n[[start]]\nat = 0\nhonest_node = {replicas}\n"
    );
    let scenario = Scenario::parse("s.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let mut lines = Vec::new();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| lines.push(line));
    assert_eq!(outcome.verdict, Verdict::Pass, "{}", outcome.verdict);
    let (mut called, mut took) = (BTreeMap::new(), Vec::new());
    for line in lines {
        match line {
            Line::Called { at, operation, .. } => drop(called.insert(operation, at)),
            Line::Answered { at, operation, .. } => took.push(at - called[&operation]),
            _ => {}
        }
    }
    took
}

/// REQUEST, PRE-PREPARE, PREPARE and REPLY are four delays; without tentative execution COMMIT is a
/// fifth. Before the first operation the session is opened, which nobody is told tentatively.
#[test]
fn an_answer_comes_one_message_delay_earlier() {
    for replicas in [4, 7] {
        let (with, without) = (latencies(replicas, true), latencies(replicas, false));
        assert_eq!((with[0], without[0]), (90_000, 100_000));
        assert_eq!(with[1..], [40_000; 20]);
        assert_eq!(without[1..], [50_000; 20]);
    }
}
