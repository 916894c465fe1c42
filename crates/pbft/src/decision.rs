//! What a new view must carry over: the decision procedure of the view change (TOCS 2002
//! figure 4) as one pure function. The new primary runs it on the VIEW-CHANGEs it holds; every
//! backup runs it again on exactly those that the NEW-VIEW names.

use crate::message::{Batch, CheckpointId, PreparedEntry, ViewChange};
use crate::quorum::Quorums;
use crate::{Digest, SeqNum};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What follows from a set of VIEW-CHANGEs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    /// The checkpoint the view starts from.
    pub(crate) checkpoint: (SeqNum, CheckpointId),
    /// The digest for each number above it, without a gap; nothing but null would follow.
    pub(crate) chosen: Vec<Digest>,
}

/// Decides, or returns `None` when more VIEW-CHANGEs are needed. With those of all correct
/// replicas it always decides, and it may need more than a quorum [NV1].
///
/// `log_window` is L. The quantifiers are independent: each count below ranges over all of
/// `view_changes` [NV2].
pub(crate) fn decide(
    quorums: Quorums,
    log_window: u64,
    view_changes: &[&ViewChange],
) -> Option<Decision> {
    let checkpoint = choose_checkpoint(quorums, view_changes)?;
    let first = checkpoint.0.next();
    let last = checkpoint.0.plus(log_window);
    let mentioned: BTreeSet<SeqNum> = view_changes
        .iter()
        .flat_map(|view_change| &view_change.prepared)
        .map(|entry| entry.seq)
        .filter(|seq| first <= *seq && *seq <= last)
        .collect();
    // A number that no P mentions is null by rule B: the quorum that chose the checkpoint has its
    // low water mark below it. So only the mentioned ones need deciding.
    let mut choices = BTreeMap::new();
    for seq in mentioned {
        choices.insert(seq, choose_digest(quorums, view_changes, seq)?);
    }
    let end = choices.iter().rev().find(|(_, digest)| **digest != Batch::NULL).map(|(seq, _)| *seq);
    let count = end.map_or(0, |end| end.get() - checkpoint.0.get());
    let chosen = (1..=count)
        .map(|offset| choices.get(&checkpoint.0.plus(offset)).copied().unwrap_or(Batch::NULL))
        .collect();
    Some(Decision { checkpoint, chosen })
}

/// The highest checkpoint that f+1 list in C and that a quorum does not claim to be past.
fn choose_checkpoint(
    quorums: Quorums,
    view_changes: &[&ViewChange],
) -> Option<(SeqNum, CheckpointId)> {
    let candidates: BTreeSet<(SeqNum, CheckpointId)> = view_changes
        .iter()
        .flat_map(|view_change| view_change.checkpoints.iter().copied())
        .collect();
    candidates.into_iter().rev().find(|candidate| {
        let supporters =
            view_changes.iter().filter(|vc| vc.checkpoints.contains(candidate)).count();
        let not_past = view_changes.iter().filter(|vc| vc.low_water_mark <= candidate.0).count();
        supporters >= quorums.weak() && not_past >= quorums.quorum()
    })
}

/// Rule A for the candidate of the highest view that satisfies it, else rule B, else undecided.
fn choose_digest(quorums: Quorums, view_changes: &[&ViewChange], seq: SeqNum) -> Option<Digest> {
    let below: Vec<&ViewChange> =
        view_changes.iter().copied().filter(|vc| vc.low_water_mark < seq).collect();
    let mut candidates: Vec<&PreparedEntry> =
        view_changes.iter().filter_map(|vc| entry_at(&vc.prepared, seq)).collect();
    candidates.sort_by_key(|entry| (entry.view, entry.digest));
    let chosen = candidates.iter().rev().find(|candidate| {
        let not_contradicted = below
            .iter()
            .filter(|vc| {
                entry_at(&vc.prepared, seq).is_none_or(|other| {
                    other.view < candidate.view
                        || (other.view == candidate.view && other.digest == candidate.digest)
                })
            })
            .count();
        let vouched_for = view_changes
            .iter()
            .filter(|vc| {
                entry_at(&vc.pre_prepared, seq).is_some_and(|entry| {
                    entry.digest == candidate.digest && entry.view >= candidate.view
                })
            })
            .count();
        not_contradicted >= quorums.quorum() && vouched_for >= quorums.weak()
    });
    if let Some(entry) = chosen {
        return Some(entry.digest);
    }
    let silent = below.iter().filter(|vc| entry_at(&vc.prepared, seq).is_none()).count();
    (silent >= quorums.quorum()).then_some(Batch::NULL)
}

/// The entry at a number, in a list sorted by number.
fn entry_at(entries: &[PreparedEntry], seq: SeqNum) -> Option<&PreparedEntry> {
    entries.binary_search_by_key(&seq, |entry| entry.seq).ok().and_then(|index| entries.get(index))
}

#[cfg(test)]
mod tests;
