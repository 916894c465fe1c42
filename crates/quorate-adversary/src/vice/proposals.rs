//! What a faulty primary proposes in place of what its replica does: thought up once for each
//! number, and the same for everybody and for ever.

use pbft::message::{Outline, Vote};
use pbft::{Digest, SeqNum, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many of the latest proposals are remembered.
const PROPOSALS_COUNT_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Proposals(BTreeMap<(View, SeqNum), (Digest, Arc<Outline>)>);

impl Proposals {
    /// What is proposed at this place, with its digest.
    pub(super) fn at(
        &mut self,
        place: (View, SeqNum),
        think_up: impl FnOnce() -> Outline,
    ) -> (Digest, Arc<Outline>) {
        let thought_up = || {
            let outline = think_up();
            (outline.digest(), Arc::new(outline))
        };
        let proposal = self.0.entry(place).or_insert_with(thought_up).clone();
        if self.0.len() > PROPOSALS_COUNT_MAX {
            self.0.pop_first();
        }
        proposal
    }

    /// Whether the vote is for something that was thought up here.
    pub(super) fn has(&self, vote: &Vote) -> bool {
        let proposal = self.0.get(&(vote.view, vote.seq));
        proposal.is_some_and(|(digest, _)| *digest == vote.digest)
    }
}
