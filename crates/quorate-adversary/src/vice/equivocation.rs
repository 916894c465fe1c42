//! A primary that assigns one sequence number to two batches, each for one half of the backups,
//! and stands by both: to each half it commits to what it proposed there.

use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::{Batch, PrePrepare, Vote};
use pbft::{Digest, Message, ReplicaId, SeqNum, Signed, View, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many of the latest proposals are remembered.
const PROPOSALS_COUNT_MAX: usize = 8_192;

#[derive(Debug)]
pub(super) struct Equivocation {
    identity: Identity,
    /// For each number assigned in a view, the digest the other half was given.
    second: BTreeMap<(View, SeqNum), Digest>,
}

impl Equivocation {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, second: BTreeMap::new() }
    }

    /// Whether this backup belongs to the half that gets the second batch: the backups with the
    /// higher ids, the larger half if they cannot be halved.
    fn is_deceived(&self, to: Endpoint) -> bool {
        let Endpoint::Replica(backup) = to else {
            return false;
        };
        let count = self.identity.config.replica_count();
        let me = self.identity.id.get();
        let rank = backup.get().saturating_sub(u32::from(backup.get() > me));
        backup != ReplicaId::new(me) && rank >= (count - 1) / 2
    }

    fn second_proposal(&mut self, first: &PrePrepare, batch: &Batch) -> Message {
        let second = second_batch(batch);
        let digest = second.digest();
        self.second.insert((first.view, first.seq), digest);
        if self.second.len() > PROPOSALS_COUNT_MAX {
            self.second.pop_first();
        }
        let Identity { config, id, key, .. } = &self.identity;
        let body = PrePrepare { digest, ..*first };
        Message::PrePrepare(Signed::sign(&config.domain, key, *id, body), Arc::new(second))
    }
}

impl Vice for Equivocation {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        if !self.is_deceived(to) {
            return vec![now(to, message)];
        }
        let message = match message {
            Message::PrePrepare(signed, batch) if signed.signer == self.identity.id => {
                self.second_proposal(&signed.body, &batch)
            }
            Message::Commit(vote) => {
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
