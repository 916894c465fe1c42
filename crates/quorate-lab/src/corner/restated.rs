//! The thresholds and the new-view decision once more, from the papers and with arithmetic of its
//! own, for four replicas: a mistake in the core's must not hide from it.

use pbft::message::{Batch, CheckpointId, PreparedEntry, ViewChange};
use pbft::{Digest, SeqNum, View};

/// 2f+1 of 3f+1.
pub(super) const QUORUM: usize = 3;

/// f+1: one of them is correct.
pub(super) const WEAK: usize = 2;

/// The start of a view and its choices; `None` if these VIEW-CHANGEs do not decide it.
pub(super) fn decide(
    view_changes: &[&ViewChange],
    log_window: u64,
) -> Option<((SeqNum, CheckpointId), Vec<Digest>)> {
    if view_changes.len() < QUORUM {
        return None;
    }
    let start = checkpoint(view_changes)?;
    let mut chosen = Vec::new();
    for offset in 1..=log_window {
        chosen.push(choice(view_changes, start.0.plus(offset))?);
    }
    while chosen.last() == Some(&Batch::NULL) {
        chosen.pop();
    }
    Some((start, chosen))
}

fn checkpoint(view_changes: &[&ViewChange]) -> Option<(SeqNum, CheckpointId)> {
    let mut best: Option<(SeqNum, CheckpointId)> = None;
    for candidate in view_changes.iter().flat_map(|vc| &vc.checkpoints) {
        let listing = count(view_changes, |vc| vc.checkpoints.contains(candidate));
        let below = count(view_changes, |vc| vc.low_water_mark <= candidate.0);
        let holds = listing >= WEAK && below >= QUORUM;
        if holds && best.is_none_or(|known| known < *candidate) {
            best = Some(*candidate);
        }
    }
    best
}

/// What these VIEW-CHANGEs choose at a number: a digest, null, or `None` if they leave it open.
pub(super) fn choice(view_changes: &[&ViewChange], seq: SeqNum) -> Option<Digest> {
    let mut best: Option<(View, Digest)> = None;
    for candidate in view_changes.iter().filter_map(|vc| at(&vc.prepared, seq)) {
        let a1 = count(view_changes, |vc| {
            let own = at(&vc.prepared, seq);
            let contradicts = own.is_some_and(|own| {
                own.view > candidate.view
                    || own.view == candidate.view && own.digest != candidate.digest
            });
            vc.low_water_mark < seq && !contradicts
        });
        let a2 = count(view_changes, |vc| {
            at(&vc.pre_prepared, seq)
                .is_some_and(|own| own.digest == candidate.digest && own.view >= candidate.view)
        });
        let ranked = (candidate.view, candidate.digest);
        if a1 >= QUORUM && a2 >= WEAK && best.is_none_or(|known| known < ranked) {
            best = Some(ranked);
        }
    }
    if let Some((_, digest)) = best {
        return Some(digest);
    }
    let silent =
        count(view_changes, |vc| vc.low_water_mark < seq && at(&vc.prepared, seq).is_none());
    (silent >= QUORUM).then_some(Batch::NULL)
}

fn at(entries: &[PreparedEntry], seq: SeqNum) -> Option<&PreparedEntry> {
    entries.iter().find(|entry| entry.seq == seq)
}

fn count(view_changes: &[&ViewChange], holds: impl Fn(&ViewChange) -> bool) -> usize {
    view_changes.iter().filter(|vc| holds(vc)).count()
}
