//! Recordings of whatever the attacked replica goes through, of starts from each record and from a
//! state, and some that are cut, changed or not of this replica.

use super::{Seed, golden, replica};
use pbft::Record;
use quorate_fuzz::{recording_of, recording_script};
use quorate_replica::Stored;
use quorate_replica::recording::Entry;

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, script) in replica::seeds() {
        let (entries, checkpoint) = recording_of(Stored::default(), &script);
        both(&mut seeds, &name, &entries);
        if let Some(state) = checkpoint {
            let snapshot = Some((state.seq(), state.tree().clone()));
            let stored = Stored { snapshot, ..Stored::default() };
            both(&mut seeds, &format!("{name}-from-its-state"), &recording_of(stored, &script).0);
        }
    }
    for (name, bytes) in golden::entries(golden::RECORDS) {
        let record = Record::decode(&bytes).expect("a golden record decodes");
        let stored = Stored { records: vec![record], ..Stored::default() };
        let (entries, _) = recording_of(stored, &[250, 0, 0].repeat(4));
        both(&mut seeds, &format!("record-{name}"), &entries);
    }
    let (mut entries, _) = recording_of(Stored::default(), &[]);
    entries.truncate(entries.len() - 1);
    seeds.push(("cut".to_owned(), recording_script(true, &entries)));
    for entry in &mut entries {
        if let Entry::Outputs(marks) = entry {
            marks.clear();
        }
    }
    seeds.push(("changed".to_owned(), recording_script(true, &entries)));
    for entry in &mut entries {
        if let Entry::Origin(origin) = entry {
            origin.replica = pbft::ReplicaId::new(0);
        }
    }
    seeds.push(("of-another".to_owned(), recording_script(true, &entries)));
    seeds
}

/// To be replayed, and to be lived through.
fn both(seeds: &mut Vec<Seed>, name: &str, entries: &[Entry]) {
    seeds.push((name.to_owned(), recording_script(true, entries)));
    seeds.push((format!("{name}-lived"), recording_script(false, entries)));
}
