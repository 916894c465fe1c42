//! The accomplice of an equivocating primary: it votes to each replica, PREPARE and COMMIT, for
//! what that one votes for, and so for both batches of its principal. It waits for a replica's
//! vote before it sends its own.
//!
//! Its votes pass the door and count. Up to f colluders are *masked*, with an equivocating primary
//! *after a view change*, and that one is named; with more, two digests commit at one number.

use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::Vote;
use pbft::{Digest, Message, ReplicaId, SeqNum, View};
use std::collections::BTreeMap;

/// So many of its latest votes are remembered.
const VOTES_COUNT_MAX: usize = 8_192;

#[derive(Debug)]
pub(super) struct Accomplice {
    identity: Identity,
    /// What each replica was told.
    told: BTreeMap<(View, SeqNum, ReplicaId), Digest>,
}

impl Accomplice {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, told: BTreeMap::new() }
    }

    /// Its vote as `to` shall see it: none before that one has voted. The primary never prepares.
    fn shown(&self, to: Endpoint, vote: Vote) -> Option<Vote> {
        match to {
            Endpoint::Replica(to) if to != self.identity.config.primary(vote.view) => {
                let digest = *self.told.get(&(vote.view, vote.seq, to))?;
                Some(Vote { digest, ..vote })
            }
            _ => Some(vote),
        }
    }
}

impl Vice for Accomplice {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::Prepare(vote) => self.shown(to, vote).map(Message::Prepare),
            Message::Commit(vote) => self.shown(to, vote).map(Message::Commit),
            other => Some(other),
        };
        message.map(|message| now(to, message)).into_iter().collect()
    }

    fn on_receive(
        &mut self,
        from: Endpoint,
        message: Message,
        sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        if let (Endpoint::Replica(replica), Message::Prepare(vote)) = (from, &message) {
            let place = (vote.view, vote.seq, replica);
            // Once for each, else two accomplices would answer each other for ever.
            if self.told.insert(place, vote.digest).is_none() {
                if self.identity.id != self.identity.config.primary(vote.view) {
                    sendings.push(now(from, Message::Prepare(*vote)));
                }
                sendings.push(now(from, Message::Commit(*vote)));
            }
            if self.told.len() > VOTES_COUNT_MAX {
                self.told.pop_first();
            }
        }
        Some(message)
    }
}
