//! Replays the corpus and whatever the fuzzer found, on a stable compiler.

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for folder in ["corpus", "artifacts"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder).join(target)) else { continue };
        for entry in entries {
            run(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
            seeds += 1;
        }
    }
    assert!(seeds > 0, "{target} has seeds");
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
