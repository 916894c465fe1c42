//! Every vice of a faulty replica on real processes, one after the other, at the primary.

use crate::cluster::{Up, eventually, run, text};
use quorate_adversary::Behaviour;

#[test]
fn real_replica_shows_each_vice_and_the_others_mask_it() {
    let up = Up::start(&["--lab"]);
    let dir = up.dir();
    let dir = dir.to_str().unwrap();
    // That one is last: another memory has rejoined with its keys, so healing does not help it.
    let is_last = |vice: &Behaviour| *vice == Behaviour::Rejoining;
    let (last, others): (Vec<_>, Vec<_>) = Behaviour::vices().partition(is_last);
    for vice in others.into_iter().chain(last) {
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
        if vice == Behaviour::Rejoining {
            let id: usize = primary.parse().unwrap();
            let is_down = || up.status()["replicas"][id]["pid"].is_null().then_some(());
            eventually("another memory has rejoined with its keys, so it stops", is_down);
        }
    }
}
