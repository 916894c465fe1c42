//! Persist before send, seen from outside: the system calls of three replicas under load.
//!
//! What one replica writes down shows what it has received from another: with exactly a quorum
//! left, nobody can write *prepared* before every PREPARE has arrived, nor *committed* before every
//! COMMIT has. So the record that such a message depends on must be synced at its sender before
//! that, and syncs are held up here for long enough that a message sent too early would show.
//!
//! Where strace is not installed or not allowed to trace, the test says so and passes, unless the
//! environment has `QUORATE_TESTS_NEED_TOOLS`, as it has in CI.

use crate::cluster::{Etcd, Running, Up, eventually, is_alive, send};
use pbft::{Record, SeqNum, View};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// By how much every sync is held up, in microseconds.
const SYNC_DELAY_MICROS: u32 = 20_000;
const CLIENT_COUNT: usize = 4;
const PUTS_PER_CLIENT: usize = 15;

#[test]
fn what_a_message_depends_on_is_synced_before_it_is_sent() {
    let up = Up::start(&["--no-restart"]);
    up.wait_until_whole();
    let pids = up.pids();
    send(pids[3], Signal::KILL);
    eventually("replica 3 is gone", || (!is_alive(pids[3])).then_some(()));
    let file = up.folder.path().join("trace");
    let Some(tracer) = Tracer::attach(&pids[..3], &file) else { return };
    std::thread::scope(|scope| {
        for client in 0..CLIENT_COUNT {
            let endpoint = &up.endpoint;
            scope.spawn(move || {
                let etcd = Etcd::connect(endpoint);
                for number in 0..PUTS_PER_CLIENT {
                    let key = format!("{client}/{number}");
                    eventually("a write is acknowledged", || etcd.put(&key, "v"));
                }
            });
        }
    });
    tracer.detach();
    let trace = Trace::read(&fs::read_to_string(file).unwrap());
    let checked_count = trace.check();
    // With four clients at a time a batch carries four operations at most.
    let batch_count_min = CLIENT_COUNT * PUTS_PER_CLIENT / CLIENT_COUNT;
    assert!(checked_count >= batch_count_min, "only {checked_count} receipts were seen");
}

#[test]
fn trace_in_which_a_message_left_before_its_sync_is_noticed() {
    let mut trace = Trace::default();
    let (sender, receiver) = ("journal of 0".to_owned(), "journal of 1".to_owned());
    let (seq, view) = (SeqNum::new(7), View::new(0));
    trace.wrote.insert((sender.clone(), Fact::PrePrepared(seq, view)), 1);
    trace.synced.insert((sender, Fact::PrePrepared(seq, view)), 3);
    trace.wrote.insert((receiver.clone(), Fact::Prepared(seq, view)), 4);
    assert_eq!(trace.check(), 1);
    trace.wrote.insert((receiver, Fact::Prepared(seq, view)), 2);
    let noticed = std::panic::catch_unwind(|| trace.check());
    assert!(noticed.is_err());
}

/// A running strace.
struct Tracer(Running);

impl Tracer {
    /// Traces these processes into `file`; `None` if that is not possible here.
    fn attach(pids: &[u32], file: &Path) -> Option<Self> {
        let log = file.with_extension("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "1000000", "-e", "trace=pwrite64,fdatasync"]);
        command.arg("-e").arg(format!("inject=fdatasync:delay_enter={SYNC_DELAY_MICROS}"));
        command.arg("-o").arg(file);
        for pid in pids {
            command.arg("-p").arg(pid.to_string());
        }
        let stderr = fs::File::create(&log).unwrap();
        let spawned = command.stdin(Stdio::null()).stderr(stderr).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return without_trace(&error.to_string()),
        };
        let said = || fs::read_to_string(&log).unwrap();
        let is_attached = || {
            let said = said();
            pids.iter().all(|pid| said.contains(&format!("Process {pid} attached")))
        };
        let went_well = eventually("strace is attached or refused", || match child.try_wait() {
            Ok(Some(_refused)) => Some(false),
            _ => is_attached().then_some(true),
        });
        if went_well { Some(Self(Running::of(child))) } else { without_trace(&said()) }
    }

    /// Lets the processes go on by themselves and closes the file.
    fn detach(mut self) {
        self.0.signal(Signal::TERM);
        self.0.child.wait().unwrap();
    }
}

#[expect(clippy::print_stderr, reason = "a check that did not happen must not go unnoticed")]
fn without_trace(why: &str) -> Option<Tracer> {
    let needed = std::env::var_os("QUORATE_TESTS_NEED_TOOLS").is_some();
    assert!(!needed, "strace cannot trace the replicas: {why}");
    eprintln!("system calls are not checked: strace cannot trace the replicas: {why}");
    None
}

/// What a record says, as far as it tells about messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    PrePrepared(SeqNum, View),
    Prepared(SeqNum, View),
    Committed(SeqNum),
}

impl Fact {
    fn of(record: &Record) -> Option<Self> {
        match record {
            Record::PrePrepared { entry, .. } => Some(Self::PrePrepared(entry.seq, entry.view)),
            Record::Prepared(entry) => Some(Self::Prepared(entry.seq, entry.view)),
            Record::Committed { seq, .. } => Some(Self::Committed(*seq)),
            _ => None,
        }
    }
}

/// When each journal got each fact, by the line of the trace.
#[derive(Default)]
struct Trace {
    /// The first write that contains it began.
    wrote: BTreeMap<(String, Fact), usize>,
    /// The first sync that covers it returned.
    synced: BTreeMap<(String, Fact), usize>,
}

impl Trace {
    fn read(text: &str) -> Self {
        let mut trace = Self::default();
        let mut unsynced: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
        // Of each thread, the sync it is in: the journal and what the sync covers.
        let mut syncing: BTreeMap<&str, (String, Vec<Fact>)> = BTreeMap::new();
        for (line_number, line) in text.lines().enumerate() {
            let (thread, call) = line.split_once(' ').unwrap();
            let call = call.trim_start();
            let file = file_of(call).filter(|file| file.contains("/journal-"));
            if let Some(file) = file.as_ref().filter(|_| call.starts_with("pwrite64(")) {
                for fact in facts(&written_bytes(call)) {
                    trace.wrote.entry((file.clone(), fact)).or_insert(line_number);
                    unsynced.entry(file.clone()).or_default().push(fact);
                }
            }
            if let Some(file) = file.as_ref().filter(|_| call.starts_with("fdatasync(")) {
                let covered = unsynced.remove(file).unwrap_or_default();
                syncing.insert(thread, (file.clone(), covered));
            }
            if call.contains("fdatasync") && call.contains(" = ") {
                // Nothing is known of a sync that had begun before the tracer was there.
                let Some((file, covered)) = syncing.remove(thread) else { continue };
                assert!(call.contains("= 0"), "a sync failed: {line}");
                for fact in covered {
                    trace.synced.entry((file.clone(), fact)).or_insert(line_number);
                }
            }
        }
        trace
    }

    /// How many receipts were checked. A sender's fact that was not written
    /// during the trace was written before it, and says nothing.
    fn check(&self) -> usize {
        let journals: BTreeSet<&String> = self.wrote.keys().map(|(journal, _)| journal).collect();
        let mut checked_count = 0;
        for ((receiver, fact), received) in &self.wrote {
            for sender in journals.iter().filter(|journal| **journal != receiver) {
                let Some(needed) = self.needed(sender, *fact) else { continue };
                let synced = self.synced.get(&((*sender).clone(), needed));
                let in_time = synced.is_some_and(|synced| synced <= received);
                let told = format!("{fact:?} in {receiver}, line {received}");
                assert!(in_time, "{told}: {needed:?} of {sender} was synced only {synced:?}");
                checked_count += 1;
            }
        }
        checked_count
    }

    /// What `sender` had written before it sent what the receiver of `fact` needed.
    fn needed(&self, sender: &str, fact: Fact) -> Option<Fact> {
        let wrote = |fact: &Fact| self.wrote.contains_key(&(sender.to_owned(), *fact));
        match fact {
            Fact::PrePrepared(..) => None,
            Fact::Prepared(seq, view) => Some(Fact::PrePrepared(seq, view)).filter(wrote),
            Fact::Committed(seq) => {
                let facts = self.wrote.keys().filter(|(journal, _)| journal == sender);
                let mut prepared = facts.map(|(_, fact)| *fact);
                prepared.find(|fact| matches!(fact, Fact::Prepared(number, _) if *number == seq))
            }
        }
    }
}

/// The file behind the first argument of a call.
fn file_of(call: &str) -> Option<String> {
    let (_, behind) = call.split_once('<')?;
    let (path, _) = behind.split_once('>')?;
    // With -xx, paths are hexadecimal, too.
    match path.contains("\\x") {
        true => String::from_utf8(bytes_of(path)).ok(),
        false => Some(path.to_owned()),
    }
}

fn written_bytes(call: &str) -> Vec<u8> {
    bytes_of(call.split('"').nth(1).unwrap())
}

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

/// The facts in what was written to a journal: sectors of 512 bytes, each behind a checksum and a
/// kind; together a frame with a header of nine bytes, then records behind their lengths. See
/// `docs/storage.md`.
fn facts(written: &[u8]) -> Vec<Fact> {
    let frame: Vec<u8> = written.chunks(512).flat_map(|sector| &sector[5..]).copied().collect();
    let is_first = written.get(4) == Some(&1);
    let (header, mut records) = frame.split_at(9);
    if !is_first || header[8] > 1 {
        return Vec::new();
    }
    let mut facts = Vec::new();
    for _ in 0..u32::from_le_bytes(header[4..8].try_into().unwrap()) {
        let (length, behind) = records.split_first_chunk().unwrap();
        let (record, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        facts.extend(Record::decode(record).as_ref().and_then(Fact::of));
        records = behind;
    }
    facts
}
