//! Swarms on services that are not the store: a sound one passes, and one that is not deterministic
//! is caught, with the number, the operation and the replicas at which states parted.

use pbft::{Context, Reading, Service, State, StateRead};
use quorate_lab::rng::Stream;
use quorate_lab::swarm::{Swarm, swarm_of};
use quorate_lab::world::Verdict;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a tally counts.
type Step = fn(&mut Tally, &Context<'_>, &dyn StateRead) -> Vec<u8>;

/// Counts how often each word was said.
struct Tally {
    step: Step,
    /// How many operations this instance executed, whatever the state says.
    executed: u64,
}

impl Service for Tally {
    fn execute(&mut self, context: &Context<'_>, word: &[u8], state: &mut dyn State) -> Vec<u8> {
        self.executed += 1;
        let added = (self.step)(self, context, state);
        let known = state.get(word).unwrap_or_default();
        let told = [known.as_slice(), &added].concat();
        // What was told is folded, so that states stay small.
        let folded = told
            .iter()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        state.put(word, folded.to_le_bytes().to_vec());
        folded.to_le_bytes().to_vec()
    }

    fn query(&self, _: &Context<'_>, word: &[u8], state: &dyn StateRead) -> Option<Reading> {
        state.get(word).map(Reading::from)
    }

    fn restored(&mut self, _: &dyn StateRead) {}
}

fn run(seeds: Range<u64>, step: Step) -> Swarm {
    let word = |rng: &mut Stream| format!("word-{}", rng.below(5)).into_bytes();
    swarm_of(seeds, move || Tally { step, executed: 0 }, word)
}

/// What the agreed context and the state say is the same everywhere.
fn from_context(_: &mut Tally, context: &Context<'_>, state: &dyn StateRead) -> Vec<u8> {
    let mut seen = Vec::new();
    state.scan(b"word-1", Some(b"word-4"), &mut |_, value| {
        seen.extend_from_slice(value);
        seen.len() < 16
    });
    seen.extend(context.time.as_millis().to_le_bytes());
    seen.extend(context.client.get().to_le_bytes());
    seen
}

/// As a clock or a random source would: no two executions see the same.
fn from_outside(_: &mut Tally, _: &Context<'_>, _: &dyn StateRead) -> Vec<u8> {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed).to_le_bytes().to_vec()
}

/// The order of a hash set differs between any two of them.
fn from_a_hash_set(_: &mut Tally, _: &Context<'_>, _: &dyn StateRead) -> Vec<u8> {
    (0..100).collect::<HashSet<u8>>().into_iter().collect()
}

/// What is kept beside the state does not survive a restart.
fn from_memory(tally: &mut Tally, _: &Context<'_>, _: &dyn StateRead) -> Vec<u8> {
    tally.executed.to_le_bytes().to_vec()
}

/// The explanation of the first world whose verdict names the service.
fn named(swarm: &Swarm) -> String {
    let mut violations = swarm.failures.iter().filter_map(|(_, verdict)| match verdict {
        Verdict::Violation(violation) => Some(violation),
        _ => None,
    });
    let named = violations.find(|violation| violation.property == "determinism of the service");
    named.map(|violation| violation.what.clone()).unwrap_or_else(|| panic!("{swarm}"))
}

#[test]
fn a_deterministic_service_passes() {
    let swarm = run(0..60, from_context);
    assert_eq!(swarm.runs, 60);
    assert!(swarm.failures.is_empty(), "{swarm}");
    for what in ["a view change", "a crash", "a state transfer", "two_operations"] {
        assert!(swarm.coverage[what] > 0, "never seen: {what}");
    }
}

#[test]
fn what_differs_from_outside_is_named_in_every_world() {
    for step in [from_outside as Step, from_a_hash_set] {
        let swarm = run(0..20, step);
        assert_eq!(swarm.failures.len(), 20, "{swarm}");
        let what = named(&swarm);
        for part in
            ["not deterministic: at number ", "operation \"word-", "replica", " set \"word-"]
        {
            assert!(what.contains(part), "{part}: {what}");
        }
    }
}

#[test]
fn memory_that_no_restart_brings_back_is_named() {
    let swarm = run(0..40, from_memory);
    assert!(named(&swarm).contains("not deterministic"));
}
