//! Which messages are changed: those of a few rounds, to some of their receivers.

use super::variants::variants;
use crate::rng::Stream;
use pbft::message::Kind;
use pbft::{Message, ReplicaId, SeqNum, View};
use quorate_adversary::{Endpoint, Identity};
use std::collections::BTreeMap;

/// A round is what a replica sends of one kind for one view and number; those of each kind are
/// counted in the order in which they begin. Changes fall into the first ones: of a kind that is
/// rare into fewer.
const ROUNDS: [(Kind, u64); 9] = [
    (Kind::PrePrepare, 12),
    (Kind::Prepare, 12),
    (Kind::Commit, 12),
    (Kind::Reply, 12),
    (Kind::Checkpoint, 3),
    (Kind::ViewChange, 3),
    (Kind::NewView, 2),
    (Kind::Status, 12),
    (Kind::Repair, 4),
];

/// So many messages of each kind are remembered, to be replayed.
const REMEMBERED_COUNT_MAX: usize = 8;

/// What a faulty replica will change.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The faulty replica.
    pub(crate) liar: ReplicaId,
    changes: BTreeMap<(Kind, u64), Change>,
}

/// What happens to the messages of a round.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Who gets the changed message: a bit for each replica, the lowest for replica 0.
    receivers: u64,
    /// Which of the possible changes; all receivers of a round get the same.
    draw: u64,
}

impl Plan {
    /// Changes in so many rounds, any of the first ones.
    pub(super) fn any(rng: &mut Stream, liar: ReplicaId, rounds: u32) -> Self {
        let mut changes = BTreeMap::new();
        while changes.len() < rounds as usize {
            let (kind, count) = ROUNDS[rng.index(ROUNDS.len())];
            let change = Change { receivers: rng.bits(), draw: rng.bits() };
            changes.insert((kind, rng.below(count)), change);
        }
        Self { liar, changes }
    }
}

/// A plan being carried out.
#[derive(Debug)]
pub(crate) struct Tampering {
    plan: Plan,
    liar: Identity,
    /// The number of each round that has begun, by kind.
    rounds: BTreeMap<Kind, BTreeMap<(View, SeqNum), u64>>,
    /// What was said in the latest rounds of each kind, by round.
    said: BTreeMap<Kind, BTreeMap<u64, Message>>,
}

impl Tampering {
    /// `liar` is the identity that the plan names.
    pub(crate) fn new(plan: Plan, liar: Identity) -> Self {
        Self { plan, liar, rounds: BTreeMap::new(), said: BTreeMap::new() }
    }

    /// What really leaves in place of `message`; `None` if it leaves as it is.
    pub(crate) fn change(
        &mut self,
        from: Endpoint,
        to: Endpoint,
        message: &Message,
    ) -> Option<Message> {
        if from != Endpoint::Replica(self.liar.id) {
            return None;
        }
        let place = place(message)?;
        let kind = message.kind();
        let begun = self.rounds.entry(kind).or_default();
        let next = begun.len() as u64;
        let round = *begun.entry(place).or_insert(next);
        let said = self.said.entry(kind).or_default();
        let change = self.plan.changes.get(&(kind, round)).filter(|change| change.reaches(to));
        let changed = change.and_then(|change| {
            let replayed = said.range(..round).map(|(_, earlier)| earlier.clone());
            let mut possible = variants(&self.liar, message);
            possible.extend(replayed);
            let index = change.draw.checked_rem(possible.len() as u64)?;
            possible.into_iter().nth(usize::try_from(index).ok()?)
        });
        said.entry(round).or_insert_with(|| message.clone());
        if said.len() > REMEMBERED_COUNT_MAX {
            said.pop_first();
        }
        changed
    }
}

impl Change {
    fn reaches(&self, to: Endpoint) -> bool {
        match to {
            Endpoint::Replica(id) => self.receivers >> (id.get() % 64) & 1 == 1,
            Endpoint::Client(_) => true,
        }
    }
}

/// What a message is about; `None` for those that no round is made of.
fn place(message: &Message) -> Option<(View, SeqNum)> {
    Some(match message {
        Message::PrePrepare(signed, _) | Message::Outline(signed, _) => {
            (signed.body.view, signed.body.seq)
        }
        Message::Prepare(vote) | Message::Commit(vote) => (vote.view, vote.seq),
        Message::Checkpoint(signed) => (View::ZERO, signed.body.seq),
        Message::ViewChange(signed) => (signed.body.new_view, signed.body.low_water_mark),
        Message::NewView(proof) => (proof.new_view.body.view, SeqNum::ZERO),
        Message::Status(status) => (status.view, status.last_executed),
        Message::Committed(committed) => (View::ZERO, committed.seq),
        Message::Reply(reply) => (reply.view, SeqNum::new(reply.timestamp.get())),
        _ => return None,
    })
}
