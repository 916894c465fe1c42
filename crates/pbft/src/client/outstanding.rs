//! One request without a result, and the replies to it so far.

use super::{ClientParameters, OperationId, ReplyRule, comparable};
use crate::auth::SignedRequest;
use crate::message::{Certainty, Outcome, Reply, ReplyBody};
use crate::quorum::Quorums;
use crate::wire::ReplyHead;
use crate::{ClientId, Digest, ReplicaId, Time, Timestamp, View};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    pub(super) request: Arc<SignedRequest>,
    pub(super) operations: Vec<OperationId>,
    pub(super) first_sent: Time,
    pub(super) resend_at: Time,
    wait: Duration,
    /// The view whose primary it was sent to alone, as long as nobody else was sent it.
    pub(super) alone_in: Option<View>,
    /// How often it was sent again.
    pub(super) repetitions: u64,
    whole: Whole,
    /// The latest REPLY of each replica: a later one replaces its earlier one.
    answers: BTreeMap<ReplicaId, Answer>,
    /// Whole outcomes by their digest, at most one per answer.
    outcomes: BTreeMap<Digest, Outcome>,
    /// How many whole outcomes each replica has sent.
    wholes: BTreeMap<ReplicaId, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    digest: Digest,
    view: View,
    certainty: Certainty,
    /// Whether it says that the result was too long to be kept.
    is_lost: bool,
}

/// What is known of the whole result.
#[derive(Clone, Copy, Debug)]
enum Whole {
    /// Nothing: too few vouch for any.
    Unknown,
    /// Enough replicas vouch for it, and until then one of them may deliver it.
    Vouched { until: Time },
    /// All of them were asked for it.
    AskedOfAll,
}

impl Outstanding {
    pub(super) fn new(
        request: Arc<SignedRequest>,
        operations: Vec<OperationId>,
        now: Time,
        wait: Duration,
    ) -> Self {
        Self {
            request,
            operations,
            first_sent: now,
            resend_at: now.after(wait),
            wait,
            alone_in: None,
            repetitions: 0,
            whole: Whole::Unknown,
            answers: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            wholes: BTreeMap::new(),
        }
    }

    pub(super) fn answer_count(&self) -> usize {
        self.answers.len()
    }

    /// An honest replica sends one whole outcome each time it is asked, and once more if the batch was
    /// rolled back and executed in another view; so what goes beyond that is not worth its price.
    pub(super) fn wants(&self, from: ReplicaId, head: &ReplyHead) -> bool {
        let taken = self.wholes.get(&from).copied().unwrap_or(0);
        head.result_count as usize <= self.operations.len()
            && (!head.is_whole || taken <= self.repetitions + 1)
    }

    pub(super) fn add_reply(&mut self, from: ReplicaId, reply: Reply) {
        let Reply { view, certainty, body, .. } = reply;
        let (digest, is_lost) = match body {
            ReplyBody::Digest(digest) => (digest, false),
            ReplyBody::Full(outcome) => {
                *self.wholes.entry(from).or_default() += 1;
                let digest = comparable(&outcome);
                let is_lost = matches!(outcome, Outcome::ExecutedBefore(_));
                if !is_lost || !self.outcomes.contains_key(&digest) {
                    self.outcomes.insert(digest, outcome);
                }
                (digest, is_lost)
            }
        };
        self.answers.insert(from, Answer { digest, view, certainty, is_lost });
        let answers = &self.answers;
        self.outcomes.retain(|digest, _| answers.values().any(|answer| answer.digest == *digest));
    }

    /// The outcome that enough distinct replicas vouch for, if one of them sent it [CL1]. A whole
    /// one stands under its own digest, so what does not hash to what they vouch for is nothing but
    /// its sender's word for something else [DR4].
    pub(super) fn accepted(&self, quorums: Quorums, rule: ReplyRule) -> Option<Outcome> {
        let is_accepted = |digest: Digest, outcome: &Outcome| match outcome {
            // Who vouches for a result by its digest has not lost it: all of a quorum must say so.
            Outcome::ExecutedBefore(_) => {
                let lost = self.equal(digest).filter(|answer| answer.is_lost);
                lost.count() >= quorums.quorum()
            }
            _ => self.is_vouched_for(digest, quorums, rule),
        };
        let mut outcomes = self.outcomes.iter();
        outcomes.find(|(digest, it)| is_accepted(**digest, it)).map(|(_, outcome)| outcome.clone())
    }

    /// Whether enough replicas have come to vouch for one result now. Then the replica that is to
    /// send it whole has so much time left [DR5].
    pub(super) fn is_newly_vouched_for(
        &mut self,
        now: Time,
        patience: Duration,
        quorums: Quorums,
        rule: ReplyRule,
    ) -> bool {
        let mut digests = self.answers.values().map(|answer| answer.digest);
        let is_new = matches!(self.whole, Whole::Unknown)
            && digests.any(|digest| self.is_vouched_for(digest, quorums, rule));
        if is_new {
            self.whole = Whole::Vouched { until: now.after(patience) };
        }
        is_new
    }

    fn is_vouched_for(&self, digest: Digest, quorums: Quorums, rule: ReplyRule) -> bool {
        let needed = match rule {
            ReplyRule::WeakUnlessTentative => quorums.weak(),
            ReplyRule::AlwaysQuorum => quorums.quorum(),
        };
        self.committed_count(digest) >= needed || self.most_of_a_view(digest) >= quorums.quorum()
    }

    /// Whether the whole result is overdue, so that it is now to be asked of all: once.
    pub(super) fn gives_up_replier(&mut self, now: Time) -> bool {
        let is_overdue = matches!(self.whole, Whole::Vouched { until } if until <= now);
        if is_overdue {
            self.whole = Whole::AskedOfAll;
        }
        is_overdue
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        match self.whole {
            Whole::Vouched { until } => until.min(self.resend_at),
            Whole::Unknown | Whole::AskedOfAll => self.resend_at,
        }
    }

    /// Whether a quorum says the same, but in ways that do not go together [TE6].
    pub(super) fn is_split(&self, quorums: Quorums, rule: ReplyRule) -> bool {
        let mut digests = self.answers.values().map(|answer| answer.digest);
        digests.any(|digest| {
            self.equal(digest).count() >= quorums.quorum()
                && !self.is_vouched_for(digest, quorums, rule)
        })
    }

    fn equal(&self, digest: Digest) -> impl Iterator<Item = &Answer> {
        self.answers.values().filter(move |answer| answer.digest == digest)
    }

    /// How many replicas say that this outcome is committed.
    fn committed_count(&self, digest: Digest) -> usize {
        self.equal(digest).filter(|answer| answer.certainty.is_committed()).count()
    }

    /// How many replicas, at most, vouch for this outcome in one view. What is tentative in two views
    /// was rolled back between them, and what is committed without a word of its view may be so
    /// because of another one: these do not add up [TE6].
    fn most_of_a_view(&self, digest: Digest) -> usize {
        let mut counts: BTreeMap<View, usize> = BTreeMap::new();
        for answer in self.equal(digest).filter(|answer| answer.certainty.is_of_a_view()) {
            *counts.entry(answer.view).or_default() += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }

    /// Doubles the wait, up to the maximum, and spreads it by up to a quarter so that clients that
    /// were cut off together do not come back together.
    pub(super) fn back_off(
        &mut self,
        now: Time,
        client: ClientId,
        timestamp: Timestamp,
        parameters: &ClientParameters,
    ) {
        self.wait = (self.wait * 2).min(parameters.retransmit_max);
        let mixed = Digest::of(
            "quorate pbft v1: retransmission jitter",
            &[
                &client.get().to_le_bytes(),
                &timestamp.get().to_le_bytes(),
                &self.repetitions.to_le_bytes(),
            ],
        );
        let spread = self.wait / 4 * u32::from(mixed.as_bytes()[0]) / 256;
        self.resend_at = now.after(self.wait + spread);
    }
}
