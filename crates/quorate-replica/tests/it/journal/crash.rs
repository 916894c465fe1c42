//! Crashes at every operation that changes the disk, one after the other and two in a row.

use super::*;
use quorate_replica::SegmentNumber;

/// What a host does to its journal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Appends records of these lengths and syncs.
    Write(&'static [usize]),
    /// Rotates, with a base of records of these lengths.
    Rotate(&'static [usize]),
    /// Deletes what is older than the newest base.
    Delete,
}

/// What must be found after a crash.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Every record confirmed durable, oldest first. No two records are equal.
    confirmed: Vec<Vec<u8>>,
    /// The records of an operation that did not return: all of them are found, or none.
    in_flight: Vec<Vec<u8>>,
    /// Where in `confirmed` the newest base begins.
    base: Option<usize>,
    /// Everything in front of it has been deleted.
    deleted: usize,
    /// Where a deletion that did not return would have ended.
    deleting: usize,
    is_created: bool,
    record_count: u32,
}

impl Model {
    fn records(&mut self, lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for length in lengths {
            self.record_count += 1;
            let mut record = self.record_count.to_le_bytes().to_vec();
            record.resize((*length).max(4), self.record_count as u8);
            records.push(record);
        }
        records
    }

    /// Opens or, as long as no creation has returned, creates, and compares what is there.
    pub(super) fn open(&mut self, backend: &MemoryBackend) -> Result<Journal, JournalError> {
        let (journal, records) = match open(backend) {
            Err(JournalError::Missing) if !self.is_created => (create(backend)?, Vec::new()),
            other => other?,
        };
        self.is_created = true;
        self.accept(&journal, &records);
        Ok(journal)
    }

    fn accept(&mut self, journal: &Journal, records: &[RecoveredRecord]) {
        let found = bytes_of(records);
        let with_in_flight = [self.confirmed.as_slice(), &self.in_flight].concat();
        let start = [self.deleted, self.deleting]
            .into_iter()
            .find(|start| found == self.confirmed[*start..] || found == with_in_flight[*start..])
            .unwrap_or_else(|| panic!("wrong records after a crash: {} found", found.len()));
        assert_eq!(
            records.iter().rposition(|r| r.is_base).map(|at| records[at].segment),
            journal.newest_base(),
        );
        self.base = records.iter().rposition(|r| r.is_base).map(|last| {
            let segment = records[last].segment;
            records.iter().position(|r| r.is_base && r.segment == segment).unwrap()
        });
        assert!(start == 0 || records[0].is_base, "deleted up to the middle of something");
        self.confirmed = found;
        self.in_flight.clear();
        (self.deleted, self.deleting) = (0, 0);
    }

    pub(super) fn take(&mut self, journal: &mut Journal, step: Step) -> Result<(), JournalError> {
        match step {
            Step::Write(lengths) => {
                let records = self.records(lengths);
                self.in_flight.clone_from(&records);
                journal.append(&records)?;
                journal.sync()?;
            }
            Step::Rotate(lengths) => {
                self.in_flight = self.records(lengths);
                journal.rotate(&self.in_flight)?;
                self.base = Some(self.confirmed.len());
            }
            Step::Delete => {
                let Some(base) = self.base else { return Ok(()) };
                self.deleting = base;
                let newest: SegmentNumber = journal.newest_base().unwrap();
                journal.delete_before(newest)?;
                self.deleted = base;
            }
        }
        self.confirmed.append(&mut self.in_flight);
        Ok(())
    }
}

/// Long enough to fill several segments, to rotate with and without older ones still there, and to
/// delete one and many.
const SCRIPT: &[Step] = &[
    Step::Write(&[10]),
    Step::Write(&[600, 20, 3000]),
    Step::Write(&[4000]),
    Step::Write(&[2000, 2000]),
    Step::Rotate(&[700, 30]),
    Step::Write(&[5]),
    Step::Delete,
    Step::Write(&[3000, 3000]),
    Step::Rotate(&[1500]),
    Step::Rotate(&[40]),
    Step::Write(&[9000]),
    Step::Delete,
    Step::Write(&[100, 100]),
];

fn run(backend: &MemoryBackend, model: &mut Model) -> Result<(), JournalError> {
    let mut journal = model.open(backend)?;
    SCRIPT.iter().try_for_each(|step| model.take(&mut journal, *step))
}

/// Runs the script with a crash at operation `k`. `None` if it ended before.
fn run_into_crash(backend: &MemoryBackend, k: u64, model: &mut Model) -> Option<()> {
    backend.crash_at(k);
    let result = run(backend, model);
    if !backend.has_crashed() {
        result.unwrap();
        return None;
    }
    let Err(JournalError::Storage(_)) = result else { panic!("crash at {k} went unnoticed") };
    Some(())
}

/// Checks that the journal is what the model says and still works.
fn check_usable(backend: &MemoryBackend, model: &mut Model) {
    let mut journal = model.open(backend).unwrap();
    model.take(&mut journal, Step::Write(&[50])).unwrap();
    model.open(&restart(backend, Fall::LosingAll)).unwrap();
}

fn falls(seed: u64) -> impl Iterator<Item = Fall> {
    let whole = [Fall::Process, Fall::LosingAll, Fall::KeepingAll];
    whole.into_iter().chain((0..4).map(move |i| Fall::Tearing(seed * 4 + i)))
}

#[test]
fn crash_at_every_operation_keeps_what_was_confirmed_and_nothing_else() {
    let mut crashes = 0;
    for k in 1.. {
        let backend = MemoryBackend::new();
        let mut model = Model::default();
        if run_into_crash(&backend, k, &mut model).is_none() {
            break;
        }
        for fall in falls(k).chain((0..20).map(|i| Fall::Tearing(1000 * k + i))) {
            check_usable(&restart(&backend, fall), &mut model.clone());
        }
        crashes = k;
    }
    assert!(crashes > 50, "the script is too short: {crashes}");
}

#[test]
fn second_crash_at_every_operation_after_every_first_one_is_survived_too() {
    for first in 1.. {
        let backend = MemoryBackend::new();
        let mut model = Model::default();
        if run_into_crash(&backend, first, &mut model).is_none() {
            break;
        }
        for fall in [Fall::Process, Fall::LosingAll, Fall::Tearing(first)] {
            for second in 1.. {
                let backend = restart(&backend, fall);
                let mut model = model.clone();
                if run_into_crash(&backend, second, &mut model).is_none() {
                    break;
                }
                let again = restart(&backend, Fall::Tearing(first * 1000 + second));
                check_usable(&again, &mut model.clone());
                check_usable(&restart(&backend, Fall::Process), &mut model.clone());
            }
        }
    }
}

#[test]
fn torn_tail_is_truncated_and_reported() {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"kept"]).unwrap();
    backend.crash_at(backend.operations().mutations() + 2);
    write(&mut journal, &[&[1; 2000]]).unwrap_err();
    // Of the four sectors of the torn frame, all but the first reach the disk.
    let mut sector = 0;
    let backend = backend.restart(Crash::PowerTearing(&mut |versions| {
        sector += 1;
        if sector == 1 { 0 } else { versions }
    }));
    let (_, recovered) = Journal::open(Arc::new(backend.clone()), IDENTITY, CONFIG).unwrap();
    let torn = recovered.torn_tail().unwrap();
    assert_eq!((torn.segment, torn.offset, torn.bytes), (SegmentNumber::FIRST, 1024, 2048));
    assert_eq!(recovered.count(), 1);
    let bytes = read_file(&restart(&backend, Fall::LosingAll), &segment_file(1));
    assert!(bytes[1024..].iter().all(|byte| *byte == 0));
}
