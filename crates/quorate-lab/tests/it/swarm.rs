//! Random worlds. Every seed that ever failed stays here, with what went wrong.

use quorate_lab::swarm::swarm;

#[test]
fn random_worlds_within_the_budget_pass() {
    let swarm = swarm(0..400);
    assert!(swarm.failures.is_empty(), "{:?}", swarm.failures);
    for (what, runs) in swarm.coverage {
        assert!(runs > 0, "no run had {what}");
    }
}
