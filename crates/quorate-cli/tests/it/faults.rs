//! Replicas that are killed, all of them at once, and one whose disk was lost.

use crate::cluster::{Up, eventually, is_alive, send, text};
use rustix::process::Signal;
use std::fs;

#[test]
fn clients_go_on_when_the_primary_is_killed_and_it_comes_back_by_itself() {
    let up = Up::start(&[]);
    let before = up.wait_until_whole();
    let primary = before["cluster"]["primary"].as_u64().unwrap();
    let pids = up.pids();
    send(pids[primary as usize], Signal::KILL);
    for number in 0..20 {
        let key = format!("after/{number}");
        eventually("a write is acknowledged", || up.etcd.put(&key, "v"));
    }
    let after = up.wait_until_whole();
    assert!(after["cluster"]["view"].as_u64() > before["cluster"]["view"].as_u64(), "{after}");
    assert!(up.said().contains(&format!("replica {primary} died")), "{}", up.said());
    assert_eq!(after["cluster"]["faults_tolerated_now"], 1);
}

#[test]
fn every_acknowledged_write_is_there_after_all_were_killed_at_once() {
    let up = Up::start(&[]);
    let mut acknowledged = 0;
    for round in 0..3 {
        for number in 0..30 {
            let (key, value) = (format!("k/{acknowledged}"), format!("{round}-{number}"));
            eventually("a write is acknowledged", || up.etcd.put(&key, &value));
            acknowledged += 1;
        }
        up.pids().into_iter().for_each(|pid| send(pid, Signal::KILL));
        for number in 0..acknowledged {
            let value = format!("{}-{}", number / 30, number % 30);
            let found = eventually("a read is answered", || up.etcd.get(&format!("k/{number}")));
            assert_eq!(found, Some(value), "after kill {round}");
        }
    }
}

#[test]
fn replica_whose_disk_was_emptied_does_not_vote_again_and_says_why() {
    let up = Up::start(&[]);
    up.wait_until_whole();
    let pid = up.pids()[2];
    let home = up.dir().join("replica-2");
    // The others keep running, so they remember it.
    send(pid, Signal::STOP);
    fs::remove_dir_all(home.join("data")).unwrap();
    fs::remove_file(home.join("started")).unwrap();
    send(pid, Signal::KILL);
    let reason = eventually("it stops for good", || fs::read_to_string(home.join("halted")).ok());
    assert!(reason.contains("lost or rolled back"), "{reason}");
    eventually("its watcher says so", || {
        up.said().contains("replica 2 is not started again").then_some(())
    });
    let again = crate::cluster::run(&["replica", "--dir", home.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("stopped for good"), "{}", text(&again.stderr));
    eventually("the others go on", || up.etcd.put("still", "here"));
}

#[test]
fn replica_that_refuses_to_start_is_not_started_again_and_again() {
    let up = Up::start(&[]);
    up.wait_until_whole();
    let pid = up.pids()[1];
    send(pid, Signal::STOP);
    fs::remove_dir_all(up.dir().join("replica-1/data")).unwrap();
    send(pid, Signal::KILL);
    eventually("its watcher gives up", || {
        up.said().contains("replica 1 is not started again").then_some(())
    });
    let said = up.said();
    assert!(said.contains("(signal: 9 (SIGKILL)): see "), "{said}");
    assert!(said.contains("held this replica's memory and does not any more"), "{said}");
}

#[test]
fn replica_whose_journal_alone_is_gone_does_not_start() {
    let up = Up::start(&["--no-restart"]);
    up.wait_until_whole();
    let pid = up.pids()[1];
    let home = up.dir().join("replica-1");
    send(pid, Signal::KILL);
    eventually("it is gone", || (!is_alive(pid)).then_some(()));
    fs::remove_dir_all(home.join("data")).unwrap();
    let output = crate::cluster::run(&["replica", "--dir", home.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("held this replica's memory and does not any more"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
}

#[test]
fn no_replica_outlives_the_one_who_watches_over_it() {
    let mut up = Up::start(&[]);
    let pids = up.pids();
    up.up.signal(Signal::KILL);
    up.up.child.wait().unwrap();
    for pid in pids {
        eventually("it has ended", || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn told_to_stop_everything_stops_cleanly_and_the_cluster_is_there_the_next_time() {
    let mut up = Up::start(&[]);
    eventually("a write is acknowledged", || up.etcd.put("kept", "yes"));
    let pids = up.pids();
    up.up.signal(Signal::TERM);
    assert!(up.up.child.wait().unwrap().success());
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));

    let dir = up.dir();
    let arguments = ["up", "--dir", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (again, endpoint) =
        crate::cluster::Running::start(&arguments, &up.folder.path().join("log2"));
    let etcd = crate::cluster::Etcd::connect(&endpoint);
    let found = eventually("a read is answered", || etcd.get("kept"));
    assert_eq!(found.as_deref(), Some("yes"));
    drop(again);
}
