//! Replicas that stand far apart, and links that carry only so much: how long a request takes is
//! what the delays on its way come to.

use super::parsed_file;
use core::time::Duration;
use quorate_lab::network::Distances;
use quorate_lab::scenario::{Scenario, write};
use quorate_lab::trace::Line;
use quorate_lab::world::{Verdict, run, run_observed};
use std::collections::BTreeMap;

const FOUR_CONTINENTS: &str = "wide/four_continents.toml";

fn one_way(distances: &Distances, from: usize, to: usize) -> Duration {
    distances.round_trips.rows[from][to] / 2
}

/// The `count`-th of these moments.
fn nth(count: usize, moments: impl Iterator<Item = Duration>) -> Duration {
    let mut moments: Vec<Duration> = moments.collect();
    moments.sort();
    moments[count - 1]
}

/// How long a request takes when nothing goes wrong, from its call to the quorum of its replies, in
/// a cluster of 3f+1 replicas with the first as the primary, which execute a batch when it has
/// prepared if that is `tentative` [TE1]. Nothing but the network takes time.
fn expected(distances: &Distances, f: usize, tentative: bool) -> Duration {
    let client = distances.clients;
    let place = |replica: usize| distances.replicas[replica % distances.replicas.len()];
    let n = 3 * f + 1;
    let apart = |a: usize, b: usize| {
        if a == b { Duration::ZERO } else { one_way(distances, place(a), place(b)) }
    };
    let request = one_way(distances, client, place(0));
    let pre_prepared: Vec<Duration> = (0..n).map(|i| request + apart(0, i)).collect();
    let prepared: Vec<Duration> = (0..n)
        .map(|i| {
            let prepares = (1..n).map(|j| pre_prepared[j] + apart(j, i));
            nth(2 * f, prepares).max(pre_prepared[i])
        })
        .collect();
    let answered = |executed: &[Duration]| {
        nth(2 * f + 1, (0..n).map(|i| executed[i] + one_way(distances, place(i), client)))
    };
    if tentative {
        return answered(&prepared);
    }
    let committed: Vec<Duration> = (0..n)
        .map(|i| nth(2 * f + 1, (0..n).map(|j| prepared[j] + apart(j, i))).max(prepared[i]))
        .collect();
    answered(&committed)
}

/// How long each operation took, in the order of calls.
fn latencies(scenario: &Scenario) -> Vec<Duration> {
    let mut called = BTreeMap::new();
    let mut took = BTreeMap::new();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| match line {
        Line::Called { at, operation, .. } => {
            called.insert(operation, at);
        }
        Line::Answered { at, operation, .. } => {
            took.insert(operation, Duration::from_micros(at - called[&operation]));
        }
        _ => {}
    });
    assert_eq!(outcome.verdict, Verdict::Pass, "{}", outcome.verdict);
    assert_eq!(took.len() as u64, scenario.options.workload.operations);
    took.into_values().collect()
}

#[test]
fn a_request_takes_as_long_as_the_delays_on_its_way() {
    let mut scenario = parsed_file(FOUR_CONTINENTS);
    let distances = scenario.options.distances.as_mut().expect("the file has places");
    distances.jitter_per_million = 0;
    let distances = distances.clone();
    let committed = expected(&distances, 1, false);
    for tentative in [false, true] {
        scenario.options.parameters.tentative_execution = tentative;
        let expected = expected(&distances, 1, tentative);
        assert_eq!(expected < committed, tentative);
        let latencies = latencies(&scenario);
        // The first call opens the client's session before, which is a request as well, and one
        // that is never answered before it is committed.
        assert_eq!(latencies[0], committed + expected);
        assert!(latencies[1..].iter().all(|took| *took == expected), "{expected:?}: {latencies:?}");
    }
}

#[test]
fn jitter_makes_a_request_faster_or_slower_by_no_more() {
    let scenario = parsed_file(FOUR_CONTINENTS);
    assert_eq!(scenario.misses(&run(scenario.seed, &scenario.options)), [""; 0]);
    let expected = expected(scenario.options.distances.as_ref().expect("it has places"), 1, true);
    let latencies = latencies(&scenario);
    let bounds = expected.mul_f64(0.9)..=expected.mul_f64(1.1);
    assert!(latencies[1..].iter().all(|took| bounds.contains(took)), "{bounds:?}: {latencies:?}");
    assert!(latencies[1..].iter().any(|took| *took > expected), "{latencies:?}");
    assert!(latencies[1..].iter().any(|took| *took < expected), "{latencies:?}");
}

/// The bandwidth is so low that sending takes longer than everything else.
#[test]
fn on_slow_links_a_request_takes_as_long_as_its_bytes() {
    let file = |bandwidth: &str| {
        let text = format!(
            "format = 1\ntitle = \"t\"\n[cluster]\nview_change_timeout = 60\n\
             [client]\nretransmission_timeout = 60\n[workload]\noperations = 20\n\
             [network]\n{bandwidth}[disk]\nsync = [0, 0]\n[[start]]\nat = 0\nhonest_node = 4\n"
        );
        Scenario::parse("s.toml", &text).unwrap_or_else(|error| panic!("{error}"))
    };
    // The fastest call is one that no STATUS and no CHECKPOINT was in the way of.
    let fastest = |bandwidth: &str| latencies(&file(bandwidth)).into_iter().skip(1).min();
    let [free, ten, five] = ["", "bandwidth = 10000\n", "bandwidth = 5000\n"].map(fastest);
    let (ten, five) = (ten.expect("it has calls"), five.expect("it has calls"));
    // A REQUEST and a PRE-PREPARE have a signature of 64 bytes at least.
    assert!(ten > free.expect("it has calls") + Duration::from_micros(2 * 6_400), "{ten:?}");
    assert!(five > ten.mul_f64(1.8) && five < ten.mul_f64(2.2), "{ten:?}, {five:?}");
}

#[test]
fn places_and_bandwidth_are_written_as_they_are_read() {
    for network in [
        "regions = \"ibm-2024\"\nplaces = [\"tokyo\", \"osaka\"]\nclients = \"london\"\n",
        "regions = \"ibm-dallas-zones-2024\"\nplaces = [\"dallas_1\", \"dallas_3\"]\n\
         clients = \"dallas_2\"\njitter = \"2.5%\"\nbandwidth = \"100Mbit\"\n",
        "round_trips_ms = [[0.08, 7, 20.5], [7, 0, 1], [20, 1, 0]]\nplaces = [\"b\", \"a\", \"b\"]\n\
         clients = \"c\"\njitter = 0.5\nbandwidth = 1234\n",
    ] {
        let text = format!(
            "format = 1\ntitle = \"t\"\n[network]\n{network}[[start]]\nat = 0\nhonest_node = 4\n"
        );
        let scenario = Scenario::parse("s.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let written = write(&scenario);
        let read = Scenario::parse("w.toml", &written).unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(format!("{:?}", read.options), format!("{:?}", scenario.options), "{written}");
        assert!(read.options.distances.is_some());
    }
}

#[test]
fn wrong_places_are_refused_with_what_is_allowed() {
    let refusal = |network: &str| {
        let start = "[[start]]\nat = 0\nhonest_node = 4\n";
        let text = format!("format = 1\ntitle = \"t\"\n{start}[network]\n{network}\n");
        Scenario::parse("s.toml", &text).expect_err(&text).to_string()
    };
    for (network, line, hint) in [
        ("regions = \"ibm\"\nplaces = [\"a\"]\nclients = \"a\"", 7, "ibm-dallas-zones-2024"),
        ("regions = \"ibm-2024\"\nclients = \"london\"", 7, "need places"),
        ("regions = \"ibm-2024\"\nplaces = [\"london\"]", 7, "need places"),
        ("jitter = \"5%\"\nplaces = [\"london\"]", 8, "regions or round_trips_ms"),
        ("jitter = \"5%\"", 7, "regions or round_trips_ms"),
        ("regions = \"ibm-2024\"\nplaces = [\"paris\"]\nclients = \"london\"", 8, "sao_paulo"),
        ("regions = \"ibm-2024\"\nplaces = [\"london\"]\nclients = \"paris\"", 9, "sao_paulo"),
        ("regions = \"ibm-2024\"\nplaces = []\nclients = \"london\"", 8, "from 1 to 4"),
        ("round_trips_ms = [[0]]\nplaces = [\"a\"]\nclients = \"b\"", 7, "2 rows of 2 numbers"),
        ("round_trips_ms = [[0, 1], [0, 0]]\nplaces = [\"a\"]\nclients = \"b\"", 7, "from b to a"),
        (
            "round_trips_ms = [[0, nan], [1, 0]]\nplaces = [\"a\"]\nclients = \"b\"",
            7,
            "from a to b",
        ),
        ("regions = \"ibm-2024\"\nround_trips_ms = [[0]]", 8, "one matrix"),
        ("bandwidth = 0", 7, "from 1 to"),
        ("bandwidth = \"1GB\"", 7, "1Gbit"),
        ("[[event]]\nat = 1\nnetwork = { bandwidth = 1 }", 9, "whole run"),
        ("[[event]]\nat = 1\nnetwork = { regions = \"ibm-2024\" }", 9, "whole run"),
    ] {
        let error = refusal(network);
        assert!(error.starts_with(&format!("s.toml:{line}: ")), "{network}: {error}");
        assert!(error.contains(hint) && !error.contains('\n'), "{network}: {error}");
    }
}
