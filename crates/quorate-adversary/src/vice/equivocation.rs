//! A primary that assigns one sequence number to two batches, each for some of the backups, and
//! stands by both: for each backup it votes for what it proposed there. Its PREPARE, which no
//! primary sends, is refused [P2].
//!
//! Both proposals pass the door. Backups that learn of each other's hold two signatures for one
//! number: *detected and named*, and masked after a view change.

use super::{Vice, is_in_higher_half, now, own_pre_prepare};
use crate::{Endpoint, Identity, ReplicaSet, Sending};
use pbft::message::{Batch, Outline, PrePrepare, Vote};
use pbft::{Digest, Message, SeqNum, View, WallTime};
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
    fn proposals(&mut self, to: Endpoint, first: PrePrepare, honest: Message) -> Vec<Message> {
        let PrePrepare { view, seq, digest } = first;
        if !self.is_deceived(to) {
            return vec![honest, Message::Prepare(Vote { view, seq, digest })];
        }
        let (digest, shown) = self.second_proposal(first, &honest);
        self.second.insert((view, seq), digest);
        if self.second.len() > PROPOSALS_COUNT_MAX {
            self.second.pop_first();
        }
        let vote = Message::Prepare(Vote { view, seq, digest });
        let also = self.shows_both.then_some(honest);
        [shown, vote].into_iter().chain(also).collect()
    }

    /// The second proposal, in the form of the first: requests that are only named there are only
    /// named here.
    fn second_proposal(&self, first: PrePrepare, honest: &Message) -> (Digest, Message) {
        let sign = |digest| self.identity.sign(PrePrepare { digest, ..first });
        match honest {
            Message::PrePrepare(_, batch) => {
                let mut second = Batch::clone(batch);
                make_second(&mut second.requests, &mut second.time);
                let digest = second.digest();
                (digest, Message::PrePrepare(sign(digest), Arc::new(second)))
            }
            Message::Outline(_, outline) => {
                let mut second = Outline::clone(outline);
                make_second(&mut second.requests, &mut second.time);
                let digest = second.digest();
                (digest, Message::Outline(sign(digest), Arc::new(second)))
            }
            other => (first.digest, other.clone()),
        }
    }
}

impl Vice for Equivocation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        if let Some(first) = own_pre_prepare(&self.identity, &message) {
            let shown = self.proposals(to, first, message);
            return shown.into_iter().map(|message| now(to, message)).collect();
        }
        let message = match message {
            Message::Commit(vote) if self.is_deceived(to) => {
                let digest = self.second.get(&(vote.view, vote.seq)).copied();
                Message::Commit(Vote { digest: digest.unwrap_or(vote.digest), ..vote })
            }
            other => other,
        };
        vec![now(to, message)]
    }
}

/// Makes it another batch that is just as acceptable: one request fewer, or, if there is none, a
/// little later.
fn make_second<T>(requests: &mut Vec<T>, time: &mut WallTime) {
    if requests.pop().is_none() {
        *time = WallTime::from_millis(time.as_millis().saturating_add(1));
    }
}
