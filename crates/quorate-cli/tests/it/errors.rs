//! What goes wrong says what failed, on what, and what to do, in one line and with its exit code.

use crate::cluster::{Up, eventually, run, text};
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stdout));
}

#[test]
fn folder_without_a_cluster_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("none");
    let dir = dir.to_str().unwrap();
    refused(&["status", "--dir", dir], 2, &["no cluster in", "none", "`quorate up"]);
    refused(&["heal", "0", "--dir", dir], 2, &["no cluster in"]);
    refused(&["replica", "--dir", dir], 2, &["cluster.toml: there is no such file; get"]);
    refused(&["verify", "no-file", "--cluster", "no-cluster"], 2, &["no-cluster"]);
}

#[test]
fn status_of_a_cluster_that_is_down_has_one_exit_code_in_both_formats() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    let dir = dir.to_str().unwrap();
    assert!(run(&["init", "--local", "4", "--dir", dir]).status.success());
    for more in [&[][..], &["--json"]] {
        let output = run(&[&["status", "--dir", dir], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(text(&output.stderr).contains("no replica answers; `quorate up"), "{more:?}");
        assert!(text(&output.stdout).contains("replicas"), "{more:?}");
    }
    let shown = text(&run(&["status", "--dir", dir]).stdout);
    assert!(shown.contains("; view and primary unknown; "), "{shown}");
    let json = text(&run(&["status", "--dir", dir, "--json"]).stdout);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(status["cluster"]["view"].is_null() && status["cluster"]["primary"].is_null());
    let gateway = format!("{dir}/gateway");
    let next = format!("`quorate gateway --dir {gateway}` runs");
    refused(&["status", "--dir", &gateway], 2, &["the folder of a gateway", &next]);
}

#[test]
fn what_cannot_be_replayed_or_measured_is_refused_with_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (none, empty, half) = (at("none"), at("empty"), at("half"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&half).unwrap();
    fs::write(format!("{half}/scenario.toml"), "").unwrap();
    let words = ["none, which should be the folder of a report, a scenario file or a recording"];
    refused(&["lab", "replay", &none], 2, &words);
    refused(&["lab", "replay", &empty], 2, &["no report of a run in", "`quorate lab run` wrote"]);
    let next = format!("`quorate lab run {half}/scenario.toml --report {half}`");
    refused(&["lab", "replay", &half], 2, &["has no verdict.json", &next]);
    refused(&["lab", "calibrate", "--disk", &none], 2, &["there is no folder", "--disk"]);
}

#[test]
fn corrupt_configuration_is_reported_with_its_line_and_an_exposed_key_with_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    let path = dir.to_str().unwrap();
    assert!(run(&["init", "--local", "4", "--dir", path]).status.success());
    refused(&["init", "--local", "4", "--dir", path], 2, &["never overwritten"]);
    let home = dir.join("replica-0");
    let replica = home.to_str().unwrap().to_owned();
    let keys = home.join("keys");
    fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused(&["replica", "--dir", &replica], 2, &["chmod 600"]);
    fs::write(home.join("cluster.toml"), "format = 1\nname = [\n").unwrap();
    refused(&["replica", "--dir", &replica], 2, &["cluster.toml, line "]);
}

#[test]
fn members_that_make_no_cluster_are_not_a_file_to_correct() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for id in 0..4 {
        let address = format!("127.0.0.1:700{id}");
        assert!(
            run(&["keygen", "--dir", &at(&id.to_string()), "--addr", &address]).status.success()
        );
    }
    let cards: Vec<String> = (0..4).map(|id| at(&format!("{id}/card.toml"))).collect();
    let folder = at("cluster");
    let mut arguments = vec!["init", "--dir", &folder];
    cards[..3].iter().for_each(|card| arguments.extend(["--card", card]));
    refused(&arguments, 2, &["make no cluster", "at least 4 replicas"]);
    arguments.extend(["--card", &cards[3]]);
    let output = run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no gateway's card"), "{}", text(&output.stderr));
}

#[test]
fn cluster_whose_making_was_interrupted_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    let home = dir.join("replica-0");
    let made = run(&["keygen", "--dir", home.to_str().unwrap(), "--addr", "127.0.0.1:7000"]);
    assert!(made.status.success());
    refused(&["up", "--dir", dir.to_str().unwrap()], 2, &["not finished", "remove what is there"]);
}

#[test]
fn port_in_use_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    assert!(run(&["init", "--local", "4", "--dir", dir.to_str().unwrap()]).status.success());
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let home = dir.join("replica-0");
    fs::write(home.join("node.toml"), format!("listen = \"{address}\"\n")).unwrap();
    refused(&["replica", "--dir", home.to_str().unwrap()], 2, &[&address, "in use"]);
    let gateway = dir.join("gateway");
    let gateway = gateway.to_str().unwrap();
    refused(&["gateway", "--dir", gateway, "--listen", &address], 2, &[&address, "in use"]);
    let words = ["other machines", "--expose"];
    refused(&["gateway", "--dir", gateway, "--listen", "0.0.0.0:0"], 2, &words);
    refused(&["up", "--dir", dir.to_str().unwrap(), "--listen", "0.0.0.0:0"], 2, &words[..1]);
}

#[test]
fn only_a_laboratory_can_be_told_to_lie() {
    let up = Up::start(&[]);
    let dir = up.dir();
    let dir = dir.to_str().unwrap();
    refused(&["break", "0", "non_responding_node", "--dir", dir], 2, &["not a laboratory"]);
    refused(&["break", "9", "non_responding_node", "--dir", dir], 2, &["no replica 9"]);
    refused(&["up", "--lab", "--dir", dir], 2, &["laboratory"]);
    refused(&["up", "--replicas", "7", "--dir", dir], 2, &["has 4 replicas"]);
    refused(&["up", "--dir", dir, "--listen", "127.0.0.1:0"], 2, &["runs already"]);
    let gateway = up.dir().join("gateway");
    let gateway = gateway.to_str().unwrap();
    refused(&["gateway", "--dir", gateway, "--listen", "127.0.0.1:0"], 2, &["another process"]);
    eventually("the first gateway still serves", || up.etcd.put("still", "here"));
    let replica = up.dir().join("replica-0");
    let twice = run(&["replica", "--dir", replica.to_str().unwrap()]);
    assert_eq!(twice.status.code(), Some(2), "{}", text(&twice.stderr));
}

#[test]
fn laboratory_misbehaves_heals_and_shows_it() {
    let up = Up::start(&["--lab"]);
    let dir = up.dir();
    let dir = dir.to_str().unwrap();
    let primary = up.wait_until_whole()["cluster"]["primary"].to_string();
    let told = run(&["break", &primary, "non_responding_node", "--dir", dir]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    eventually("the others replace it", || up.etcd.put("k", "v"));
    let status = eventually("the view has changed", || {
        Some(up.status()).filter(|status| status["cluster"]["view"].as_u64() > Some(0))
    });
    assert_eq!(status["cluster"]["faults_tolerated_now"], 0);
    assert!(run(&["heal", &primary, "--dir", dir]).status.success());
    let healed = up.wait_until_whole();
    assert_eq!(healed["cluster"]["faults_tolerated_now"], 1);
    for key in ["replicas", "f", "view", "primary", "stops_tolerated_now", "durability"] {
        assert!(!healed["cluster"][key].is_null(), "{key}");
    }
    for key in ["id", "addr", "pid", "reachable", "role", "view", "active", "last_executed"]
        .iter()
        .chain(&["stable_checkpoint", "checkpoint_digest", "behind"])
    {
        assert!(!healed["replicas"][0][key].is_null(), "{key}");
    }
}

#[test]
fn whoever_stops_reading_is_no_failure() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    let mut child = crate::cluster::quorate()
        .args(["init", "--local", "4", "--dir", dir.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
