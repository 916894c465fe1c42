//! `quorate bench`: what it writes, and what it refuses. How fast anything is decides no test.

use crate::cluster::{quorate, run, text};
use std::path::Path;
use std::process::Command;

/// The shortest run of some suites, with its results in this folder.
fn shortest(out: &Path, suites: &[&str]) -> Command {
    let mut command = quorate();
    command.arg("bench").args(suites).args(["--json", "--span", "100ms", "--repeats", "1"]);
    command.arg("--out").arg(out);
    command
}

fn rows(json: &serde_json::Value) -> Vec<(&str, f64)> {
    let rows = json["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["workload"].as_str().unwrap(), row["ops_per_second"].as_f64().unwrap()))
        .collect()
}

#[test]
fn measures_are_written_as_a_page_and_as_json_and_leave_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = shortest(&out, &["micro"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows(&json);
    let names: Vec<&str> = rows.iter().map(|(workload, _)| *workload).collect();
    let expected = ["0/0", "4/0", "0/4"];
    let ways = ["read-write", "read-only"];
    let expected: Vec<String> =
        ways.iter().flat_map(|way| expected.map(|size| format!("{size} {way}"))).collect();
    let alone = expected.iter().map(|name| format!("{name}, unreplicated"));
    assert_eq!(names, alone.chain(expected.iter().cloned()).collect::<Vec<_>>());
    for row in json["rows"].as_array().unwrap().iter().skip(expected.len()) {
        assert!(row["also"]["osdi99"].as_f64().unwrap() > 1.0, "what the papers found: {row}");
    }
    assert!(rows.iter().all(|(_, ops)| *ops > 0.0), "{rows:?}");
    assert!(json["baseline"]["echo_ops"].as_f64().unwrap() > 0.0);
    let file = std::fs::read(out.join("bench.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&file).unwrap(), json);
    assert!(std::fs::read_to_string(out.join("bench.html")).unwrap().contains("0/4 read-only"));
    assert!(std::fs::read_to_string(out.join("bench.md")).unwrap().contains("| 0/4 read-only |"));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 3, "no replica's folder is left");
}

#[test]
fn without_an_etcd_it_is_not_measured_and_the_gateway_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shortest(folder.path(), &["kv"]);
    let output = command.env("PATH", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("there is no etcd"), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows(&json);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows.iter().all(|(workload, ops)| workload.contains("gateway") && *ops > 0.0));
    let goals = json["goals"].as_array().unwrap();
    let beside_etcd = goals.iter().filter(|goal| goal["id"] == "P5" || goal["id"] == "P6");
    assert!(beside_etcd.clone().count() > 0);
    assert!(
        beside_etcd.into_iter().all(|goal| goal["value"].is_null() && goal["met_floor"] == false)
    );
}

#[test]
fn clusters_of_several_sizes_are_measured_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = shortest(folder.path(), &["scale"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows(&json);
    let sizes: Vec<&str> = rows.iter().filter_map(|row| row.0.rsplit(' ').next()).collect();
    assert_eq!(sizes, ["4", "7", "10", "13"]);
    assert!(rows.iter().all(|(_, ops)| *ops > 0.0), "{rows:?}");
}

#[test]
fn faults_are_measured_beside_the_same_load_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let output = shortest(folder.path(), &["faults"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = json["rows"].as_array().unwrap();
    let row = |workload: &str| {
        let found = rows.iter().find(|row| row["workload"].as_str().unwrap().contains(workload));
        found.unwrap_or_else(|| panic!("no row about {workload}"))
    };
    assert!(row("fault-free")["ops_per_second"].as_f64().unwrap() > 0.0);
    for fault in ["silent", "nobody proposed", "wrong results", "90 %", "floods"] {
        let row = row(fault);
        assert_eq!(row["ratio_of"], "fault-free", "{row}");
        assert!(row["ops_per_second"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert!(row("floods")["also"]["flood_per_second"].as_f64().unwrap() > 0.0);
    let killed = row("killed");
    assert!(killed["also"]["view_changes"].as_f64().unwrap() >= 1.0, "{killed}");
    assert!(killed["longest_gap_ms"].as_f64().unwrap() > 0.0, "{killed}");
    let idle = row("idle view change");
    assert!(idle["also"]["view_change_us"].as_f64().unwrap() > 0.0, "{idle}");
    let goals = json["goals"].as_array().unwrap().iter();
    let view_changes: Vec<_> = goals.filter(|goal| goal["id"] == "P10").collect();
    assert_eq!(view_changes.len(), 2);
    assert!(view_changes.iter().all(|goal| goal["value"].as_f64().unwrap() > 0.0));
}

#[test]
fn few_keys_are_measured_and_meet_no_goal_about_a_million() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shortest(folder.path(), &["state"]);
    let output = command.args(["--keys", "3000"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row["ops_per_second"].as_f64().unwrap() > 0.0), "{rows:?}");
    let found = |name: &str| rows.iter().find_map(|row| row["also"][name].as_f64()).unwrap();
    assert!(found("memory_of_data") > 1.0, "a replica holds all of its data in memory");
    assert!(found("transfer_mb_per_s") > 0.0);
    assert!(found("restart_s") > 0.0);
    let goals = json["goals"].as_array().unwrap().iter();
    let of_a_million = goals.filter(|goal| goal["id"] == "P11" || goal["id"] == "P12");
    assert!(of_a_million.into_iter().all(|goal| goal["value"].is_null()));
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("cluster");
    let made = run(&["init", "--local", "4", "--dir", cluster.to_str().unwrap()]);
    assert!(made.status.success());
    let mut in_a_cluster = shortest(&cluster, &["micro"]);
    let left = folder.path().join("left");
    std::fs::create_dir_all(left.join("micro")).unwrap();
    let mut interrupted = shortest(&left, &["micro"]);
    let program = quorate().get_program().to_owned();
    let mut too_many = Command::new("sh");
    let limited = r#"ulimit -n 256; exec "$0" bench throughput --clients-max 128 --out "$1""#;
    too_many.args(["-c", limited]).arg(program).arg(folder.path().join("many"));
    for (command, said) in [
        (&mut in_a_cluster, "is the folder of a cluster"),
        (&mut interrupted, "left from a run that was interrupted"),
        (&mut too_many, "128 clients need 1024 file descriptors, and 256 are allowed"),
    ] {
        let output = command.output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
        assert!(output.stdout.is_empty());
    }
}
