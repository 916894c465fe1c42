//! What is committed is the only thing that a new view can choose: whichever quorum of the correct
//! replicas left its view now, their VIEW-CHANGEs would choose that at its number, or leave it
//! open. So a mistake about P and Q shows before a view change makes something of it.

use super::{Checker, Observation};
use crate::restated::{self, Thresholds};
use pbft::message::ViewChange;
use pbft::{Digest, Event, ReplicaId, SeqNum};
use std::collections::{BTreeMap, BTreeSet};

/// With more replicas than this there are too many quorums to look at each.
const REPLICA_COUNT_MAX: u32 = 7;

#[derive(Debug)]
pub(super) struct Decisions {
    thresholds: Thresholds,
    is_judging: bool,
    committed: BTreeMap<SeqNum, Digest>,
    /// What every correct replica that is up would tell.
    told: BTreeMap<ReplicaId, ViewChange>,
}

impl Decisions {
    pub(super) fn new(replica_count: u32) -> Self {
        Self {
            thresholds: Thresholds::of(replica_count as usize),
            is_judging: replica_count <= REPLICA_COUNT_MAX,
            committed: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }
}

impl Checker for Decisions {
    fn property(&self) -> &'static str {
        "what is committed is the only choice"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            _ if !self.is_judging => Ok(()),
            Observation::Happened { event: Event::Committed { seq, digest }, .. } => {
                self.committed.entry(*seq).or_insert(*digest);
                self.judge(*seq)
            }
            Observation::Remembers { at, tells: None } => {
                self.told.remove(at);
                Ok(())
            }
            Observation::Remembers { at, tells: Some(tells) } => {
                let changed = changed(self.told.get(at), tells);
                self.told.insert(*at, (*tells).clone());
                changed.into_iter().try_for_each(|seq| self.judge(seq))
            }
            _ => Ok(()),
        }
    }
}

impl Decisions {
    /// Looks at every quorum, about one number.
    fn judge(&self, seq: SeqNum) -> Result<(), String> {
        let Some(committed) = self.committed.get(&seq) else { return Ok(()) };
        let told: Vec<&ViewChange> = self.told.values().collect();
        for members in 0_u32..1 << told.len() {
            if (members.count_ones() as usize) < self.thresholds.quorum {
                continue;
            }
            let is_member = |index: &usize| members >> index & 1 == 1;
            let set: Vec<&ViewChange> =
                (0..told.len()).filter(is_member).map(|i| told[i]).collect();
            let start = restated::checkpoint(self.thresholds, &set);
            if start.is_none_or(|(start, _)| start >= seq) {
                continue;
            }
            let choice = restated::choice(self.thresholds, &set, seq);
            if choice.is_some_and(|choice| choice != *committed) {
                let who: Vec<String> = set.iter().map(|vc| vc.replica.to_string()).collect();
                return Err(format!(
                    "{committed} is committed at {seq}, but the VIEW-CHANGEs of replicas {} would \
                     choose {}",
                    who.join(", "),
                    choice.map(|choice| choice.to_string()).unwrap_or_default()
                ));
            }
        }
        Ok(())
    }
}

/// The numbers about which a replica would tell something else than before.
fn changed(before: Option<&ViewChange>, now: &ViewChange) -> BTreeSet<SeqNum> {
    let entries = |told: &ViewChange| {
        let entries = told.prepared.iter().map(|entry| (0, *entry));
        let entries = entries.chain(told.pre_prepared.iter().map(|entry| (1, *entry)));
        entries.map(|(list, entry)| (entry.seq, list, entry.view, entry.digest)).collect()
    };
    let now_entries: BTreeSet<_> = entries(now);
    let Some(before) = before else { return now_entries.iter().map(|entry| entry.0).collect() };
    let before_entries: BTreeSet<_> = entries(before);
    let mut changed: BTreeSet<SeqNum> =
        now_entries.symmetric_difference(&before_entries).map(|entry| entry.0).collect();
    if before.low_water_mark != now.low_water_mark {
        // Whoever moves on counts no more for what lies below, and the others have to do.
        let (low, high) = (before.low_water_mark, now.low_water_mark);
        changed.extend((low.get()..high.get()).map(|seq| SeqNum::new(seq).next()));
    }
    changed
}
