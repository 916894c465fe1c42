//! Every vice of a faulty replica on real processes, one after the other, at the primary.

use crate::cluster::{Up, eventually, run, text};
use quorate_adversary::Behaviour;

#[test]
fn real_replica_shows_each_vice_and_the_others_mask_it() {
    let up = Up::start(&["--lab"]);
    let dir = up.dir();
    let dir = dir.to_str().unwrap();
    for vice in Behaviour::vices() {
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
    }
}
