//! The checkpoints a replica holds: the last stable one and those after it. They answer state
//! transfers, and the last stable one becomes the durable snapshot. They share almost everything
//! with the current state.

use crate::executor::CheckpointState;
use pbft::SeqNum;
use pbft::message::CheckpointId;
use std::collections::{BTreeMap, VecDeque};

/// Checkpoints by number, and which of them are being hashed.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// **Invariant:** few: the window has room for L/K of them.
    held: BTreeMap<SeqNum, (CheckpointState, Option<CheckpointId>)>,
    /// Those that the core asked for and was not told of, in the order asked.
    asked: VecDeque<(SeqNum, Option<CheckpointId>)>,
}

impl Checkpoints {
    pub(super) fn new(state: CheckpointState, id: CheckpointId) -> Self {
        let mut checkpoints = Self { held: BTreeMap::new(), asked: VecDeque::new() };
        checkpoints.insert(state, id);
        checkpoints
    }

    /// Holds a checkpoint whose digest is known.
    pub(super) fn insert(&mut self, state: CheckpointState, id: CheckpointId) {
        self.held.insert(state.seq(), (state, Some(id)));
    }

    /// Holds a checkpoint that is about to be hashed.
    pub(super) fn take(&mut self, state: CheckpointState) {
        self.asked.push_back((state.seq(), None));
        self.held.insert(state.seq(), (state, None));
    }

    /// A checkpoint was hashed. Returns what the core can be told now: hashing may finish in
    /// another order than the core asked in.
    pub(super) fn on_hashed(
        &mut self,
        seq: SeqNum,
        id: CheckpointId,
    ) -> Vec<(SeqNum, CheckpointId)> {
        if let Some((_, known)) = self.held.get_mut(&seq) {
            *known = Some(id);
        }
        if let Some((_, known)) = self.asked.iter_mut().find(|(asked, _)| *asked == seq) {
            *known = Some(id);
        }
        let mut answers = Vec::new();
        while let Some((seq, Some(id))) = self.asked.front().copied() {
            self.asked.pop_front();
            answers.push((seq, id));
        }
        answers
    }

    /// The checkpoint at a number, if it is held and hashed.
    pub(super) fn find(&self, seq: SeqNum) -> Option<(CheckpointState, CheckpointId)> {
        let (state, id) = self.held.get(&seq)?;
        id.map(|id| (state.clone(), id))
    }

    /// Lets go of the checkpoints below a stable one.
    pub(super) fn forget_below(&mut self, stable: SeqNum) {
        self.held = self.held.split_off(&stable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;
    use pbft::Digest;

    fn state(seq: u64) -> CheckpointState {
        let history_root = Digest::of("test", &[&seq.to_le_bytes()]);
        CheckpointState { seq: SeqNum::new(seq), tree: Tree::new(), history_root }
    }

    #[test]
    fn core_is_told_in_the_order_asked() {
        let mut checkpoints = Checkpoints::new(state(0), state(0).id());
        (1..=3).for_each(|seq| checkpoints.take(state(seq)));
        let told = |answers: Vec<(SeqNum, CheckpointId)>| -> Vec<u64> {
            answers.iter().map(|(seq, _)| seq.get()).collect()
        };
        let mut hashed = |seq| told(checkpoints.on_hashed(SeqNum::new(seq), state(seq).id()));
        assert_eq!(hashed(2), [0; 0]);
        assert_eq!(hashed(1), [1, 2]);
        assert_eq!(hashed(3), [3]);
        assert_eq!(hashed(3), [0; 0], "a second answer is none");
    }

    #[test]
    fn checkpoint_is_found_once_it_is_hashed_and_until_a_later_one_is_stable() {
        let mut checkpoints = Checkpoints::new(state(0), state(0).id());
        checkpoints.take(state(8));
        assert!(checkpoints.find(SeqNum::new(8)).is_none());
        checkpoints.on_hashed(SeqNum::new(8), state(8).id());
        assert_eq!(checkpoints.find(SeqNum::new(8)).unwrap().1, state(8).id());
        checkpoints.forget_below(SeqNum::new(8));
        assert!(checkpoints.find(SeqNum::new(0)).is_none());
        assert!(checkpoints.find(SeqNum::new(8)).is_some());
    }
}
