//! Scenarios on real replicas.

use crate::cluster::{eventually, is_alive, quorate, run, send, text};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn originals() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/original");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The command that runs a scenario on processes and leaves its report in `dir`.
fn on_processes(file: &Path, dir: &Path, more: &[&str]) -> Command {
    let mut command = quorate();
    command.args(["lab", "run", "--processes", "--json", "--report"]);
    command.arg(dir).arg(file).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the text of a scenario, and returns its exit code and what it came to.
fn outcome(root: &Path, scenario: &str) -> (Option<i32>, Value) {
    let file = root.join("scenario.toml");
    fs::write(&file, scenario).unwrap();
    let output = on_processes(&file, &root.join("report"), &[]).output().unwrap();
    let summary = serde_json::from_slice(&output.stdout);
    (output.status.code(), summary.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

/// Every process whose folder is below `root`, by what the replicas wrote down.
fn pids_below(root: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let folder = root.display().to_string();
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_below = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = text(&line);
        line.contains(&folder) && line.contains("replica\0")
    };
    numbers.filter(is_below).collect()
}

/// They wait most of the time, so they run at the same time.
#[test]
fn every_original_passes_on_processes_as_it_does_in_the_simulator() {
    let root = tempfile::tempdir().unwrap();
    let started: Vec<(PathBuf, Child)> = originals()
        .into_iter()
        .map(|file| {
            let dir = root.path().join(file.file_stem().unwrap());
            let child = on_processes(&file, &dir, &[]).spawn().unwrap();
            (file, child)
        })
        .collect();
    assert_eq!(started.len(), 10);
    for (file, child) in started {
        let output = child.wait_with_output().unwrap();
        let said = format!("{}: {}{}", file.display(), text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{said}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["verdict"], "pass", "{said}");
        assert_eq!(summary["misses"], Value::Array(Vec::new()), "{said}");
        for unknown in ["trace_hash", "virtual_seconds"] {
            assert_eq!(summary.get(unknown), Some(&Value::Null), "{said}");
        }
        let dir = root.path().join(file.file_stem().unwrap());
        let left = ["scenario.toml", "verdict.json", "report.html", "trace.jsonl", "history.txt"];
        for name in left.iter().chain(&["cluster/replica-0/log", "cluster/replica-0/record-0"]) {
            assert!(dir.join(name).is_file(), "{name}: {said}");
        }
        assert_eq!(
            fs::read_to_string(dir.join("scenario.toml")).unwrap(),
            fs::read_to_string(&file).unwrap()
        );
        assert_eq!(pids_below(&dir), Vec::<u32>::new(), "{said}");
    }
}

/// The slow node's replies come 20 seconds late, or two if all times are a tenth.
#[test]
fn times_can_be_scaled_and_the_slow_are_still_found_and_the_messages_counted() {
    let root = tempfile::tempdir().unwrap();
    let file = originals().into_iter().find(|file| file.ends_with("slow_nodes.toml")).unwrap();
    let more = ["--time-scale", "0.1"];
    let output = on_processes(&file, &root.path().join("report"), &more).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &summary["counts"];
    let four = ["pre_prepare", "prepare", "commit", "reply"].map(|kind| counts[kind].as_u64());
    assert_eq!(four, [Some(3), Some(9), Some(12), Some(4)], "{summary}");
    assert_eq!(counts["total_with_self"], 36, "{summary}");
    assert_eq!(summary["requests_completed"], 1, "{summary}");
    assert_eq!(summary["time_scale"], 0.1, "{summary}");
    assert_eq!(summary["culprits"][0]["replica"], 3, "{summary}");
    assert!(summary["real_seconds"].as_f64() > Some(2.1), "{summary}");
}

const HEAD: &str = "format = 1\ntitle = \"t\"\n[[start]]\nat = 0\nhonest_node = 4\n";

#[test]
fn crashes_pauses_and_lies_happen_to_processes_and_the_liar_is_convicted() {
    let root = tempfile::tempdir().unwrap();
    let scenario = format!(
        "heals_at = 5\n{HEAD}\
         [cluster]\nview_change_timeout = 1\n\
         [workload]\nclients = 3\noperations = 120\nthink = \"100ms\"\n\
         [[event]]\nat = 0.1\nbehave = {{ replicas = [0], kind = \"equivocating_primary\" }}\n\
         [[event]]\nat = 2.5\ncrash = {{ replicas = [3] }}\n\
         [[event]]\nat = 3.5\nrestart = [3]\n\
         [[event]]\nat = 4\npause = {{ replicas = [2], for = \"500ms\" }}\n\
         [expect]\nproved = [0]\n"
    );
    let (code, summary) = outcome(root.path(), &scenario);
    assert_eq!(code, Some(0), "{summary}");
    assert!(summary["view_changes"].as_u64() >= Some(1), "{summary}");
    let cluster = root.path().join("report/cluster");
    assert!(cluster.join("replica-3/record-1").is_file(), "it was started again");
    let trace = fs::read_to_string(root.path().join("report/trace.jsonl")).unwrap();
    for fault in ["replica 3 crashes", "replica 3 starts", "replica 2 is suspended"] {
        assert!(trace.contains(fault), "{fault}");
    }
    let kept = (0..4).find_map(|id| {
        let folder = cluster.join(format!("replica-{id}/evidence"));
        Some(fs::read_dir(folder).ok()?.next()?.unwrap().path())
    });
    let (evidence, public) = (kept.unwrap(), cluster.join("cluster.toml"));
    let arguments =
        ["verify", evidence.to_str().unwrap(), "--cluster", public.to_str().unwrap(), "--json"];
    let conviction: Value = serde_json::from_slice(&run(&arguments).stdout).unwrap();
    assert_eq!(conviction["replica"], 0);
}

#[test]
fn what_stands_still_and_what_is_not_as_expected_end_with_exit_code_1() {
    let root = tempfile::tempdir().unwrap();
    let scenario = "format = 1\ntitle = \"t\"\nbeyond_budget = true\n\
                    [[start]]\nat = 0\nhonest_node = 2\nnon_responding_node = 2\n\
                    [expect]\nwithin = 3\n";
    let (code, summary) = outcome(root.path(), scenario);
    assert_eq!((code, &summary["verdict"]), (Some(1), &Value::from("no_progress")), "{summary}");
    assert!(summary["explanation"].as_str().unwrap().contains("1 were not answered"), "{summary}");
    let (code, summary) = outcome(root.path(), &format!("{HEAD}[expect]\nview = 1\n"));
    assert_eq!((code, &summary["verdict"]), (Some(1), &Value::from("pass")), "{summary}");
    assert_eq!(summary["misses"][0], "expected view 1 at the end, found 0", "{summary}");
}

/// f+1 replicas that lie alike are believed by a client that believes f+1: the checkers must see it.
#[test]
fn collusion_beyond_the_budget_is_a_violation_on_processes_too() {
    let root = tempfile::tempdir().unwrap();
    let scenario = "format = 1\ntitle = \"t\"\nbeyond_budget = true\n\
                    [client]\nbelieves = \"weak_quorum\"\n\
                    [workload]\nclients = 4\noperations = 80\nkeys = 1\n\
                    [[start]]\nat = 0\nhonest_node = 1\nfaulty_replies_node = 3\n\
                    [expect]\nverdict = \"violation\"\n";
    let (code, summary) = outcome(root.path(), scenario);
    assert_eq!((code, &summary["verdict"]), (Some(1), &Value::from("violation")), "{summary}");
    assert_eq!(summary["misses"], Value::Array(Vec::new()), "{summary}");
}

#[test]
fn what_processes_cannot_honour_is_refused_by_name_before_anything_starts() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("refused.toml");
    for (more, place, key) in [
        ("[network]\nloss = \"5%\"\n", ":7: ", "network.loss"),
        ("[disk]\nsync = [1, 2]\n", ":7: ", "disk.sync"),
        ("[[event]]\nat = 1\nclock = { replicas = [1], back = 3 }\n", ":8: ", "event.clock"),
        (
            "[[event]]\nat = 1\ncrash = { replicas = [1], how = \"power\" }\n\
             [[event]]\nat = 2\nrestart = [1]\n",
            ":8: ",
            "event.crash.how",
        ),
    ] {
        fs::write(&file, format!("{HEAD}{more}")).unwrap();
        let dir = root.path().join("report");
        let output = on_processes(&file, &dir, &[]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["refused.toml", place, key, "without --processes"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty() && !dir.exists(), "{said}");
    }
    fs::write(&file, HEAD).unwrap();
    let file = file.to_str().unwrap();
    for wrong in [&["--time-scale", "0.5"][..], &["--processes", "--time-scale", "0"]] {
        let output = run(&[&["lab", "run", file], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
}

#[test]
fn no_process_outlives_a_run_that_is_interrupted_while_one_is_suspended() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("scenario.toml");
    let more = "[[event]]\nat = 0.1\npause = { replicas = [2], for = 600 }\n";
    fs::write(&file, format!("heals_at = 700\n{HEAD}{more}")).unwrap();
    for signal in [Signal::INT, Signal::KILL] {
        let dir = root.path().join("report");
        let mut child = on_processes(&file, &dir, &[]).spawn().unwrap();
        let is_stopped = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            status.contains(") T ")
        };
        let pids = eventually("one of four is suspended", || {
            let pids = pids_below(&dir);
            (pids.len() == 4 && pids.iter().any(is_stopped)).then_some(pids)
        });
        send(child.id(), signal);
        let code = child.wait().unwrap().code();
        assert_eq!(code, (signal == Signal::INT).then_some(2));
        for pid in pids {
            eventually("it has ended", || (!is_alive(pid)).then_some(()));
        }
    }
}
