//! One sequence number in the log, and the predicates on which safety rests: prepared and
//! committed-local (OSDI '99 section 4.2). They are questions asked of the certificates held, never
//! flags somebody sets.

use crate::auth::Signed;
use crate::message::PrePrepare;
use crate::quorum::Quorums;
use crate::{Digest, Position, ReplicaId, View};
use alloc::collections::{BTreeMap, BTreeSet};

/// What a replica holds about one sequence number above its low water mark.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// What the primary of the current view assigned to this number, in a PRE-PREPARE or by its
    /// NEW-VIEW. **Invariant:** once set it is not replaced before the view changes [PP3].
    pub(crate) proposal: Option<Proposal>,
    /// The first PREPARE of each backup in the current view. It may come before the PRE-PREPARE;
    /// it counts only where it matches.
    pub(crate) prepares: BTreeMap<ReplicaId, Digest>,
    /// The P entry of the current view: where it was made durable. **Invariant:** set once, when
    /// [`Slot::is_prepared`] first holds; COMMIT waits for it.
    pub(crate) prepared_at: Option<Position>,
    /// The COMMIT of each replica in the latest view it was seen to commit in. Survives view
    /// changes: a commit certificate is good in any view [C3].
    pub(crate) commits: BTreeMap<ReplicaId, (View, Digest)>,
    /// The backups that had to ask this primary for the batch of its proposal [SR4].
    pub(crate) asked_by: BTreeSet<ReplicaId>,
    /// The first COMMITTED of each replica [C4].
    pub(crate) claims: BTreeMap<ReplicaId, Digest>,
    /// The digest known to be committed here. **Invariant:** never changes.
    pub(crate) committed: Option<Digest>,
}

/// An assignment of a digest to a number in the current view.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    /// The digest of the batch, or of the null request.
    pub(crate) digest: Digest,
    /// The primary's signed message; absent when its NEW-VIEW chose the digest.
    pub(crate) signed: Option<Signed<PrePrepare>>,
    /// Where the Q entry was made durable, once the batch is held and the vote is cast.
    pub(crate) voted_at: Option<Position>,
}

impl Slot {
    /// prepared(m, v, n, i): the proposal and its batch are held (else no vote was cast), and
    /// PREPAREs of enough distinct backups match it, one's own included [P3].
    pub(crate) fn is_prepared(&self, quorums: Quorums) -> bool {
        let Some(proposal) = &self.proposal else {
            return false;
        };
        let matching = self.prepares.values().filter(|digest| **digest == proposal.digest).count();
        proposal.voted_at.is_some() && matching >= quorums.prepares()
    }

    /// The digest that a certificate held here proves to be committed: COMMITs of a quorum in one
    /// view, or the word of a weak quorum that it is committed at them. Whether its batch is held
    /// is another question [C2].
    pub(crate) fn certified_digest(&self, quorums: Quorums) -> Option<Digest> {
        let by_commits = most_frequent(self.commits.values().copied())
            .filter(|(count, _)| *count >= quorums.quorum())
            .map(|(_, (_, digest))| digest);
        let by_claims = || {
            most_frequent(self.claims.values().copied())
                .filter(|(count, _)| *count >= quorums.weak())
                .map(|(_, digest)| digest)
        };
        by_commits.or_else(by_claims)
    }

    /// How many replicas were last seen to commit this digest in this view.
    pub(crate) fn commit_count(&self, view: View, digest: Digest) -> usize {
        self.commits.values().filter(|commit| **commit == (view, digest)).count()
    }

    /// Forgets what belongs to the view that was left. P and Q entries live elsewhere; COMMITs
    /// and what is committed are good in any view.
    pub(crate) fn leave_view(&mut self) {
        self.proposal = None;
        self.prepares.clear();
        self.prepared_at = None;
        self.asked_by.clear();
    }
}

/// The most frequent of some values, and how often it occurs.
fn most_frequent<T: Ord>(values: impl Iterator<Item = T>) -> Option<(usize, T)> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts.into_iter().map(|(value, count)| (count, value)).max_by_key(|(count, _)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    fn quorums() -> Quorums {
        Quorums::new(4).unwrap()
    }

    fn slot_with_proposal(voted_at: Option<Position>) -> Slot {
        let proposal = Proposal { digest: digest(1), signed: None, voted_at };
        Slot { proposal: Some(proposal), ..Slot::default() }
    }

    /// [P3] Prepared needs the proposal, its batch, and 2f matching PREPAREs.
    #[test]
    fn prepared_needs_the_vote_and_two_matching_prepares() {
        let mut slot = slot_with_proposal(Some(Position::ZERO));
        slot.prepares.insert(ReplicaId::new(1), digest(1));
        slot.prepares.insert(ReplicaId::new(2), digest(9));
        assert!(!slot.is_prepared(quorums()), "one matches, one does not");
        slot.prepares.insert(ReplicaId::new(3), digest(1));
        assert!(slot.is_prepared(quorums()));
        let mut without_batch = slot_with_proposal(None);
        without_batch.prepares = slot.prepares.clone();
        assert!(!without_batch.is_prepared(quorums()), "the batch is not held");
    }

    /// [C2] COMMITs of different views or digests do not add up.
    #[test]
    fn commits_count_only_within_one_view_and_digest() {
        let mut slot = Slot::default();
        slot.commits.insert(ReplicaId::new(0), (View::new(1), digest(1)));
        slot.commits.insert(ReplicaId::new(1), (View::new(1), digest(1)));
        slot.commits.insert(ReplicaId::new(2), (View::new(2), digest(1)));
        slot.commits.insert(ReplicaId::new(3), (View::new(1), digest(2)));
        assert_eq!(slot.certified_digest(quorums()), None);
        slot.commits.insert(ReplicaId::new(2), (View::new(1), digest(1)));
        assert_eq!(slot.certified_digest(quorums()), Some(digest(1)));
    }

    /// [C4] A weak quorum of COMMITTED suffices; f of them do not.
    #[test]
    fn f_plus_1_equal_claims_prove_a_commit() {
        let mut slot = Slot::default();
        slot.claims.insert(ReplicaId::new(0), digest(1));
        slot.claims.insert(ReplicaId::new(1), digest(2));
        assert_eq!(slot.certified_digest(quorums()), None);
        slot.claims.insert(ReplicaId::new(2), digest(1));
        assert_eq!(slot.certified_digest(quorums()), Some(digest(1)));
    }

    /// What each of n replicas said: nothing, or one of a few values.
    fn said<T: core::fmt::Debug + Clone>(
        value: impl Strategy<Value = T> + Clone,
    ) -> impl Strategy<Value = alloc::vec::Vec<Option<T>>> {
        prop::collection::vec(prop::option::weighted(0.8, value), 13)
    }

    fn among<T: Clone>(n: u32, said: &[Option<T>]) -> BTreeMap<ReplicaId, T> {
        let ids = (0..n).map(ReplicaId::new);
        ids.zip(said).filter_map(|(id, value)| Some((id, value.clone()?))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        /// [P3] [C2] [C4] The predicates against counting one by one, with arithmetic of its own.
        #[test]
        fn certificates_agree_with_counting_one_by_one(
            n in 4..=13_u32,
            prepares in said((1..=2_u8).prop_map(digest)),
            commits in said((0..=1_u64, 1..=2_u8).prop_map(|(v, d)| (View::new(v), digest(d)))),
            claims in said((1..=3_u8).prop_map(digest)),
            voted in any::<bool>(),
        ) {
            let f = (n as usize - 1) / 3;
            let q = (n as usize + f) / 2 + 1;
            let quorums = Quorums::new(n).unwrap();
            let mut slot = slot_with_proposal(voted.then_some(Position::ZERO));
            slot.prepares = among(n, &prepares);
            slot.commits = among(n, &commits);
            slot.claims = among(n, &claims);
            let matching = (0..n as usize).filter(|i| prepares[*i] == Some(digest(1))).count();
            prop_assert_eq!(slot.is_prepared(quorums), voted && matching + 1 >= q);
            let equal_commits = |wanted: (View, Digest)| {
                (0..n as usize).filter(|i| commits[*i] == Some(wanted)).count()
            };
            let equal_claims =
                |wanted: Digest| (0..n as usize).filter(|i| claims[*i] == Some(wanted)).count();
            let committed = [(0, 1), (0, 2), (1, 1), (1, 2)]
                .map(|(v, d)| (View::new(v), digest(d)))
                .into_iter()
                .find(|value| equal_commits(*value) >= q);
            let claimed: alloc::vec::Vec<Digest> =
                [1, 2, 3].map(digest).into_iter().filter(|d| equal_claims(*d) > f).collect();
            match (slot.certified_digest(quorums), committed) {
                (certified, Some((_, digest))) => prop_assert_eq!(certified, Some(digest)),
                (Some(certified), None) => prop_assert!(claimed.contains(&certified)),
                (None, None) => prop_assert_eq!(claimed, []),
            }
        }
    }
}
