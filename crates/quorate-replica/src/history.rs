//! The history: a Merkle log over the digests of all batches from number 1 on.
//!
//! Every CHECKPOINT signs the log's root, so that a client or an auditor can later be shown that a
//! batch is at a number (an inclusion proof), and that one checkpoint's history continues an
//! earlier one's (a consistency proof). Such a log cannot be retrofitted, so it is kept from the
//! first batch on.
//!
//! The shape is that of RFC 9162, section 2.1: the tree over `size` leaves joins the largest
//! perfect tree that leaves something over with the tree over the rest. Hence the log is known by
//! its *peaks*, the roots of the perfect trees in the binary representation of `size`, and a
//! replica keeps only those: at most 64 digests, whatever the length. Consistency of two roots
//! follows from the same shape: every peak of the shorter log is a node of the longer one, and
//! both roots are functions of those peaks and of what was appended.
//!
//! Leaves, inner nodes and the empty log are hashed in domains of their own, so that none of them
//! can stand for another. Formats: `docs/storage.md`, section *History*.

use borsh::{BorshDeserialize, BorshSerialize};
use pbft::{Digest, SeqNum};

/// The log of batch digests, as far as it takes to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct History {
    /// How many batches: the last one executed has this number.
    size: u64,
    /// The roots of the perfect trees that make up the log, the largest (and oldest) first.
    /// **Invariant:** one for each one-bit of `size`.
    peaks: Vec<Digest>,
}

const LEAF_CONTEXT: &str = "quorate history v1 leaf";
const NODE_CONTEXT: &str = "quorate history v1 inner node";
const EMPTY_CONTEXT: &str = "quorate history v1 empty";

impl History {
    /// Appends the digest of the batch with the next number.
    pub(crate) fn append(&mut self, batch: Digest) {
        let mut joined = leaf(batch);
        // As in binary addition: each one-bit that a carry meets is a tree of the same size.
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("there is a peak for each one-bit of the size");
            joined = node(left, joined);
        }
        self.peaks.push(joined);
        self.size += 1;
    }

    /// The number of the last batch in the log; 0 if there is none.
    pub(crate) const fn last(&self) -> SeqNum {
        SeqNum::new(self.size)
    }

    /// The root over the whole log.
    pub(crate) fn root(&self) -> Digest {
        let smaller_first = self.peaks.iter().rev().copied();
        let joined = smaller_first.reduce(|rest, peak| node(peak, rest));
        joined.unwrap_or_else(|| Digest::of(EMPTY_CONTEXT, &[]))
    }

    /// Whether there is a peak for each one-bit of the size: what is read back must be a log.
    pub(crate) fn is_sound(&self) -> bool {
        self.peaks.len() == self.size.count_ones() as usize && self.last() <= SeqNum::MAX
    }
}

fn leaf(batch: Digest) -> Digest {
    Digest::of(LEAF_CONTEXT, &[batch.as_bytes()])
}

fn node(left: Digest, right: Digest) -> Digest {
    Digest::of(NODE_CONTEXT, &[left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(number: u64) -> Digest {
        Digest::of("test batch", &[&number.to_le_bytes()])
    }

    fn history(size: u64) -> History {
        let mut history = History::default();
        (1..=size).for_each(|number| history.append(batch(number)));
        history
    }

    /// The definition in RFC 9162, section 2.1.1, computed from all leaves.
    fn naive_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(EMPTY_CONTEXT, &[]),
            [only] => leaf(*only),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(naive_root(&leaves[..split]), naive_root(&leaves[split..]))
            }
        }
    }

    #[test]
    fn root_is_that_of_the_definition_at_every_size() {
        let leaves: Vec<Digest> = (1..=300).map(batch).collect();
        let mut history = History::default();
        for size in 0..leaves.len() {
            assert_eq!(history.root(), naive_root(&leaves[..size]), "of {size} batches");
            assert!(history.is_sound());
            history.append(leaves[size]);
        }
        assert_eq!(history.last(), SeqNum::new(300));
    }

    #[test]
    fn peaks_of_a_log_are_nodes_of_every_longer_one() {
        let leaves: Vec<Digest> = (1..=64).map(batch).collect();
        for size in 1..64 {
            let mut from = 0;
            for peak in history(size).peaks {
                let rest = size as usize - from;
                let width = 1 << rest.ilog2();
                assert_eq!(peak, naive_root(&leaves[from..from + width]));
                from += width;
            }
        }
    }

    #[test]
    fn log_stays_small() {
        let history = history(5000);
        assert_eq!(history.peaks.len(), 5000_u64.count_ones() as usize);
    }

    #[test]
    fn an_inner_node_cannot_stand_for_a_leaf() {
        let (two, mut forged) = (history(2), History::default());
        let children = [leaf(batch(1)), leaf(batch(2))];
        forged.append(Digest::of("test", &[children[0].as_bytes(), children[1].as_bytes()]));
        assert_ne!(two.root(), forged.root());
        assert_ne!(two.root(), leaf(two.root()));
    }

    proptest! {
        #[test]
        fn any_changed_batch_changes_the_root(size in 1_u64..200, changed in 1_u64..200) {
            let mut other = History::default();
            for number in 1..=size {
                other.append(if number == changed { batch(number + 1000) } else { batch(number) });
            }
            prop_assert_eq!(other.root() != history(size).root(), changed <= size);
        }

        #[test]
        fn log_is_read_back_as_it_was_written(size in 0_u64..2000) {
            let history = history(size);
            let bytes = borsh::to_vec(&history).unwrap();
            prop_assert_eq!(History::try_from_slice(&bytes).unwrap(), history);
        }
    }
}
