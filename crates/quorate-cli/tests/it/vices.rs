//! Every vice of a faulty replica on real processes, one after the other, at the primary.

use crate::cluster::{Up, eventually, run, text};
use quorate_adversary::Behaviour;
use std::time::{Duration, Instant};

#[test]
fn real_replica_shows_each_vice_and_the_others_mask_it() {
    let up = Up::start(&["--lab"]);
    let dir = up.dir();
    let dir = dir.to_str().unwrap();
    let (rejoining, others): (Vec<_>, Vec<_>) =
        Behaviour::vices().partition(|vice| *vice == Behaviour::Rejoining);
    for vice in others {
        misbehave(&up, dir, &vice);
    }
    // That one is last: once another memory has rejoined with its keys, healing does not help it. It
    // may be healed before its REJOIN was executed, since that is sent in answer to STATUS; then it
    // goes on, and is broken once more.
    for vice in rejoining {
        eventually("another memory has rejoined with its keys, so it stops", || {
            let id: usize = misbehave(&up, dir, &vice).parse().unwrap();
            let is_down = || up.status()["replicas"][id]["pid"].is_null();
            let began = Instant::now();
            while began.elapsed() < CATCHING_UP {
                if is_down() {
                    return Some(());
                }
                std::thread::yield_now();
            }
            None
        });
    }
}

/// How long a healed replica is given to hear what it has missed.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// The primary misbehaves for a while, and nobody notices. Returns who it was.
fn misbehave(up: &Up, dir: &str, vice: &Behaviour) -> String {
    let primary = up.wait_until_whole()["cluster"]["primary"].to_string();
    let told = run(&["break", &primary, &vice.to_string(), "--dir", dir]);
    assert!(told.status.success(), "{vice}: {}", text(&told.stderr));
    for number in 0..3 {
        let (key, value) = (format!("k/{number}"), vice.to_string());
        eventually(&format!("a write is acknowledged, {vice}"), || up.etcd.put(&key, &value));
        let found = eventually("a read is answered", || up.etcd.get(&key));
        assert_eq!(found, Some(value), "{vice}");
    }
    assert!(run(&["heal", &primary, "--dir", dir]).status.success(), "{vice}");
    primary
}
