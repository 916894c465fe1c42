//! What a replica started from, as a recording holds it.

use super::belief::{check_origin, check_record};
use super::{Entry, OutputMark, RecordingError, RecordingReader, RecordingWriter};
use crate::executor::Services;
use crate::tree::Tree;
use crate::tree::rebuild::Rebuilder;
use crate::{SnapshotPolicy, Start, Stored};
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::BootId;
use pbft::{Config, Digest, Now, Record, ReplicaId, SeqNum, SigningKey};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// What a replica started from; values, pages and records follow in entries of their own.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Origin {
    /// The digest of the cluster's configuration.
    pub configuration: Digest,
    /// Which replica.
    pub replica: ReplicaId,
    /// Which start of it.
    pub boot_id: BootId,
    /// What its clocks showed.
    pub now: Now,
    /// Whether it had another memory, which is lost.
    pub is_lost: bool,
    /// Its policy of snapshots: after so many bytes of journal, or after so many microseconds.
    pub snapshot_policy: (u64, u64),
    /// The checkpoint of the snapshot, and the digest of its state.
    pub snapshot: Option<(SeqNum, Digest)>,
    /// The length of the journal since it was last restated.
    pub journal_bytes: u64,
}

/// A copy of what a replica is about to start from, which shares its state.
pub struct Beginning {
    origin: Origin,
    state: Tree,
    records: Vec<Record>,
}

impl Beginning {
    /// What this start begins with.
    pub fn of(start: &Start, now: Now) -> Self {
        let Stored { snapshot, records, journal_bytes, torn_tail: _ } = &start.stored;
        let SnapshotPolicy { journal_bytes: policy_bytes, interval } = start.snapshot_policy;
        let interval = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let origin = Origin {
            configuration: start.config.digest,
            replica: start.id,
            boot_id: start.boot_id,
            now,
            is_lost: start.is_lost,
            snapshot_policy: (policy_bytes, interval),
            snapshot: snapshot.as_ref().map(|(seq, tree)| (*seq, tree.root_digest())),
            journal_bytes: *journal_bytes,
        };
        let state = snapshot.as_ref().map(|(_, tree)| tree.clone()).unwrap_or_default();
        Self { origin, state, records: records.clone() }
    }

    /// Writes it. Takes time for the whole state.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write<W: Write>(self, writer: &mut RecordingWriter<W>) -> io::Result<()> {
        writer.write(&Entry::Origin(self.origin).encode())?;
        let empty = Tree::new();
        let rows = self.state.changes_since(&empty);
        for (key, value) in &rows.values {
            let (key, content) = (key.to_vec(), value.unwrap_or_default().to_vec());
            writer.write(&Entry::Value { key, content }.encode())?;
        }
        for (key, page) in &rows.pages {
            let content = page.map(|page| page.encode()).unwrap_or_default();
            writer.write(&Entry::Page { key: key.to_vec(), content }.encode())?;
        }
        for record in &self.records {
            writer.write(&Entry::Record(record.encode()).encode())?;
        }
        Ok(())
    }
}

/// Reads what a replica started from, when, and what the start led to.
///
/// # Errors
/// If that is not in the recording, or the recording is another replica's.
pub fn read_start<R: Read>(
    reader: &mut RecordingReader<R>,
    config: Arc<Config>,
    id: ReplicaId,
    key: SigningKey,
    services: Services,
) -> Result<(Start, Now, Vec<OutputMark>), RecordingError> {
    let Some(Entry::Origin(origin)) = reader.next_entry()? else {
        return Err(RecordingError::NotStarted);
    };
    if (origin.configuration, origin.replica) != (config.digest, id) {
        return Err(RecordingError::OtherReplica);
    }
    check_origin(&config, &origin)?;
    let (mut values, mut records) = (BTreeMap::new(), Vec::new());
    let mut pages = Vec::new();
    let outputs = loop {
        match reader.next_entry()?.ok_or(RecordingError::NotStarted)? {
            Entry::Value { key, content } => {
                values.insert(key, content);
            }
            Entry::Page { key, content } => pages.push((key, content)),
            Entry::Record(bytes) => {
                let record = Record::decode(&bytes);
                let record = record.ok_or(RecordingError::Disorder("a record is none"))?;
                check_record(&config, id, &record)?;
                records.push(record);
            }
            Entry::Outputs(outputs) => break outputs,
            Entry::Origin(_) | Entry::Input { .. } | Entry::End => {
                return Err(RecordingError::Disorder("something before the start"));
            }
        }
    };
    let snapshot = match origin.snapshot {
        Some((seq, root)) => Some((seq, rebuild(values, &pages, seq, root)?)),
        None => None,
    };
    let (policy_bytes, interval) = origin.snapshot_policy;
    let start = Start {
        config,
        id,
        key,
        boot_id: origin.boot_id,
        services,
        snapshot_policy: SnapshotPolicy {
            journal_bytes: policy_bytes,
            interval: Duration::from_micros(interval),
        },
        stored: Stored { snapshot, records, journal_bytes: origin.journal_bytes, torn_tail: None },
        is_lost: origin.is_lost,
    };
    Ok((start, origin.now, outputs))
}

fn rebuild(
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    pages: &[(Vec<u8>, Vec<u8>)],
    seq: SeqNum,
    root: Digest,
) -> Result<Tree, RecordingError> {
    let mut rebuilder = Rebuilder::new(values);
    for (key, content) in pages {
        rebuilder.push(key, content)?;
    }
    let tree = rebuilder.finish()?;
    if tree.root_digest() == root { Ok(tree) } else { Err(RecordingError::OtherState { seq }) }
}
