//! The auction in simulated worlds, where networks, disks and machines fail and replicas lie.

use crate::auction::Auction;
use quorate::lab::{Stream, Verdict, swarm};
use quorate::{Context, Reading, Service, State, StateRead};
use std::collections::HashMap;

/// What the bidders of a world say: they open, bid for and look at a few lots.
fn operation(rng: &mut Stream) -> Vec<u8> {
    let lot = rng.pick(&["vase", "clock", "chair"]).unwrap_or(&"vase");
    let words = match rng.below(6) {
        0 => format!("open {lot} {}", rng.within(1..=20)),
        1 => format!("show {lot}"),
        _ => format!("bid {lot} {}", rng.within(1..=1_000)),
    };
    words.into_bytes()
}

#[test]
fn the_auction_holds_in_every_world() {
    let swarm = swarm(0..40, || Auction, operation);
    assert!(swarm.failures.is_empty(), "{swarm}");
}

/// An auction that also keeps a catalogue of the lots, and writes it down in whatever order the
/// hash map has: another one in every process.
struct WithCatalogue;

impl Service for WithCatalogue {
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        let answer = Auction.execute(context, operation, state);
        let mut lots = HashMap::new();
        state.scan(b"", None, &mut |name, lot| {
            lots.insert(name.to_vec(), lot.to_vec());
            true
        });
        lots.remove(b"/catalogue".as_slice());
        let names: Vec<Vec<u8>> = lots.into_keys().collect();
        state.put(b"/catalogue", names.join(&b' '));
        answer
    }

    fn query(
        &self,
        context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading> {
        Auction.query(context, operation, state)
    }

    fn restored(&mut self, _: &dyn StateRead) {}
}

#[test]
fn an_order_that_no_replica_shares_with_another_is_caught_and_named() {
    let swarm = swarm(0..10, || WithCatalogue, operation);
    let Some((_, Verdict::Violation(violation))) = swarm.failures.first() else {
        panic!("no world noticed: {swarm}");
    };
    println!("{violation}");
    assert_eq!(violation.property, "determinism of the service");
    for part in ["at number ", "operation \"", "replica", " set \"/catalogue\" to "] {
        assert!(violation.what.contains(part), "{part}: {violation}");
    }
}
