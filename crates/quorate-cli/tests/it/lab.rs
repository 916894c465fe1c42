//! The simulator from the command line.

use crate::cluster::{run, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

fn original(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/original");
    root.join(name).display().to_string()
}

fn json(output: &Output) -> Value {
    let text = text(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs an original scenario with its report in `dir`.
fn run_into(dir: &Path, name: &str, more: &[&str]) -> Output {
    let (file, dir) = (original(name), dir.display().to_string());
    let mut arguments = vec!["lab", "run", &file, "--report", &dir];
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn default_run_of_the_python_program_takes_36_messages_and_leaves_a_report() {
    let root = tempfile::tempdir().unwrap();
    let output = run_into(root.path(), "honest.toml", &["--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = json(&output);
    assert_eq!(summary["verdict"], "pass");
    assert_eq!(summary["counts"]["per_request_with_self"], 36.0);
    assert_eq!(summary["counts"]["total_with_self"], 36);
    assert_eq!(summary["requests_completed"], 1);
    assert_eq!(summary["culprits"], Value::Array(Vec::new()));
    for file in ["scenario.toml", "trace.jsonl", "verdict.json", "report.html"] {
        assert!(root.path().join(file).is_file(), "{file}");
    }
    let trace = fs::read_to_string(root.path().join("trace.jsonl")).unwrap();
    assert!(trace.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let page = fs::read_to_string(root.path().join("report.html")).unwrap();
    assert!(
        page.contains("PRE-PREPARE") && !page.contains("http://") && !page.contains("https://")
    );
}

#[test]
fn report_is_replayed_bit_for_bit_and_a_changed_one_is_found_out() {
    let root = tempfile::tempdir().unwrap();
    assert!(run_into(root.path(), "byzantine_node.toml", &["--seed", "7"]).status.success());
    let dir = root.path().display().to_string();
    let output = run(&["lab", "replay", &dir, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(json(&output)["seed"], 7);
    let verdict = root.path().join("verdict.json");
    let hash = json(&output)["trace_hash"].as_str().unwrap().to_owned();
    let forged = fs::read_to_string(&verdict).unwrap().replace(&hash, "0123456789abcdef");
    fs::write(&verdict, forged).unwrap();
    let output = run(&["lab", "replay", &dir]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the trace differs"));
}

#[test]
fn scenario_that_is_wrong_is_refused_with_its_line_and_exit_code_2() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("wrong.toml");
    fs::write(&file, "format = 1\ntitle = \"t\"\n[[start]]\nat = 0\nhonest_nod = 4\n").unwrap();
    let output = run(&["lab", "run", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("wrong.toml:5: ") && error.contains("honest_node"), "{error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
}

#[test]
fn list_shows_what_can_be_run_beside_what_cannot() {
    let root = tempfile::tempdir().unwrap();
    let four = "[[start]]\nat = 0\nhonest_node = 4\n";
    let write = |name: &str, rest: &str| {
        let content = format!("format = 1\ntitle = \"{name}\"\n{rest}");
        fs::write(root.path().join(format!("{name}.toml")), content).unwrap();
    };
    write("good", four);
    write("bad", "");
    write("worse", "[[start]]\nat = 0\nhonest_nod = 4\n");
    let dir = root.path().to_str().unwrap();
    let output = run(&["lab", "list", dir]);
    assert_eq!(output.status.code(), Some(2));
    let (shown, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(shown.contains("good.toml") && shown.contains("honest_node"), "{shown}");
    assert!(!shown.contains("bad") && !shown.contains("worse"), "{shown}");
    let lines: Vec<&str> = errors.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("bad.toml:1: [[start]] missing"), "{errors}");
    assert!(lines[1].contains("worse.toml:5: unknown kind of node"), "{errors}");
    let listed = json(&run(&["lab", "list", dir, "--json"]));
    assert_eq!(listed["scenarios"].as_array().unwrap().len(), 1);
    assert_eq!(listed["refused"].as_array().unwrap().len(), 2);
}

/// Beside the reports, and not among the scenarios, or where it is told to.
#[test]
fn shrinker_writes_what_violates_the_same_property_into_the_folder_of_reports() {
    let root = tempfile::tempdir().unwrap();
    let file = original("../beyond/disks-set-back-n4.toml");
    let shrink = |more: &[&str]| {
        let arguments = [&["lab", "shrink", &file][..], more].concat();
        let mut command = crate::cluster::quorate();
        let output = command.current_dir(root.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    shrink(&[]);
    let written = root.path().join("lab-reports/disks-set-back-n4.min.toml");
    let smaller = fs::read_to_string(&written).unwrap();
    assert!(smaller.contains("property = \"no promises without memory\""), "{smaller}");
    shrink(&["--out", "a/b.toml"]);
    assert_eq!(fs::read_to_string(root.path().join("a/b.toml")).unwrap(), smaller);
    let report = root.path().join("report").display().to_string();
    let output = run(&["lab", "run", written.to_str().unwrap(), "--report", &report, "--json"]);
    let summary = json(&output);
    assert_eq!(summary["verdict"], "violation", "{summary}");
}

/// The columns of a table by their names, one map a row.
fn rows(csv: &Path) -> Vec<BTreeMap<String, String>> {
    let table = fs::read_to_string(csv).unwrap();
    let mut lines = table.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines.map(|row| names.iter().cloned().zip(row).collect()).collect()
}

#[test]
fn sweep_counts_2n_squared_plus_n_messages_and_finds_that_curve() {
    let root = tempfile::tempdir().unwrap();
    let csv = root.path().join("out.csv");
    let file = original("honest.toml");
    let set = ["lab", "sweep", &file, "--set", "n=4,7,16", "--seeds", "6", "--csv"];
    let output = run(&[&set[..], &[csv.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{output:?}");
    let runs = rows(&csv);
    assert_eq!(runs.len(), 18);
    let seeds: BTreeSet<&str> = runs.iter().map(|row| row["seed"].as_str()).collect();
    assert_eq!(seeds.len(), 6);
    let medians = rows(&root.path().join("out-medians.csv"));
    let counts: Vec<&str> =
        medians.iter().map(|row| row["messages_per_request"].as_str()).collect();
    assert_eq!(counts, ["36", "105", "528"]);
    let number = |row: &BTreeMap<String, String>, name: &str| row[name].parse::<f64>().unwrap();
    for row in &medians {
        assert_eq!((row["runs"].as_str(), row["passed"].as_str()), ("6", "6"));
        let latency = "median_latency_seconds";
        let (low, high) = (number(row, &format!("{latency}_low")), format!("{latency}_high"));
        let (median, high) = (number(row, latency), number(row, &high));
        assert!(low < median && median < high, "{row:?}");
    }
    let svg = fs::read_to_string(root.path().join("out.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("2 n² + 1 n"), "{svg}");
}

#[test]
fn sweep_on_processes_says_how_near_the_simulator_comes() {
    let root = tempfile::tempdir().unwrap();
    let csv = root.path().join("out.csv");
    let file = original("honest.toml");
    let set = ["lab", "sweep", &file, "--set", "n=4", "--processes", "--csv"];
    let output = run(&[&set[..], &[csv.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{output:?}");
    let runs = rows(&csv);
    let places: Vec<&str> = runs.iter().map(|row| row["place"].as_str()).collect();
    assert_eq!(places, ["simulator", "processes"]);
    assert!(runs.iter().all(|row| row["messages_per_request"] == "36"), "{runs:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let line = told.lines().find(|line| line.starts_with("n=4: ")).expect("a comparison");
    assert!(line.contains("predicted") && line.contains("within 30 %"), "{line}");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("no figure: one value of n makes no axis"), "{notes}");
}

#[test]
fn sweep_refuses_what_makes_no_scenario_before_the_first_run() {
    let root = tempfile::tempdir().unwrap();
    let csv = root.path().join("out.csv");
    let file = original("honest.toml");
    for (set, told) in [
        ("n=4,many", "n is a number"),
        ("start.7.honest_node=4", "there is no place start.7.honest_node"),
        ("workload.clients=1,none", "with workload.clients=none"),
        ("n=4 --set n=7", "n is set twice"),
    ] {
        let csv = csv.to_str().unwrap();
        let set: Vec<&str> = ["--set"].into_iter().chain(set.split(' ')).collect();
        let output = run(&[&["lab", "sweep", &file, "--csv", csv], &set[..]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(told), "{set:?}: {error}");
        assert!(!Path::new(csv).exists());
    }
    for (csv, told) in [("out.svg", "must end in .csv"), ("none/out.csv", "there is no folder")] {
        let csv = root.path().join(csv).display().to_string();
        let output = run(&["lab", "sweep", &file, "--set", "n=4", "--csv", &csv]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(told), "{csv}: {error}");
    }
}

#[test]
fn swarm_says_how_many_worlds_it_ran_and_shares_them_among_shards() {
    let root = tempfile::tempdir().unwrap();
    let report = root.path().display().to_string();
    let mut runs = 0;
    for shard in ["0/2", "1/2"] {
        let arguments = [
            "lab",
            "swarm",
            "--first-seed",
            "100",
            "--seeds",
            "7",
            "--shard",
            shard,
            "--report",
            &report,
            "--json",
        ];
        let output = run(&arguments);
        let summary = json(&output);
        assert_eq!(summary["violations"], 0, "{summary}");
        runs += summary["runs"].as_u64().unwrap();
    }
    assert_eq!(runs, 7);
}
