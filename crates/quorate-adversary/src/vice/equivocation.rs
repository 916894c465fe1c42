//! A primary that assigns one sequence number to two batches, each for some of the backups, and
//! stands by both: for each backup it votes for what it proposed there. Its PREPARE, which no
//! primary sends, is refused [P2].
//!
//! Both proposals pass the door. Backups that learn of each other's hold two signatures for one
//! number: *detected and named*, and masked after a view change.

use super::{Vice, is_in_higher_half, now};
use crate::{Endpoint, Identity, ReplicaSet, Sending};
use pbft::message::{Batch, PrePrepare, Vote};
use pbft::{Digest, Message, SeqNum, Signed, View, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many of the latest proposals are remembered.
const PROPOSALS_COUNT_MAX: usize = 8_192;

#[derive(Debug)]
pub(super) struct Equivocation {
    identity: Identity,
    /// Who is shown the second proposal, unless it is the half with the higher ids.
    deceived: Option<ReplicaSet>,
    /// Whether those are then shown the first proposal, too.
    shows_both: bool,
    /// For each number assigned in a view, the digest of the second proposal.
    second: BTreeMap<(View, SeqNum), Digest>,
}

impl Equivocation {
    pub(super) fn new(identity: Identity, deceived: Option<ReplicaSet>, shows_both: bool) -> Self {
        Self { identity, deceived, shows_both, second: BTreeMap::new() }
    }

    fn is_deceived(&self, to: Endpoint) -> bool {
        match (self.deceived, to) {
            (Some(deceived), Endpoint::Replica(backup)) => deceived.contains(backup),
            (None, backup) => is_in_higher_half(&self.identity, backup),
            (Some(_), Endpoint::Client(_)) => false,
        }
    }

    /// What a backup is shown for this proposal, and the PREPARE that goes with it.
    fn proposals(
        &mut self,
        to: Endpoint,
        first: Signed<PrePrepare>,
        batch: Arc<Batch>,
    ) -> Vec<Message> {
        let PrePrepare { view, seq, digest } = first.body;
        let honest = Message::PrePrepare(first, Arc::clone(&batch));
        if !self.is_deceived(to) {
            return vec![honest, Message::Prepare(Vote { view, seq, digest })];
        }
        let second = second_batch(&batch);
        let digest = second.digest();
        self.second.insert((view, seq), digest);
        if self.second.len() > PROPOSALS_COUNT_MAX {
            self.second.pop_first();
        }
        let shown = Message::PrePrepare(
            self.identity.sign(PrePrepare { view, seq, digest }),
            Arc::new(second),
        );
        let vote = Message::Prepare(Vote { view, seq, digest });
        let also = self.shows_both.then_some(honest);
        [shown, vote].into_iter().chain(also).collect()
    }
}

impl Vice for Equivocation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.identity.id => {
                let shown = self.proposals(to, signed, batch);
                return shown.into_iter().map(|message| now(to, message)).collect();
            }
            Message::Commit(vote) if self.is_deceived(to) => {
                let digest = self.second.get(&(vote.view, vote.seq)).copied();
                Message::Commit(Vote { digest: digest.unwrap_or(vote.digest), ..vote })
            }
            other => other,
        };
        vec![now(to, message)]
    }
}

/// Another batch that is just as acceptable: one request fewer, or, if there is none, a little
/// later.
fn second_batch(batch: &Batch) -> Batch {
    let mut second = batch.clone();
    if second.requests.pop().is_none() {
        second.time = WallTime::from_millis(batch.time.as_millis().saturating_add(1));
    }
    second
}
