//! What a journal goes through until its machine goes down, and what its disk goes through then.

use super::{CONFIG, IDENTITY, Opened, opened};
use crate::script::Script;
use quorate_replica::{
    Backend, BackendError, Crash, Journal, JournalError, MemoryBackend, SECTOR_BYTES,
};
use std::sync::Arc;

type Records = &'static [&'static [u8]];

/// One thing that a host does with its journal.
enum Step {
    Write(Records),
    Rotate(Records),
    /// What is older than the newest base goes.
    Forget,
}

/// Frames of one sector and of several, full segments, bases, an empty one too, and removals.
const STEPS: [Step; 14] = [
    Step::Write(&[b"one", b""]),
    Step::Write(&[&[0xaa; 700]]),
    Step::Write(&[&[0; 3000], b"behind zeros"]),
    Step::Write(&[&[1; 5000]]),
    Step::Rotate(&[b"first base", &[2; 900]]),
    Step::Write(&[b"three"]),
    Step::Forget,
    Step::Write(&[&[3; 9000]]),
    Step::Write(&[b"four"]),
    Step::Rotate(&[]),
    Step::Write(&[&[4; 600], &[5; 600]]),
    Step::Rotate(&[b"third base"]),
    Step::Forget,
    Step::Write(&[b"last"]),
];

/// What was written, and what of it has to be found.
#[derive(Default)]
struct Written {
    records: Vec<&'static [u8]>,
    /// Where in `records` a journal may begin: at its creation, and at each base.
    beginnings: Vec<usize>,
    /// So many records are durable.
    confirmed: usize,
    /// What is older than this beginning has been told to go, and is gone.
    oldest: usize,
}

/// The script: the operation of the disk at which the machine goes down (0: none), the step after
/// which it does at the latest, then a byte for each sector, length and name of which several
/// versions may have survived, behind their number, then damages of six bytes each.
pub(super) fn crashed_and_damaged(script: &mut Script<'_>) -> Option<Opened> {
    let backend = MemoryBackend::new();
    let crash_at = script.byte()?;
    if crash_at > 0 {
        backend.crash_at(u64::from(crash_at));
    }
    let step_count = usize::from(script.byte()?) % (STEPS.len() + 1);
    let mut written = Written::default();
    let lived = live(&backend, &STEPS[..step_count], &mut written);
    let survivors = usize::from(script.byte()?);
    let mut survivors = script.bytes(survivors).iter();
    let mut tear = |_| usize::from(*survivors.next().unwrap_or(&u8::MAX));
    let backend = backend.restart(Crash::PowerTearing(&mut tear));
    let is_damaged = damage(&backend, script).expect("the disk is sound");
    let opened = opened(Arc::new(backend));
    let Ok((found, opened)) = opened else {
        let is_missing = matches!(opened, Err(JournalError::Missing)) && written.confirmed == 0;
        assert!(is_damaged || is_missing, "after a crash alone: {opened:?} {lived:?}");
        return Some(Opened::Refused);
    };
    let found_at = |beginning: &usize| {
        let rest = &written.records[*beginning..];
        rest.len() >= found.len() && found.iter().zip(rest).all(|(found, written)| found == written)
    };
    let mut beginnings = written.beginnings.iter().copied().filter(found_at);
    let beginnings: Vec<usize> = beginnings.by_ref().collect();
    assert!(!beginnings.is_empty(), "a piece of what was written");
    if !is_damaged {
        let is_all = |beginning: &usize| {
            *beginning >= written.oldest && *beginning + found.len() >= written.confirmed
        };
        assert!(beginnings.iter().any(is_all), "a crash loses nothing that was confirmed");
    }
    Some(opened)
}

/// Takes the steps until one fails, which happens only if the machine goes down.
fn live(
    backend: &MemoryBackend,
    steps: &[Step],
    written: &mut Written,
) -> Result<(), JournalError> {
    written.beginnings.push(0);
    let mut journal = Journal::create(Arc::new(backend.clone()), IDENTITY, CONFIG)?;
    for step in steps {
        match step {
            Step::Write(records) => {
                written.records.extend(*records);
                journal.append(records)?;
                journal.sync()?;
            }
            Step::Rotate(base) => {
                written.beginnings.push(written.records.len());
                written.records.extend(*base);
                journal.rotate(base)?;
            }
            Step::Forget => {
                let base = journal.newest_base().expect("there is a base by now");
                journal.delete_before(base)?;
                written.oldest = *written.beginnings.last().expect("the newest base");
            }
        }
        written.confirmed = written.records.len();
    }
    Ok(())
}

/// Does to the files what the rest of the script says; `false` if it says nothing.
fn damage(backend: &MemoryBackend, script: &mut Script<'_>) -> Result<bool, BackendError> {
    let mut is_damaged = false;
    while let Some(what) = script.byte() {
        let (file, other) = (script.byte().unwrap_or(0), script.byte().unwrap_or(0));
        let place = u64::from(script.short().unwrap_or(0));
        let mask = script.byte().unwrap_or(0);
        let names = backend.list()?;
        let Some(name) = names.get(usize::from(file) % names.len().max(1)) else { break };
        let opened = backend.open(name)?;
        let bytes = opened.byte_count()?;
        is_damaged = true;
        match what % 6 {
            0 if bytes > 0 => backend.rot(name, place % bytes, mask)?,
            1 => opened.set_byte_count(place)?,
            2 => backend.remove(name)?,
            3 => backend.rename(name, &names[usize::from(other) % names.len()])?,
            4 => backend.rename(name, &format!("journal-{other:020}"))?,
            _ => {
                // A sector is lost, or it is at another place: what a disk that mixes up
                // addresses does.
                let mut sector = [0; SECTOR_BYTES];
                let from = u64::from(mask) * SECTOR_BYTES as u64;
                if mask != 0 && from + SECTOR_BYTES as u64 <= bytes {
                    opened.read_at(from, &mut sector)?;
                }
                opened.write_at(place - place % SECTOR_BYTES as u64, &sector)?;
            }
        }
    }
    Ok(is_damaged)
}
