//! Opening a journal after a crash and on a disk that gives back other bytes than were written.

mod image;
mod life;

use crate::script::Script;
use pbft::{Digest, ReplicaId};
use quorate_replica::{Backend, Journal, JournalConfig, JournalError, JournalIdentity};
use std::sync::Arc;

const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: Digest::from_bytes([0xc1; 32]), replica: ReplicaId::ZERO };
/// So short that a few records fill a segment.
const CONFIG: JournalConfig = JournalConfig { segment_bytes: 8192 };

/// How opening a journal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opened {
    /// Damage, or no journal at all, was reported.
    Refused,
    /// There are records, and nothing had to be cut off.
    Whole,
    /// There is nothing in it.
    Empty,
    /// A torn end was cut off.
    Torn,
}

/// A script, whose first byte says of what. Even: a journal's life up to a crash, what survived it,
/// and then damage to the disk. Odd: the very files that are found, whose checksums are right
/// unless the script says otherwise.
///
/// Opening does not panic. A crash alone loses nothing that was confirmed; with damage it is
/// refused, or what it returns is a piece of what was written, from a place where a journal may
/// begin. Whatever was opened opens again with the same records, and takes another.
pub fn journal(data: &[u8]) -> Option<Opened> {
    let mut script = Script::new(data);
    match script.byte()? % 2 {
        0 => life::crashed_and_damaged(&mut script),
        _ => image::found(&mut script),
    }
}

/// The records that opening returns and how it ended, once it was seen that a second opening, and
/// one after another record, return the same.
fn opened(backend: Arc<dyn Backend>) -> Result<(Vec<Vec<u8>>, Opened), JournalError> {
    let (journal, recovered) = Journal::open(Arc::clone(&backend), IDENTITY, CONFIG)?;
    drop(journal);
    let is_torn = recovered.torn_tail().is_some();
    let records: Vec<Vec<u8>> = recovered.map(|record| sound(record).bytes).collect();
    let opened = match (is_torn, records.is_empty()) {
        (true, _) => Opened::Torn,
        (false, true) => Opened::Empty,
        (false, false) => Opened::Whole,
    };

    let (mut journal, again) = sound(Journal::open(Arc::clone(&backend), IDENTITY, CONFIG));
    assert_eq!(again.torn_tail(), None, "what was torn is gone");
    assert!(again.map(|record| sound(record).bytes).eq(records.iter().cloned()), "the same again");
    let another: &[u8] = b"another";
    journal.append(&[another]).expect("a short record");
    journal.sync().expect("the disk is sound");
    drop(journal);
    let (_, longer) = sound(Journal::open(backend, IDENTITY, CONFIG));
    let expected = records.iter().map(Vec::as_slice).chain([another]);
    assert!(longer.map(|record| sound(record).bytes).eq(expected), "and one more");
    Ok((records, opened))
}

fn sound<T>(result: Result<T, JournalError>) -> T {
    result.expect("all was checked when it was opened first")
}
