//! Runs the corpus, and whatever the fuzzer found.

use crate::{corpus, inputs};
use std::path::Path;

fn replay<T>(target: &str, run: fn(&[u8]) -> T) {
    let artifacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target);
    let seeds = inputs(&corpus(target));
    assert!(!seeds.is_empty(), "{target} has seeds");
    for input in seeds.iter().chain(&inputs(&artifacts)) {
        run(input);
    }
}

#[test]
fn corpus_of_wire_holds() {
    replay("wire", quorate_fuzz::wire);
}

#[test]
fn corpus_of_record_holds() {
    replay("record", quorate_fuzz::record);
}

#[test]
fn corpus_of_replica_holds() {
    replay("replica", quorate_fuzz::replica);
}

#[test]
fn corpus_of_journal_holds() {
    replay("journal", quorate_fuzz::journal);
}

#[test]
fn corpus_of_recording_holds() {
    replay("recording", quorate_fuzz::recording);
}

#[test]
fn corpus_of_gateway_holds() {
    replay("gateway", quorate_fuzz::gateway);
}
