//! Machines that take time for what they do.

use core::time::Duration;
use quorate_lab::rng::Seed;
use quorate_lab::scenario::{Scenario, write};
use quorate_lab::swarm;
use quorate_lab::trace::{Fate, Line, Party};
use quorate_lab::world::{Outcome, Processor, Verdict, run, run_observed};
use std::collections::BTreeMap;

fn scenario(parts: &str) -> Scenario {
    let text = format!(
        "format = 1\ntitle = \"t\"\n{parts}[disk]\nsync = [0, 0]\n\
         [[start]]\nat = 0\nhonest_node = 4\n"
    );
    Scenario::parse("s.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn observed(scenario: &Scenario) -> (Outcome, Vec<Line>) {
    let mut lines = Vec::new();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| lines.push(line));
    assert_eq!(outcome.verdict, Verdict::Pass, "{}", outcome.verdict);
    assert_eq!(outcome.counts.view.get(), 0);
    (outcome, lines)
}

/// Ten milliseconds from everybody to everybody.
const FAR: &str = "[network]\nround_trips_ms = [[20]]\nplaces = [\"a\"]\nclients = \"a\"\n";

/// Four delays, since replicas execute tentatively; the primary checks the request and signs its PRE-PREPARE, a backup checks that
/// signature and knows the request already, and both execute the operation.
#[test]
fn a_request_takes_what_its_signatures_and_its_operation_take() {
    let scenario = scenario(&format!(
        "[cluster]\nrequests_to_primary = false\n[workload]\noperations = 5\n{FAR}\
         [processor]\nper_verification = \"70us\"\n\
         per_signature = \"20.4us\"\nper_operation = \"3.3us\"\n"
    ));
    let (_, lines) = observed(&scenario);
    let mut called = BTreeMap::new();
    let mut took = Vec::new();
    for line in lines {
        match line {
            Line::Called { at, operation, .. } => drop(called.insert(operation, at)),
            Line::Answered { at, operation, .. } => took.push(at - called[&operation]),
            _ => {}
        }
    }
    // What leaves, leaves at a whole microsecond: PRE-PREPARE and REPLY are put off by less than one.
    let expected = 40_000 + 70 + 21 + 70 + 4;
    assert_eq!(took[1..], [expected; 4]);
}

#[test]
fn a_machine_handles_one_message_at_a_time_and_is_idle_only_when_none_waits() {
    let scenario = scenario(
        "[cluster]\nbatch_requests = 1\nview_change_timeout = 60\n[client]\n\
         retransmission_timeout = 60\n[workload]\nclients = 8\noperations = 80\noutstanding = 4\n\
         [processor]\nper_message = \"1ms\"\n",
    );
    let (outcome, lines) = observed(&scenario);
    let mut handled: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for line in &lines {
        if let Line::Message(message) = line
            && message.fate == Fate::Handled
            && let Party::Replica(replica) = message.to
        {
            handled.entry(replica.get()).or_default().push(message.at);
        }
    }
    assert_eq!(handled.len(), 4);
    for moments in handled.values() {
        assert!(moments.windows(2).all(|pair| pair[1] >= pair[0] + 1_000), "{moments:?}");
    }
    // A second passes before the clients call; then the busiest machine is hardly ever idle.
    let busiest = handled.values().map(|moments| moments.len() as u64).max().unwrap_or(0);
    let working = outcome.ended.as_micros() - 1_000_000;
    assert!(working < busiest * 1_250, "{busiest} messages in {working} us");
}

/// Machines that share a core take as long together as one after the other; with a core for each, the
/// same work is done four times as fast.
#[test]
fn machines_that_share_cores_wait_for_one_another() {
    let pace = |cores: &str| {
        let scenario = scenario(&format!(
            "[cluster]\nbatch_requests = 1\nview_change_timeout = 60\n[client]\n\
             retransmission_timeout = 60\n[workload]\nclients = 8\noperations = 80\noutstanding = 4\n\
             [processor]\nper_message = \"100us\"\n{cores}"
        ));
        let (outcome, lines) = observed(&scenario);
        let mut handled: Vec<u64> = Vec::new();
        for line in &lines {
            if let Line::Message(message) = line
                && message.fate == Fate::Handled
                && matches!(message.to, Party::Replica(_))
            {
                handled.push(message.at);
            }
        }
        handled.sort_unstable();
        (outcome.counts.pace.operations_per_second().unwrap(), handled)
    };
    let (alone, _) = pace("");
    let (two, moments) = pace("cores = 2\n");
    let (one, _) = pace("cores = 1\n");
    assert!(moments.windows(3).all(|three| three[2] >= three[0] + 99), "{moments:?}");
    assert!(one * 1.8 < two && two < one * 2.2, "{one} {two}");
    assert!(two * 1.8 < alone, "{two} {alone}");
}

#[test]
fn worlds_in_which_everything_goes_wrong_pass_with_busy_machines_too() {
    let microseconds = Duration::from_micros;
    for seed in 1..=30 {
        let mut options = swarm::options_of(Seed::new(seed));
        options.processor = Some(Processor {
            per_message: microseconds(10),
            per_verification: microseconds(60),
            per_signature: microseconds(20),
            per_operation: microseconds(5),
            per_client_message: microseconds(seed % 3),
            cores: u16::try_from(seed % 4).unwrap(),
        });
        let outcome = run(Seed::new(seed), &options);
        assert_eq!(outcome.verdict, Verdict::Pass, "seed {seed}: {}", outcome.verdict);
        if seed == 1 {
            assert_eq!(outcome, run(Seed::new(seed), &options), "a run can be made again");
        }
    }
}

#[test]
fn costs_are_written_as_they_are_read_and_not_for_processes() {
    let scenario = scenario("[processor]\nper_message = \"8.25us\"\nper_operation = \"1ms\"\n");
    let written = write(&scenario);
    let read = Scenario::parse("w.toml", &written).unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert_eq!(read.options.processor, scenario.options.processor, "{written}");
    let costs = scenario.options.processor.expect("the section is there");
    assert_eq!(costs.per_message, Duration::from_nanos(8_250));
    assert_eq!(costs.per_signature, Duration::ZERO);
    let error = scenario.check_for_processes("s.toml").expect_err("it is refused").to_string();
    assert!(error.starts_with("s.toml:4: ") && error.contains("processor.per_message"), "{error}");
}
