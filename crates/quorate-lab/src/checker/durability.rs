//! What a correct replica promises is on its disk before it leaves, so that no crash can make it say
//! otherwise.
//!
//! | message | record |
//! |---|---|
//! | PRE-PREPARE, PREPARE | the Q entry, or the NEW-VIEW of its view that chose it |
//! | COMMIT | the P entry, and a Q entry of its view or a later one |
//! | CHECKPOINT | itself |
//! | VIEW-CHANGE, NEW-VIEW | itself |
//!
//! The P entry of a number without the Q entry would commit to what the replica never pre-prepared.

use super::{Checker, Observation};
use pbft::message::{CheckpointId, NewView, PrePrepare, Vote};
use pbft::{Digest, Message, Record, ReplicaId, SeqNum, View};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Durability {
    disks: BTreeMap<ReplicaId, Disk>,
}

/// What a disk remembers.
#[derive(Debug, Default)]
struct Disk {
    pre_prepared: BTreeSet<(SeqNum, Digest, View)>,
    prepared: BTreeSet<(SeqNum, Digest, View)>,
    checkpoints: BTreeSet<(SeqNum, CheckpointId)>,
    view_changes: BTreeSet<View>,
    new_views: BTreeSet<View>,
}

impl Checker for Durability {
    fn property(&self) -> &'static str {
        "promises are durable before they leave"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match *observation {
            Observation::Durable { at, starts, records } => {
                let disk = self.disks.entry(at).or_default();
                if starts {
                    *disk = Disk::default();
                }
                records.iter().for_each(|record| disk.write(record));
                Ok(())
            }
            Observation::Sent { from, message, .. } => {
                if self.disks.entry(from).or_default().covers(from, message) {
                    return Ok(());
                }
                let kind = message.kind().name();
                Err(format!("replica {from} sent a {kind} that its disk knows nothing of"))
            }
            _ => Ok(()),
        }
    }
}

impl Disk {
    fn write(&mut self, record: &Record) {
        match record {
            Record::PrePrepared { entry: PrePrepare { view, seq, digest }, .. } => {
                self.pre_prepared.insert((*seq, *digest, *view));
            }
            Record::Prepared(PrePrepare { view, seq, digest }) => {
                self.prepared.insert((*seq, *digest, *view));
            }
            Record::Checkpoint(signed) => {
                self.checkpoints.insert((signed.body.seq, signed.body.id));
            }
            Record::ViewChange(signed) => {
                self.view_changes.insert(signed.body.new_view);
            }
            Record::NewView(proof) => {
                let NewView { view, checkpoint, chosen, .. } = &proof.new_view.body;
                self.new_views.insert(*view);
                let numbers = (1..).map(|offset| checkpoint.0.plus(offset));
                self.pre_prepared.extend(numbers.zip(chosen).map(|(seq, d)| (seq, *d, *view)));
            }
            _ => {}
        }
    }

    fn covers(&self, own: ReplicaId, message: &Message) -> bool {
        match message {
            Message::PrePrepare(signed, _) if signed.signer == own => {
                let PrePrepare { view, seq, digest } = signed.body;
                self.pre_prepared.contains(&(seq, digest, view))
            }
            Message::Prepare(Vote { view, seq, digest }) => {
                self.pre_prepared.contains(&(*seq, *digest, *view))
            }
            Message::Commit(Vote { view, seq, digest }) => {
                let since = (*seq, *digest, *view)..=(*seq, *digest, View::MAX);
                self.prepared.contains(&(*seq, *digest, *view))
                    && self.pre_prepared.range(since).next().is_some()
            }
            Message::Checkpoint(signed) if signed.signer == own => {
                self.checkpoints.contains(&(signed.body.seq, signed.body.id))
            }
            Message::ViewChange(signed) if signed.signer == own => {
                self.view_changes.contains(&signed.body.new_view)
            }
            Message::NewView(proof) if proof.new_view.signer == own => {
                self.new_views.contains(&proof.new_view.body.view)
            }
            _ => true,
        }
    }
}
