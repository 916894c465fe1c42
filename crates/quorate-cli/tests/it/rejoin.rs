//! A replica whose data folder was lost or rolled back, and which rejoins.

use crate::cluster::{Running, Up, eventually, is_alive, run, send, text};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Kills a replica of the cluster and waits until it is gone.
fn kill(up: &Up, id: usize) {
    let pid = up.pids()[id];
    send(pid, Signal::KILL);
    eventually("it is gone", || (!is_alive(pid)).then_some(()));
}

fn home(up: &Up, id: u32) -> PathBuf {
    up.dir().join(format!("replica-{id}"))
}

fn start(home: &Path, more: &[&str]) -> Running {
    let arguments = [&["replica", "--dir", home.to_str().unwrap()], more].concat();
    Running::start(&arguments, &home.join("log")).0
}

fn role(status: &Value, id: usize) -> &Value {
    &status["replicas"][id]["role"]
}

fn set_aside(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("data-lost-")).collect()
}

#[test]
fn emptied_replica_rejoins_an_idle_cluster_which_then_lives_on_its_votes() {
    let up = Up::start(&["--no-restart"]);
    for number in 0..20 {
        eventually("a write is acknowledged", || up.etcd.put(&format!("k/{number}"), "before"));
    }
    up.wait_until_whole();
    kill(&up, 2);
    let home = home(&up, 2);
    fs::remove_dir_all(home.join("data")).unwrap();
    let refused = run(&["replica", "--dir", home.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--rejoin"), "{}", text(&refused.stderr));

    let replica = start(&home, &["--rejoin"]);
    let status = up.wait_until_whole();
    assert!(role(&status, 2) == "backup" || role(&status, 2) == "primary", "{status}");
    assert!(status["cluster"]["view"].as_u64() > Some(0), "all have left the views it knew");
    kill(&up, 0);
    eventually("a write is acknowledged with its vote", || up.etcd.put("after", "yes"));
    let found = eventually("a read is answered", || up.etcd.get("k/7"));
    assert_eq!(found.as_deref(), Some("before"));

    // From now on it starts as ever, and keeps its memory.
    replica.signal(Signal::TERM);
    eventually("it is gone", || (!is_alive(replica.child.id())).then_some(()));
    let refused = run(&["replica", "--dir", home.to_str().unwrap(), "--rejoin"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("without --rejoin"), "{}", text(&refused.stderr));
    let _again = start(&home, &[]);
    eventually("a write is acknowledged with its vote", || up.etcd.put("again", "yes"));
}

#[test]
fn rolled_back_replica_is_found_out_and_rejoins_with_the_old_folder_set_aside() {
    let up = Up::start(&["--no-restart"]);
    eventually("a write is acknowledged", || up.etcd.put("k", "v"));
    up.wait_until_whole();
    kill(&up, 1);
    let home = home(&up, 1);
    let (data, copy) = (home.join("data"), home.join("copy"));
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&data).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let started_since = start(&home, &[]);
    up.wait_until_whole();
    started_since.signal(Signal::KILL);
    eventually("it is gone", || (!is_alive(started_since.child.id())).then_some(()));
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();

    let _rolled_back = start(&home, &[]);
    let reason = eventually("it is found out", || fs::read_to_string(home.join("halted")).ok());
    assert!(reason.contains("--rejoin"), "{reason}");
    let _rejoined = eventually("its process has gone", || {
        is_unlocked(&data).then(|| start(&home, &["--rejoin"]))
    });
    up.wait_until_whole();
    let aside = set_aside(&home);
    assert_eq!(aside.len(), 1);
    assert!(aside[0].join("halted").exists() && aside[0].join("snapshot.redb").exists());
    assert!(!home.join("halted").exists());
    kill(&up, 0);
    eventually("a write is acknowledged with its vote", || up.etcd.put("after", "yes"));
}

/// Whether no process has the folder open.
fn is_unlocked(data: &Path) -> bool {
    let lock = fs::File::open(data.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}
