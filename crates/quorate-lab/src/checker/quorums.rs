//! A correct replica commits itself on whole certificates only, counted again from what it was
//! handed:
//!
//! - It sends a COMMIT only with PREPAREs for the same view, number and digest of a quorum less one
//!   of backups, its own included.
//! - A number commits only with COMMITs for the same view, number and digest of a quorum, its own
//!   included if it prepared in that view, or with COMMITTEDs of f+1 others.
//! - It says COMMITTED only with such a certificate that needs no COMMIT of its own, or once the P
//!   entry behind that is on its disk: else a crash could leave one less than a quorum of them.
//!
//! What the replica refused is counted too, so this asks for no more than the rules do.

use super::{Checker, Observation};
use crate::restated::Thresholds;
use pbft::message::{Committed, Vote};
use pbft::{Digest, Event, Message, Record, ReplicaId, SeqNum, View};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct WholeCertificates {
    replica_count: u64,
    thresholds: Thresholds,
    /// What each replica was handed above its stable checkpoint.
    handed: BTreeMap<ReplicaId, BTreeMap<SeqNum, Handed>>,
    /// The P entries on each replica's disk above its stable checkpoint.
    prepared: BTreeMap<ReplicaId, BTreeSet<(SeqNum, Digest)>>,
    /// The highest stable checkpoint that ever was on each replica's disk: a crash takes back one
    /// that was not, and then votes above an older one are sent again. What waited for the disk may
    /// leave below it, and so may votes of an old disk that was put back.
    stable: BTreeMap<ReplicaId, SeqNum>,
}

/// Who said what about a number.
#[derive(Debug, Default)]
struct Handed {
    prepares: BTreeSet<(View, Digest, ReplicaId)>,
    commits: BTreeSet<(View, Digest, ReplicaId)>,
    committed: BTreeSet<(Digest, ReplicaId)>,
}

impl WholeCertificates {
    pub(super) fn new(replica_count: u32) -> Self {
        Self {
            replica_count: replica_count.into(),
            thresholds: Thresholds::of(replica_count as usize),
            handed: BTreeMap::new(),
            prepared: BTreeMap::new(),
            stable: BTreeMap::new(),
        }
    }

    fn handed(&mut self, at: ReplicaId, seq: SeqNum) -> &mut Handed {
        self.handed.entry(at).or_default().entry(seq).or_default()
    }

    fn is_primary(&self, id: ReplicaId, view: View) -> bool {
        u64::from(id.get()) == view.get() % self.replica_count
    }

    fn hand(&mut self, at: ReplicaId, from: ReplicaId, message: &Message) {
        match *message {
            Message::Prepare(Vote { view, seq, digest }) if !self.is_primary(from, view) => {
                self.handed(at, seq).prepares.insert((view, digest, from));
            }
            Message::Commit(Vote { view, seq, digest }) => {
                self.handed(at, seq).commits.insert((view, digest, from));
            }
            Message::Committed(Committed { seq, digest }) => {
                self.handed(at, seq).committed.insert((digest, from));
            }
            _ => {}
        }
    }

    /// How many PREPAREs of backups the replica has, its own included.
    fn prepare_count(&mut self, at: ReplicaId, vote: &Vote) -> usize {
        let own = usize::from(!self.is_primary(at, vote.view));
        let prepares = &self.handed(at, vote.seq).prepares;
        own + prepares.iter().filter(|(v, d, _)| (*v, *d) == (vote.view, vote.digest)).count()
    }

    fn has_prepared(&mut self, at: ReplicaId, vote: &Vote) -> bool {
        self.prepare_count(at, vote) >= self.thresholds.quorum - 1
    }

    fn judge_commit(&mut self, at: ReplicaId, vote: &Vote) -> Result<(), String> {
        if self.has_prepared(at, vote) {
            return Ok(());
        }
        let (Vote { view, seq, .. }, count) = (vote, self.prepare_count(at, vote));
        Err(format!("replica {at} sent a COMMIT for {seq} in view {view} on {count} PREPAREs"))
    }

    /// The most COMMITs of one view that the replica has, its own included.
    fn commit_count(&mut self, at: ReplicaId, seq: SeqNum, digest: Digest) -> usize {
        let mut of_view: BTreeMap<View, usize> = BTreeMap::new();
        for (view, said, _) in &self.handed(at, seq).commits {
            *of_view.entry(*view).or_default() += usize::from(*said == digest);
        }
        let counts = of_view.into_iter().map(|(view, count)| {
            count + usize::from(self.has_prepared(at, &Vote { view, seq, digest }))
        });
        counts.max().unwrap_or(0)
    }

    fn judge_word(&mut self, at: ReplicaId, seq: SeqNum, digest: Digest) -> Result<(), String> {
        let Thresholds { quorum, weak } = self.thresholds;
        let Handed { commits, committed, .. } = self.handed(at, seq);
        let mut of_view: BTreeMap<View, usize> = BTreeMap::new();
        for (view, said, _) in commits.iter() {
            *of_view.entry(*view).or_default() += usize::from(*said == digest);
        }
        let others = of_view.into_values().max().unwrap_or(0);
        let words = committed.iter().filter(|(said, _)| *said == digest).count();
        let is_durable = || self.prepared.get(&at).is_some_and(|own| own.contains(&(seq, digest)));
        if others >= quorum || words >= weak || is_durable() {
            return Ok(());
        }
        Err(format!(
            "replica {at} says that {seq} is committed, on {others} COMMITs of others and {words} \
             COMMITTEDs, and has no P entry on its disk"
        ))
    }

    fn note_durable(&mut self, at: ReplicaId, starts: bool, records: &[Record]) {
        let own = self.prepared.entry(at).or_default();
        if starts {
            own.clear();
        }
        own.extend(records.iter().filter_map(|record| match record {
            Record::Prepared(entry) => Some((entry.seq, entry.digest)),
            _ => None,
        }));
        let stable = records.iter().filter_map(|record| match record {
            Record::Stable { seq, .. } => Some(*seq),
            _ => None,
        });
        if let Some(stable) = stable.max() {
            own.retain(|(number, _)| *number > stable);
            let numbers = self.handed.entry(at).or_default();
            *numbers = numbers.split_off(&stable.next());
            let known = self.stable.entry(at).or_default();
            *known = stable.max(*known);
        }
    }

    fn judge_committed(
        &mut self,
        at: ReplicaId,
        seq: SeqNum,
        digest: Digest,
    ) -> Result<(), String> {
        let Thresholds { quorum, weak } = self.thresholds;
        let commits = self.commit_count(at, seq, digest);
        let said = &self.handed(at, seq).committed;
        let committed = said.iter().filter(|(said, _)| *said == digest).count();
        if commits >= quorum || committed >= weak {
            return Ok(());
        }
        Err(format!(
            "{seq} is committed at replica {at} on {commits} COMMITs and {committed} COMMITTEDs"
        ))
    }
}

impl Checker for WholeCertificates {
    fn property(&self) -> &'static str {
        "certificates are whole"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match *observation {
            Observation::Handled { at, from: Endpoint::Replica(from), message } => {
                self.hand(at, from, message);
                Ok(())
            }
            Observation::Sent { from, message: Message::Commit(vote), .. }
                if self.stable.get(&from).is_none_or(|stable| vote.seq > *stable) =>
            {
                self.judge_commit(from, vote)
            }
            Observation::Sent { from, message: Message::Committed(word), .. }
                if self.stable.get(&from).is_none_or(|stable| word.seq > *stable) =>
            {
                self.judge_word(from, word.seq, word.digest)
            }
            Observation::Durable { at, starts, records } => {
                self.note_durable(at, starts, records);
                Ok(())
            }
            Observation::Happened { at, event: Event::Committed { seq, digest } } => {
                self.judge_committed(at, *seq, *digest)
            }
            _ => Ok(()),
        }
    }
}
