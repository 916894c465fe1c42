//! A cluster between parties: four folders and a gateway's, put together through cards alone.

use crate::cluster::{Etcd, Running, eventually, run, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command that must succeed, and returns what it prints.
fn done(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn separately_made_folders_form_a_cluster_and_no_private_key_leaves_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let homes: Vec<_> = (0..5).map(|id| root.path().join(format!("party-{id}"))).collect();
    let reserved = quorate_net::ports::reserve(4).unwrap();
    let addresses: Vec<String> = reserved.iter().map(ToString::to_string).collect();
    for (home, address) in homes.iter().zip(&addresses) {
        done(&["keygen", "--dir", str_of(home), "--addr", address]);
    }
    done(&["keygen", "--dir", str_of(&homes[4]), "--gateway"]);

    let cards: Vec<_> = homes.iter().map(|home| home.join("card.toml")).collect();
    let public = root.path().join("public");
    let mut arguments = vec!["init", "--dir", str_of(&public)];
    cards.iter().for_each(|card| arguments.extend(["--card", str_of(card)]));
    let printed = done(&arguments);
    let fingerprint = printed.lines().find_map(|line| line.strip_prefix("fingerprint ")).unwrap();
    let cluster = fs::read_to_string(public.join("cluster.toml")).unwrap();

    for (home, card) in homes.iter().zip(&cards) {
        let keys = home.join("keys");
        assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
        let secrets = fs::read_to_string(&keys).unwrap();
        let card = fs::read_to_string(card).unwrap();
        for secret in secrets.split_whitespace().filter(|word| word.len() == 64) {
            assert!(!card.contains(secret) && !cluster.contains(secret));
        }
        fs::copy(public.join("cluster.toml"), home.join("cluster.toml")).unwrap();
    }

    let refused = run(&["replica", "--dir", str_of(&homes[0])]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("not confirmed") && said.contains(fingerprint), "{said}");
    let wrong = "00".repeat(32);
    let refused = run(&["replica", "--dir", str_of(&homes[0]), "--confirm", &wrong]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(fingerprint));

    let replicas: Vec<_> = homes[..4]
        .iter()
        .map(|home| {
            let arguments = ["replica", "--dir", str_of(home), "--confirm", fingerprint];
            Running::start(&arguments, &home.join("log"))
        })
        .collect();
    let gateway = str_of(&homes[4]);
    let listen = ["--listen", "127.0.0.1:0", "--confirm", fingerprint];
    let arguments = [&["gateway", "--dir", gateway], &listen[..]].concat();
    let (_gateway, endpoint) = Running::start(&arguments, &homes[4].join("log"));
    let etcd = Etcd::connect(&endpoint);
    eventually("a write is acknowledged", || etcd.put("between", "parties"));
    assert_eq!(etcd.get("between"), Some(Some("parties".to_owned())));

    // The quorum that answered need not have been waiting for this one.
    eventually("this replica has executed the write", || {
        let one = done(&["status", "--json", "--dir", str_of(&homes[1])]);
        let status: serde_json::Value = serde_json::from_str(&one).unwrap();
        assert_eq!(status["replicas"][1]["reachable"], true);
        (status["replicas"][1]["last_executed"].as_u64() > Some(0)).then_some(())
    });
    drop(replicas);
}

#[test]
fn folder_of_another_member_or_another_cluster_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a"), root.path().join("b"));
    done(&["init", "--local", "4", "--dir", str_of(&a)]);
    done(&["init", "--local", "4", "--dir", str_of(&b)]);
    let victim = a.join("replica-0");
    fs::copy(b.join("cluster.toml"), victim.join("cluster.toml")).unwrap();
    fs::copy(b.join("replica-0/confirmed"), victim.join("confirmed")).unwrap();
    let refused = run(&["replica", "--dir", str_of(&victim)]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("another member or another cluster"), "{said}");
    let again = run(&["keygen", "--dir", str_of(&victim), "--addr", "127.0.0.1:1"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("never overwritten"));
}
