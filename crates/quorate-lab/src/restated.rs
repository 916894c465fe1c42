//! The thresholds and the new-view decision once more, from the papers and with arithmetic of its
//! own: a mistake in the core's must not hide from it.

use pbft::message::{Batch, CheckpointId, PreparedEntry, ViewChange};
use pbft::{Digest, SeqNum, View};

/// How many of n replicas are a quorum, and how many surely include a correct one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    pub(crate) quorum: usize,
    /// f+1.
    pub(crate) weak: usize,
}

impl Thresholds {
    /// The smallest quorum of which any two share f+1 replicas, for the largest f below a third.
    pub(crate) const fn of(replica_count: usize) -> Self {
        let mut faulty = 0;
        while 3 * (faulty + 1) < replica_count {
            faulty += 1;
        }
        let mut quorum = 1;
        while 2 * quorum < replica_count + faulty + 1 {
            quorum += 1;
        }
        Self { quorum, weak: faulty + 1 }
    }
}

/// The start of a view and its choices; `None` if these VIEW-CHANGEs do not decide it.
pub(crate) fn decide(
    thresholds: Thresholds,
    view_changes: &[&ViewChange],
    log_window: u64,
) -> Option<((SeqNum, CheckpointId), Vec<Digest>)> {
    if view_changes.len() < thresholds.quorum {
        return None;
    }
    let start = checkpoint(thresholds, view_changes)?;
    let mut chosen = Vec::new();
    for offset in 1..=log_window {
        chosen.push(choice(thresholds, view_changes, start.0.plus(offset))?);
    }
    while chosen.last() == Some(&Batch::NULL) {
        chosen.pop();
    }
    Some((start, chosen))
}

/// Where a view that begins with these VIEW-CHANGEs starts; `None` if they leave it open.
pub(crate) fn checkpoint(
    thresholds: Thresholds,
    view_changes: &[&ViewChange],
) -> Option<(SeqNum, CheckpointId)> {
    let mut best: Option<(SeqNum, CheckpointId)> = None;
    for candidate in view_changes.iter().flat_map(|vc| &vc.checkpoints) {
        let listing = count(view_changes, |vc| vc.checkpoints.contains(candidate));
        let below = count(view_changes, |vc| vc.low_water_mark <= candidate.0);
        let holds = listing >= thresholds.weak && below >= thresholds.quorum;
        if holds && best.is_none_or(|known| known < *candidate) {
            best = Some(*candidate);
        }
    }
    best
}

/// What these VIEW-CHANGEs choose at a number: a digest, null, or `None` if they leave it open.
pub(crate) fn choice(
    thresholds: Thresholds,
    view_changes: &[&ViewChange],
    seq: SeqNum,
) -> Option<Digest> {
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
        if a1 >= thresholds.quorum
            && a2 >= thresholds.weak
            && best.is_none_or(|known| known < ranked)
        {
            best = Some(ranked);
        }
    }
    if let Some((_, digest)) = best {
        return Some(digest);
    }
    let silent =
        count(view_changes, |vc| vc.low_water_mark < seq && at(&vc.prepared, seq).is_none());
    (silent >= thresholds.quorum).then_some(Batch::NULL)
}

fn at(entries: &[PreparedEntry], seq: SeqNum) -> Option<&PreparedEntry> {
    entries.iter().find(|entry| entry.seq == seq)
}

fn count(view_changes: &[&ViewChange], holds: impl Fn(&ViewChange) -> bool) -> usize {
    view_changes.iter().filter(|vc| holds(vc)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_the_papers_where_n_is_3f_plus_1_and_more_above() {
        let of = |count| {
            let Thresholds { quorum, weak } = Thresholds::of(count);
            (quorum, weak)
        };
        assert_eq!([of(4), of(7), of(10)], [(3, 2), (5, 3), (7, 4)]);
        assert_eq!([of(5), of(6), of(8), of(9)], [(4, 2), (4, 2), (6, 3), (6, 3)]);
    }
}
