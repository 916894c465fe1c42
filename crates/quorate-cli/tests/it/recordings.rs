//! A cluster that records its inputs, and the lab that replays them.

use crate::cluster::{Etcd, Running, eventually, is_alive, quorate, run, text};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Starts a replica that records.
fn start(home: &Path, log: &str) -> Running {
    let recordings = home.join("recordings");
    let arguments = ["replica", "--dir", str_of(home), "--record-inputs", str_of(&recordings)];
    Running::start(&arguments, &home.join(log)).0
}

/// Replays a recording. Returns the exit code and what was printed.
fn replay(home: &Path, recording: &Path) -> (Option<i32>, Value) {
    let arguments = ["lab", "replay", str_of(recording), "--dir", str_of(home), "--json"];
    let output = quorate().args(arguments).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout);
    (output.status.code(), printed.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

fn write(etcd: &Etcd, count: usize, round: &str) {
    for number in 0..count {
        let key = format!("{round}/{number}");
        eventually("a write is acknowledged", || etcd.put(&key, "value"));
    }
}

/// Waits until a process that was sent a signal is gone.
fn stop(replica: &Running, signal: Signal) {
    replica.signal(signal);
    eventually("it is gone", || (!is_alive(replica.child.id())).then_some(()));
}

fn status(dir: &Path) -> Value {
    let output = run(&["status", "--json", "--dir", str_of(dir)]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn recordings_of_a_view_change_and_a_crash_replay_identically_and_a_change_in_one_is_found() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    assert!(run(&["init", "--dir", str_of(&dir), "--local", "4"]).status.success());
    let homes: Vec<PathBuf> = (0..4).map(|id| dir.join(format!("replica-{id}"))).collect();
    let mut replicas: Vec<Running> = homes.iter().map(|home| start(home, "log")).collect();
    let gateway = dir.join("gateway");
    let arguments = ["gateway", "--dir", str_of(&gateway), "--listen", "127.0.0.1:0"];
    let (_gateway, endpoint) = Running::start(&arguments, &root.path().join("log"));
    let etcd = Etcd::connect(&endpoint);

    // Enough for several checkpoints, of which none is durable yet: the journal alone is left.
    write(&etcd, 300, "before");
    stop(&replicas[0], Signal::KILL);
    write(&etcd, 20, "without the primary");
    replicas[0] = start(&homes[0], "log-again");
    eventually("it takes part again", || {
        let row = &status(&dir)["replicas"][0];
        (row["active"] == true && row["behind"].as_u64() == Some(0)).then_some(())
    });
    write(&etcd, 20, "after");
    replicas.iter().for_each(|replica| stop(replica, Signal::TERM));

    for home in &homes {
        let recording = home.join("recordings/inputs-0");
        let (code, verdict) = replay(home, &recording);
        let was_killed = home == &homes[0];
        let expected = if was_killed { "identical up to the cut" } else { "identical" };
        assert_eq!((code, &verdict["verdict"]), (Some(0), &Value::from(expected)), "{verdict}");
        assert_eq!(verdict["cut"], was_killed, "{verdict}");
        assert!(verdict["inputs"].as_u64() > Some(300), "{verdict}");
        assert!(verdict["outputs_compared"].as_u64() > Some(300), "{verdict}");
        assert!(verdict["checkpoints_compared"].as_u64() > Some(0), "{verdict}");
        let has_changed_view = verdict["view"].as_u64() > Some(0);
        assert_eq!(has_changed_view, !was_killed, "{verdict}");
    }
    let first = homes[0].join("recordings/inputs-0");
    let arguments = ["lab", "replay", str_of(&first), "--dir", str_of(&homes[0])];
    let cut = quorate().args(arguments).output().unwrap();
    let said = text(&cut.stdout);
    let verdict = said.lines().last().unwrap_or_default();
    assert!(verdict.contains("identical up to input "), "{said}");
    assert!(verdict.contains(", where the recording was cut"), "{said}");

    let again = homes[0].join("recordings/inputs-1");
    let (code, verdict) = replay(&homes[0], &again);
    assert_eq!((code, &verdict["verdict"]), (Some(0), &Value::from("identical")), "{verdict}");
    assert!(verdict["records_recovered"].as_u64() > Some(0), "{verdict}");
    assert!(verdict["view"].as_u64() > Some(0), "{verdict}");

    let said = fs::read_to_string(homes[0].join("log")).unwrap();
    assert!(said.contains("every input is recorded"), "{said}");
    assert_eq!(fs::metadata(&again).unwrap().permissions().mode() & 0o777, 0o600);

    // One bit, in the middle of what happened: that start began with nothing, while most of the
    // other recording may be what the journal held.
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = root.path().join("changed");
    fs::write(&changed, bytes).unwrap();
    let (code, verdict) = replay(&homes[0], &changed);
    assert_eq!((code, &verdict["verdict"]), (Some(1), &Value::from("diverged")), "{verdict}");
    assert!(verdict["divergence"]["input"].as_u64() > Some(0), "{verdict}");

    let arguments = ["lab", "replay", str_of(&again), "--dir", str_of(&homes[1])];
    let others = quorate().args(arguments).output().unwrap();
    assert_eq!(others.status.code(), Some(2), "another replica's keys are of no use");
}
