//! One request without a result, and the replies to it so far.

use super::{ClientParameters, OperationId, ReplyRule, comparable};
use crate::auth::SignedRequest;
use crate::message::{Outcome, Reply, ReplyBody};
use crate::quorum::Quorums;
use crate::wire::ReplyHead;
use crate::{ClientId, Digest, ReplicaId, Time, Timestamp};
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
    repetitions: u64,
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
    tentative: bool,
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
            repetitions: 0,
            answers: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            wholes: BTreeMap::new(),
        }
    }

    pub(super) fn answer_count(&self) -> usize {
        self.answers.len()
    }

    /// An honest replica sends one whole outcome each time it is asked, so what goes beyond that is
    /// not worth its price.
    pub(super) fn wants(&self, from: ReplicaId, head: &ReplyHead) -> bool {
        let taken = self.wholes.get(&from).copied().unwrap_or(0);
        head.result_count as usize <= self.operations.len()
            && (!head.is_whole || taken <= self.repetitions)
    }

    pub(super) fn add_reply(&mut self, from: ReplicaId, reply: Reply) {
        let digest = match reply.body {
            ReplyBody::Digest(digest) => digest,
            ReplyBody::Full(outcome) => {
                *self.wholes.entry(from).or_default() += 1;
                let digest = comparable(&outcome);
                let whole = !matches!(outcome, Outcome::ExecutedBefore(_));
                if whole || !self.outcomes.contains_key(&digest) {
                    self.outcomes.insert(digest, outcome);
                }
                digest
            }
        };
        self.answers.insert(from, Answer { digest, tentative: reply.tentative });
        let answers = &self.answers;
        self.outcomes.retain(|digest, _| answers.values().any(|answer| answer.digest == *digest));
    }

    /// The outcome that enough distinct replicas vouch for, if one of them sent it [CL1].
    pub(super) fn accepted(&self, quorums: Quorums, rule: ReplyRule) -> Option<Outcome> {
        self.outcomes
            .iter()
            .find(|(digest, outcome)| {
                let equal = || self.answers.values().filter(|answer| answer.digest == **digest);
                let committed = equal().filter(|answer| !answer.tentative).count();
                let needed = match rule {
                    ReplyRule::WeakUnlessTentative if committed >= quorums.weak() => quorums.weak(),
                    _ => quorums.quorum(),
                };
                // A lost result is believed only when a whole quorum has lost it.
                let lost = matches!(outcome, Outcome::ExecutedBefore(_));
                let needed = if lost { quorums.quorum() } else { needed };
                equal().count() >= needed
            })
            .map(|(_, outcome)| outcome.clone())
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
        self.repetitions += 1;
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
