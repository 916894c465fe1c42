//! Scenario files: those that are shipped end as they say, and a wrong one is refused in one line.

use super::replica;
use core::time::Duration;
use pbft::ReplicaId;
use quorate_adversary::Behaviour;
use quorate_lab::report::{Summary, page};
use quorate_lab::rng::Seed;
use quorate_lab::scenario::{Scenario, VerdictName};
use quorate_lab::swarm;
use quorate_lab::trace::{EVENT_NAMES, Fate, Line};
use quorate_lab::world::{ClientLie, Fault, Outcome, Verdict, run, run_observed};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The scenarios of all files below a folder.
fn scenarios_below(folder: &str) -> Vec<(PathBuf, Scenario)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(folder);
    let mut folders = vec![root];
    let mut scenarios = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("it can be read");
            let parsed = Scenario::parse(&path.display().to_string(), &text);
            scenarios.push((path, parsed.unwrap_or_else(|error| panic!("{error}"))));
        }
    }
    assert!(!scenarios.is_empty());
    scenarios
}

/// Runs a scenario. It ends as its file says, every number that is printed is a number of lines of
/// its trace, and it can be drawn.
fn assert_keeps_its_word(path: &Path, scenario: &Scenario) -> Outcome {
    let mut lines = Vec::new();
    let outcome = run_observed(scenario.seed, &scenario.options, &mut |line| lines.push(line));
    let misses = scenario.misses(&outcome);
    assert_eq!(misses, [""; 0], "{}: {}", path.display(), outcome.verdict);
    assert!(outcome.counts.events.keys().all(|event| EVENT_NAMES.contains(event)));
    let count = |kind: &str, own: bool| {
        let counted = lines.iter().filter(|line| match line {
            Line::Message(message) => {
                message.kind == kind
                    && !message.session
                    && message.fate.is_handled()
                    && (message.fate == Fate::Own) == own
            }
            _ => false,
        });
        counted.count() as u64
    };
    let counts = &outcome.messages;
    let phases = ["PRE-PREPARE", "PREPARE", "COMMIT", "REPLY"];
    let printed = [counts.pre_prepare, counts.prepare, counts.commit, counts.reply];
    assert_eq!(phases.map(|kind| count(kind, false)), printed, "{}", path.display());
    let summary = Summary::new(scenario, &outcome, "somewhere");
    assert!(page(scenario, &summary, &lines).contains("<h1>"), "{}", path.display());
    let diagram = summary.with_diagram(scenario, &lines).diagram;
    assert!(diagram.is_none_or(|text| text.lines().count() < 60), "{}", path.display());
    let own: u64 = phases.iter().map(|kind| count(kind, true)).sum();
    assert_eq!(counts.total, printed.iter().sum());
    assert_eq!(counts.total_with_self, counts.total + own);
    let others = ["CHECKPOINT", "VIEW-CHANGE", "NEW-VIEW", "STATUS", "STATE-TRANSFER"];
    let printed = [
        counts.checkpoint,
        counts.view_change,
        counts.new_view,
        counts.status,
        counts.state_transfer,
    ];
    assert_eq!(others.map(|kind| count(kind, false)), printed, "{}", path.display());
    outcome
}

#[test]
fn scenarios_of_the_python_program_end_as_they_say() {
    for (path, scenario) in scenarios_below("original") {
        let outcome = assert_keeps_its_word(&path, &scenario);
        assert_eq!(outcome, run(scenario.seed, &scenario.options), "watching changes nothing");
    }
}

#[test]
fn scenarios_for_load_and_regressions_end_as_they_say() {
    for folder in ["load", "regressions", "wide"] {
        for (path, scenario) in scenarios_below(folder) {
            assert_keeps_its_word(&path, &scenario);
        }
    }
}

/// The test of the tests: with f+1 liars the checkers find what they are there to find, and each
/// file says what. `docs/testing.md` lists them.
#[test]
fn scenarios_with_more_liars_than_f_violate_the_property_that_they_name() {
    for (path, scenario) in scenarios_below("beyond") {
        let shown = path.display();
        let Scenario { options, beyond_budget, expect, .. } = &scenario;
        assert!(*beyond_budget, "{shown}");
        assert_eq!(expect.verdict, VerdictName::Violation, "{shown}");
        assert!(expect.property.is_some(), "{shown}");
        let faulty: BTreeSet<ReplicaId> = options
            .timeline
            .iter()
            .filter_map(|(_, fault)| match fault {
                Fault::RollBack(id) => Some(*id),
                other => other.corrupted(),
            })
            .collect();
        assert_eq!(faulty.len(), options.fault_bound() as usize + 1, "{shown}");
        let told = assert_keeps_its_word(&path, &scenario).verdict.to_string();
        let is_for_people =
            !["{", "[", "None", "Some", " d:"].iter().any(|form| told.contains(form));
        assert!(is_for_people, "{shown}: {told}");
    }
    assert_eq!(names("beyond", "-n4.toml"), names("beyond", "-n7.toml"));
}

/// The names of the files of a folder that end in this, without it.
fn names(folder: &str, ending: &str) -> Vec<String> {
    let files = ending_in(folder, ending).into_iter();
    files.map(|(path, _)| path.to_string_lossy().replace(ending, "")).collect()
}

/// The scenarios of a folder whose names end in this.
fn ending_in(folder: &str, ending: &str) -> Vec<(PathBuf, Scenario)> {
    let mut files = scenarios_below(folder);
    files.retain(|(path, _)| path.to_string_lossy().ends_with(ending));
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    files
}

#[test]
fn acceptance_scenarios_of_four_replicas_end_as_they_say() {
    for (path, scenario) in ending_in("acceptance", "-n4.toml") {
        assert_eq!(scenario.options.replica_count, 4, "{}", path.display());
        assert_keeps_its_word(&path, &scenario);
    }
}

#[test]
fn acceptance_scenarios_of_more_replicas_end_as_they_say() {
    for (path, scenario) in scenarios_below("acceptance") {
        let n = scenario.options.replica_count;
        assert!(path.to_string_lossy().ends_with(&format!("-n{n}.toml")), "{}", path.display());
        if n > 4 {
            assert_keeps_its_word(&path, &scenario);
        }
    }
}

/// What is shown with four replicas is shown with seven as well.
#[test]
fn every_acceptance_scenario_is_there_for_seven_replicas_too() {
    assert_eq!(names("acceptance", "-n4.toml"), names("acceptance", "-n7.toml"));
}

const HEAD: &str = "format = 1\ntitle = \"t\"\n";
const FOUR: &str = "[[start]]\nat = 0\nhonest_node = 4\n";

fn refusal(text: &str) -> String {
    let error = Scenario::parse("s.toml", text).expect_err(text).to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

#[test]
fn what_is_wrong_is_refused_in_one_line_that_says_where_and_what_is_allowed() {
    let with = |rest: &str| refusal(&format!("{HEAD}{rest}"));
    for (text, line, hint) in [
        ("[[start]]\nat = 0\nhonest_node = 3\nevil = 1\n", 6, "faulty_primary"),
        (
            "[[start]]\nat = 0\nhonest_node = 3\nslow_nodes = { count = 1, speed = 2 }\n",
            6,
            "slow_nodes",
        ),
        ("[[start]]\nat = 0\nhonest_node = 2\nfaulty_node = 2\n", 6, "beyond_budget = true"),
        (
            "[[start]]\nat = 0\nhonest_node = 3\nequivocating_primary = { count = 1, second = [9] }\n",
            6,
            "no replica 9: they are 0 to 3",
        ),
        (
            "[[start]]\nat = 0\nhonest_node = 3\nforging_node = { count = 1, victim = 4 }\n",
            6,
            "no replica 4",
        ),
        (
            "[[start]]\nat = 0\nhonest_node = 3\nstarving_primary = { count = 1, client = 9 }\n",
            6,
            "no client 9",
        ),
        ("[[start]]\nat = -1\nhonest_node = 4\n", 4, "negative"),
        ("[[start]]\nat = 0\nhonest_node = 3\n", 4, "from 4 to 128"),
        ("[cluster]\nproportion = 0.5\n[[start]]\nat = 0\nhonest_node = 4\n", 4, "must be 1"),
        ("sede = 1\n[[start]]\nat = 0\nhonest_node = 4\n", 3, "seed"),
    ] {
        let error = with(text);
        assert!(error.starts_with(&format!("s.toml:{line}: ")), "{error}");
        assert!(error.contains(hint), "{error}");
    }
    let event = |event: &str| with(&format!("{FOUR}[[event]]\n{event}\n"));
    for (text, hint) in [
        ("at = 1\npartition = [[0, 1], [2, 9]]", "no replica 9: they are 0 to 3"),
        ("at = 1\npartition = [[0, 1], [1, 2]]", "none stands in two"),
        ("at = \"-1s\"\nmend = true", "negative"),
        ("at = 1", "one of cut"),
        ("at = 1\nmend = true\nrestart = [1]", "one of cut"),
        ("at = 1\ncrash = { replicas = [4] }", "no replica 4"),
        (
            "at = 1\ncrash = [3]",
            "not written like that, but as in crash = { replicas = [2], how = \"power\" }",
        ),
        ("at = 1\ncrash = [[3]]", "but as in crash = { replicas = [2]"),
        ("at = 1\ncrash = { replicas = 3 }", "; crash is written as in crash = { replicas = [2]"),
        ("at = 1\ncrash = {}", "; crash is written as in crash = { replicas = [2]"),
        ("at = 1\nrestart = 3", "but as in restart = [2]"),
        ("at = 1\nmend = 3", "; mend is written as in mend = true"),
        ("at = 1\nbehave = { replicas = [1], kind = \"evil\" }", "unknown"),
        (
            "at = 1\nbehave = { replicas = [1], kind = \"isolating_primary\", dark = [5] }",
            "no replica 5",
        ),
        ("at = 1\ncut = { from = [0], to = [1], kinds = [\"vote\"] }", "pre_prepare, prepare"),
        ("at = 1\ncut = { from = [0], to = [1], kinds = [] }", "kinds names one at least"),
        ("at = 1\ndelay = { from = [0], to = [4], by = [1, 2] }", "no replica 4"),
        ("at = 1\ndelay = { from = [0], to = [1], by = [2, 1] }", "the first time is the shortest"),
        ("at = 1\nrot = [7]", "no replica 7"),
        ("at = 1\nfail_sync = [0]\n[[event]]\nat = 1\nfill_disk = [1]", "beyond_budget = true"),
        ("at = 1\nmend = true\n[expect]\nhappens = [\"a miracle\"]", "view entered"),
        ("at = 1\nmend = true\n[expect]\nstopped = [4]", "no replica 4"),
        (
            "at = 1\nmend = true\n[expect]\nproperty = \"agrement\"",
            "no property is called 'agrement': it is one of determinism",
        ),
        ("at = 1\nnetwork = { loss = \"200%\" }", "from 0 to 1"),
    ] {
        let error = event(text);
        assert!(error.contains(hint), "{error}");
    }
    let newer = refusal("format = 2\nnews = true\n");
    assert!(newer.starts_with("s.toml:1: ") && newer.contains("format 1"), "{newer}");
    assert!(refusal(&format!("title = \"t\"\n{FOUR}")).contains("format"));
}

/// Without `heals_at` everything heals at the last event, and what that event begins would end there.
#[test]
fn what_would_be_undone_in_the_moment_it_begins_is_refused() {
    let lasting = [
        "cut = { from = [0], to = [1] }",
        "delay = { from = [0], to = [1], by = [1, 2] }",
        "partition = [[0], [1]]",
        "cut_from_clients = [0]",
        "crash = { replicas = [0] }",
        "crash = { replicas = [0], at_disk_operation = 3 }",
        "network = { loss = \"5%\" }",
        "fail_sync = [0]",
        "fill_disk = [0]",
    ];
    for what in lasting {
        let file =
            |top: &str, more: &str| format!("{HEAD}{top}{FOUR}[[event]]\nat = 2.5\n{what}\n{more}");
        let key = what.split(' ').next().expect("a key");
        let error = refusal(&file("", ""));
        assert!(error.starts_with("s.toml:7: ") && error.contains(key), "{error}");
        assert!(error.contains("by heals_at = 12.5 at the top"), "{error}");
        let at_once = "[[event]]\nat = 2.5\nclock = { replicas = [1], forward = 1 }\n";
        refusal(&file("", at_once));
        let heals_at = |text: &str| parsed(text).options.heals_at;
        assert_eq!(heals_at(&file("heals_at = 2.5\n", "")), Duration::from_millis(2_500));
        let later = "[[event]]\nat = 9\nmend = true\n";
        assert_eq!(heals_at(&file("", later)), Duration::from_secs(9));
    }
    let moment = |what: &str| format!("{HEAD}{FOUR}[[event]]\nat = 2\n{what}\n");
    for what in ["flip_state = [0]", "restart = [0]", "lose_disk = [0]", "rot = [0]"] {
        parsed(&moment(what));
    }
    let paused = parsed(&moment("pause = { replicas = [0], for = 5 }"));
    assert_eq!(paused.options.heals_at, Duration::from_secs(7), "a pause says how long it lasts");
}

#[test]
fn more_than_f_faulty_replicas_run_when_the_file_says_so() {
    let text = format!(
        "{HEAD}beyond_budget = true\n[[start]]\nat = 0\nhonest_node = 2\nfaulty_node = 2\n"
    );
    assert!(Scenario::parse("s.toml", &text).expect("it is allowed").beyond_budget);
}

/// A slow replica spends liveness, not the budget.
#[test]
fn slow_replicas_do_not_count_against_f() {
    let text =
        format!("{HEAD}[[start]]\nat = 0\nhonest_node = 2\nslow_nodes = 1\nfaulty_node = 1\n");
    Scenario::parse("s.toml", &text).expect("one of four is faulty");
}

/// A world that a swarm found can be read as a file, and the file is the same world.
#[test]
fn written_worlds_are_read_as_the_same_worlds() {
    for seed in (1..400).step_by(7) {
        let Scenario { options, text, .. } = swarm::scenario_of(Seed::new(seed));
        let read = Scenario::parse("s.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(format!("{:?}", read.options), format!("{options:?}"), "{text}");
        assert_eq!(read.seed.get(), seed);
    }
}

fn parsed(text: &str) -> Scenario {
    Scenario::parse("s.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// With no parameter given, at a start and as an event.
#[test]
fn every_kind_can_start_and_begin_later() {
    for kind in Behaviour::ALL {
        let name = kind.name();
        let three = if kind == Behaviour::Honest { "" } else { "honest_node = 3\n" };
        let count = if kind == Behaviour::Honest { 4 } else { 1 };
        let started = parsed(&format!("{HEAD}[[start]]\nat = 0\n{name} = {count}\n{three}"));
        let expected = (kind != Behaviour::Honest).then_some((Duration::ZERO, replica(0), kind));
        assert_eq!(behaviours(&started), expected.into_iter().collect::<Vec<_>>());
        let event =
            format!("[[event]]\nat = 2\nbehave = {{ replicas = [3], kind = \"{name}\" }}\n");
        let begun = parsed(&format!("{HEAD}{FOUR}{event}"));
        assert_eq!(behaviours(&begun), [(Duration::from_secs(2), replica(3), kind)]);
    }
}

/// Parameters as a file has them: words, numbers and lists.
#[test]
fn parameters_of_kinds_are_read_from_tables() {
    for (table, written) in [
        (
            "equivocating_primary = { count = 1, second = [2, 3], both = true }",
            "equivocating_primary:second=2+3,both=true",
        ),
        (
            "selectively_silent_node = { count = 1, to = 1, kinds = [\"prepare\", \"commit\"] }",
            "selectively_silent_node:to=1,kinds=prepare+commit",
        ),
        ("flooding_node = { count = 1, factor = 4 }", "flooding_node:factor=4"),
        ("faulty_node = { count = 1, phase = \"commit\" }", "faulty_node:phase=commit"),
        (
            "mutant = { count = 1, field = \"prepare.seq\", by = \"-1\" }",
            "mutant:field=prepare.seq,by=-1",
        ),
        (
            "huge_view_node = { count = 1, view = \"18446744073709551615\" }",
            "huge_view_node:view=18446744073709551615",
        ),
    ] {
        let scenario = parsed(&format!("{HEAD}[[start]]\nat = 0\n{table}\nhonest_node = 3\n"));
        let read: Vec<String> =
            behaviours(&scenario).into_iter().map(|(_, _, kind)| kind.to_string()).collect();
        assert_eq!(read, [written], "{table}");
    }
    let wrong = "[[start]]\nat = 0\nhonest_node = 3\nmutant = { count = 1, field = \"colour\" }\n";
    assert!(refusal(&format!("{HEAD}{wrong}")).contains("prepare.seq"));
}

#[test]
fn lying_clients_stand_in_the_workload() {
    let with = |lies: &str| format!("{HEAD}[workload]\nlying_clients = [{lies}]\n{FOUR}");
    let scenario = parsed(&with("\"two_operations\", \"primary_only\""));
    assert_eq!(scenario.options.lying_clients, ClientLie::ALL);
    let outcome = run(scenario.seed, &scenario.options);
    assert_eq!((outcome.verdict, outcome.counts.operations), (Verdict::Pass, 1));
    assert!(refusal(&with("\"truth\"")).contains("two_operations"));
}

fn behaviours(scenario: &Scenario) -> Vec<(Duration, ReplicaId, Behaviour)> {
    let timeline = scenario.options.timeline.iter();
    let behaviour = |(at, fault): &(Duration, Fault)| match fault {
        Fault::Behave(id, kind) => Some((*at, *id, *kind)),
        _ => None,
    };
    timeline.filter_map(behaviour).collect()
}
