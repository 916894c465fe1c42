//! What the fuzzer begins with. `QUORATE_BLESS=1` writes it into the corpus.

mod gateway;
mod golden;
mod journal;
mod recording;
mod replica;
mod wire;

use crate::corpus;
use std::fs;

/// A name and the bytes.
type Seed = (String, Vec<u8>);

fn in_corpus(target: &str, seeds: Vec<Seed>) {
    for (name, bytes) in seeds {
        let path = corpus(target).join(&name);
        if std::env::var_os("QUORATE_BLESS").is_some() {
            fs::create_dir_all(corpus(target)).expect("a folder for the corpus");
            fs::write(&path, &bytes).expect("a seed can be written");
        }
        let found = fs::read(&path).unwrap_or_default();
        assert_eq!(found, bytes, "{} is as it was made; see QUORATE_BLESS", path.display());
    }
}

#[test]
fn seeds_of_wire_are_in_the_corpus() {
    in_corpus("wire", wire::seeds());
}

#[test]
fn seeds_of_record_are_in_the_corpus() {
    let evidence = golden::entries(golden::EVIDENCE);
    let forged = evidence.iter().cloned().map(|(name, mut bytes)| {
        *bytes.last_mut().expect("evidence ends with a signature") ^= 1;
        (format!("{name}-forged"), bytes)
    });
    let forged = forged.collect();
    in_corpus("record", [golden::entries(golden::RECORDS), evidence, forged].concat());
}

#[test]
fn seeds_of_replica_are_in_the_corpus() {
    in_corpus("replica", replica::seeds());
}

#[test]
fn seeds_of_journal_are_in_the_corpus() {
    in_corpus("journal", journal::seeds());
}

#[test]
fn seeds_of_recording_are_in_the_corpus() {
    in_corpus("recording", recording::seeds());
}

#[test]
fn seeds_of_gateway_are_in_the_corpus() {
    in_corpus("gateway", gateway::seeds());
}
