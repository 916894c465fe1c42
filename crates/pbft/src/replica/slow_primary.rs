//! A floor for the speed of the primary: a backup keeps account of how long the primary of its view
//! leaves undone what it could have done, and leaves the view when that comes to too much.
//!
//! The request timer alone lets a faulty primary propose each batch at nine tenths of T, for ever.

use super::request::RELAYED_AT_ONCE_MAX;
use super::request_queue::Waiting;
use super::{Replica, Step};
use crate::event::ViewChangeCause;
use crate::message::{Batch, Message};
use crate::slot::Proposal;
use crate::{Parameters, Position, SeqNum, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// What a backup knows of the speed of the primary.
#[derive(Clone, Debug)]
pub(super) struct SlowPrimary {
    /// What instances take to agree here, on average; none before the first one did.
    agreement: Option<Duration>,
    /// The PRE-PREPAREs of this view whose batches are not committed yet. At most one for each
    /// number of the window.
    accepted: BTreeMap<SeqNum, Accepted>,
    /// Until then the primary had a reason to propose nothing, or the view had not begun.
    excused_until: Time,
    /// From when on the primary owes a proposal, as it looked after the last step.
    owes_from: Option<Time>,
    /// For how long the primary of this view has owed one, less what it was paid off.
    account: Duration,
    /// When it was last paid off.
    paid: Time,
    /// How much the account may come to.
    patience: Duration,
    /// When that last changed.
    changed: Time,
    /// When requests were last relayed ahead of time, and how many are the next time.
    relayed: Time,
    relays: usize,
}

/// A PRE-PREPARE that was accepted in the normal case.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    at: Time,
    /// Whether the time until it commits is that of an instance: no COMMIT had come before it.
    is_measured: bool,
    /// Whether it carries a request that waited here, and the primary owed nothing then.
    is_in_time: bool,
}

impl SlowPrimary {
    pub(super) fn new(now: Time, parameters: &Parameters) -> Self {
        Self {
            agreement: None,
            accepted: BTreeMap::new(),
            excused_until: now,
            owes_from: None,
            account: Duration::ZERO,
            paid: now,
            patience: parameters.view_change_timeout,
            changed: now,
            relayed: now,
            relays: 1,
        }
    }

    /// How long a request waits here for a proposal before it is relayed: at most a quarter of T,
    /// and so long as nothing is known of how fast instances are [SP2].
    fn relay_patience(&self, parameters: &Parameters) -> Duration {
        let most = parameters.view_change_timeout / 4;
        self.instances(parameters, RELAYED_AFTER).map_or(most, |span| span.min(most))
    }

    /// How long the primary may take from then on: at most half of T [SP1].
    fn allowance(&self, parameters: &Parameters) -> Duration {
        let most = parameters.view_change_timeout / 2;
        self.instances(parameters, PROPOSED_WITHIN).map_or(most, |span| span.min(most))
    }

    /// What so many instances take here, with requests gathering for each.
    fn instances(&self, parameters: &Parameters, count: u32) -> Option<Duration> {
        let one = self.agreement?.max(AGREEMENT_MIN) + parameters.batch_gathering_max;
        Some(one.saturating_mul(count))
    }

    /// Adds the time since the last step, if the primary owed a proposal all the while. A stretch
    /// far longer than this replica's own timer allows is a time in which it stood still itself
    /// [TM5].
    fn charge(&mut self, now: Time, pace: Duration) {
        let Some(from) = self.owes_from else { return };
        let stretch = now.since(from);
        if stretch < 2 * pace {
            self.account += stretch;
        }
        self.owes_from = Some(from.max(now));
    }

    /// An instance took so long; one eighth of it counts towards the average.
    fn note_agreement(&mut self, took: Duration) {
        let average = self.agreement.unwrap_or(took);
        self.agreement = Some(if took > average {
            average + (took - average) / 8
        } else {
            average - (average - took) / 8
        });
    }

    /// A batch that came in time has committed: that pays off what such a batch may take, but no
    /// more than an eighth of the time since the last one [SP4]. Patience that has grown comes down
    /// again with it, like T [TM2].
    fn pay_off(&mut self, now: Time, parameters: &Parameters) {
        let earned = now.since(self.paid) / PAID_OFF;
        let payment = earned.min(self.allowance(parameters));
        self.account = self.account.saturating_sub(payment);
        self.paid = now;
        let least = parameters.view_change_timeout;
        let is_due = now.since(self.changed) >= self.patience;
        if self.account.is_zero() && self.patience > least && is_due {
            self.patience = (self.patience / 2).max(least);
            self.changed = now;
        }
    }

    /// The view is left, for whatever reason. If its primary had used up half of the patience the
    /// next ones get more: where all look slow, views change ever more rarely [SP5].
    pub(super) fn leave_view(&mut self, now: Time, parameters: &Parameters) {
        if self.account > self.patience / 2 {
            let most = parameters.view_change_timeout_max;
            self.patience = self.patience.saturating_mul(2).min(most);
            self.changed = now;
        }
        self.account = Duration::ZERO;
        self.owes_from = None;
        self.accepted.clear();
        self.relays = 1;
    }

    pub(super) fn forget_up_to(&mut self, seq: SeqNum) {
        self.accepted = self.accepted.split_off(&seq.next());
    }
}

/// No instance is taken to be faster than this: what disks and schedulers do now and then is no
/// fault.
const AGREEMENT_MIN: Duration = Duration::from_millis(5);

/// After so many instances a request that nobody has proposed is relayed.
const RELAYED_AFTER: u32 = 2;

/// Within so many instances from then on the primary is to propose it.
const PROPOSED_WITHIN: u32 = 3;

/// One part in so many of the time pays off what the primary owes.
const PAID_OFF: u32 = 8;

impl Replica {
    /// A PRE-PREPARE is about to be accepted in the normal case.
    pub(super) fn note_accepted(&mut self, now: Time, seq: SeqNum, batch: &Batch) {
        let has_waited = batch.requests.iter().any(|request| self.requests.holds(request));
        let owes = self.slow_primary.owes_from.is_some_and(|from| from < now);
        let is_measured = self.slots.get(&seq).is_none_or(|slot| slot.commits.is_empty());
        let accepted = Accepted { at: now, is_measured, is_in_time: has_waited && !owes };
        self.slow_primary.accepted.insert(seq, accepted);
    }

    /// What was accepted so is committed.
    pub(super) fn note_agreed(&mut self, now: Time, seq: SeqNum) {
        let Some(accepted) = self.slow_primary.accepted.remove(&seq) else { return };
        if accepted.is_measured {
            self.slow_primary.note_agreement(now.since(accepted.at));
        }
        if accepted.is_in_time {
            self.slow_primary.pay_off(now, &self.config.parameters);
        }
    }

    /// At the end of each step: what has the primary of this view owed since the last one, and
    /// what does it owe now [SP1]?
    pub(super) fn judge_primary(&mut self, step: &mut Step<'_>) {
        if !self.config.parameters.throughput_floor || self.halted.is_some() {
            return;
        }
        let now = step.now.monotonic;
        let pace = self.config.parameters.view_change_timeout / 8;
        self.timers.judgement = None;
        self.slow_primary.charge(now, pace);
        if self.slow_primary.account > self.slow_primary.patience {
            let cause = ViewChangeCause::SlowPrimary;
            return self.start_view_change(step, self.view.next(), cause);
        }
        self.slow_primary.owes_from = None;
        if self.is_primary_excused() {
            self.slow_primary.excused_until = now;
            return;
        }
        let relay_due = self.relay_early(step);
        let owes_from = self.owes_from(now);
        self.slow_primary.owes_from = owes_from;
        if owes_from.is_some_and(|from| from <= now) {
            self.relay_again(step);
        }
        let judgement_due = owes_from.map(|from| {
            let left = self.slow_primary.patience.saturating_sub(self.slow_primary.account);
            let next = left.min(pace) + Duration::from_micros(1);
            if from > now { from } else { now.after(next) }
        });
        self.timers.judgement = relay_due.into_iter().chain(judgement_due).min();
    }

    /// From when on the primary owes a proposal, if nothing happens: a while after this replica has
    /// itself relayed the request that has waited longest, or seen it proposed behind a number
    /// that the primary has left out [SP1].
    fn owes_from(&self, now: Time) -> Option<Time> {
        let oldest = self.kept_waiting()?;
        let is_proposed = self.requests.is_proposed(oldest);
        let relayed = oldest.relayed.map(|(first, _)| first);
        let has_it_since = if is_proposed { Some(oldest.arrived) } else { relayed };
        let since = has_it_since?.max(self.slow_primary.excused_until);
        let allowance = self.slow_primary.allowance(&self.config.parameters);
        Some(since.after(allowance).max(now))
    }

    /// The request that has waited longest for a proposal of this view: any that waits, while the
    /// very next number has none; else one that no batch carries.
    fn kept_waiting(&self) -> Option<&Waiting> {
        let is_next_proposed = self.proposal_of_next().is_some();
        if is_next_proposed { self.requests.oldest_unproposed() } else { self.requests.oldest() }
    }

    fn proposal_of_next(&self) -> Option<&Proposal> {
        self.slots.get(&self.last_executed.next())?.proposal.as_ref()
    }

    /// Whether the primary of this view may have a reason to propose nothing, as far as this
    /// replica can tell, or this replica is in no position to judge it [SP3].
    fn is_primary_excused(&self) -> bool {
        let judges = self.active && self.admission.is_admitted() && !self.is_primary();
        let is_behind = self.catching_up || self.is_behind_others();
        if !judges || is_behind || self.kept_waiting().is_none() {
            return true;
        }
        let parameters = &self.config.parameters;
        let next = self.last_executed.next();
        // What the others have, the primary has proposed.
        let weak = self.config.quorums.weak();
        let is_known_to_others = self
            .slots
            .get(&next)
            .is_some_and(|slot| slot.prepares.len() >= weak || slot.commits.len() >= weak);
        let proposal = self.proposal_of_next();
        let is_outlined = self.outlines.is_expected(next);
        if proposal.is_none() && (is_known_to_others || is_outlined) {
            return true;
        }
        // It waits for a checkpoint to become stable, or fills up to one.
        let is_at_limit = next > parameters.proposal_limit(self.low_water_mark);
        let at_checkpoint = self.config.is_checkpoint(self.last_executed)
            && self.last_executed > self.low_water_mark;
        let log_fills = self.log_bytes > parameters.log_bytes_max / 4;
        if is_at_limit || (log_fills && (at_checkpoint || proposal.is_some())) {
            return true;
        }
        // As many are in flight as may be.
        let last = self.slots.iter().rev().find(|(_, slot)| slot.proposal.is_some());
        let in_flight =
            last.map_or(0, |(seq, _)| seq.get().saturating_sub(self.last_executed.get()));
        proposal.is_some() && in_flight >= parameters.instances_in_flight_max
    }

    /// Relays requests that the primary should have proposed by now, if it had them [SP2]: a single
    /// one at first, since one is enough to judge the primary by, and twice as many each time while
    /// older ones wait. Returns when the next ones are due.
    fn relay_early(&mut self, step: &mut Step<'_>) -> Option<Time> {
        let now = step.now.monotonic;
        let patience = self.slow_primary.relay_patience(&self.config.parameters);
        let excused_until = self.slow_primary.excused_until;
        let due_from = |arrived: Time| arrived.max(excused_until).after(patience);
        let oldest = self.requests.oldest_unproposed()?;
        if due_from(oldest.arrived) > now {
            self.slow_primary.relays = 1;
        }
        let next_turn = self.slow_primary.relayed.after(patience);
        let next = self.requests.oldest_to_relay()?;
        let due = due_from(next.arrived).max(next_turn);
        if due > now {
            return Some(due);
        }
        let count = self.slow_primary.relays;
        let primary = self.config.primary(self.view);
        for request in self.requests.take_unproposed_to_relay(now, count) {
            step.send(primary, Message::Request(request), Position::ZERO);
        }
        self.slow_primary.relayed = now;
        self.slow_primary.relays = (count * 2).min(RELAYED_AT_ONCE_MAX);
        self.requests.oldest_to_relay().map(|next| due_from(next.arrived).max(now.after(patience)))
    }

    /// The primary begins to owe the request that has waited longest: but it may have had no room
    /// for it, or the network has lost it, so it is relayed once more [SP2].
    fn relay_again(&mut self, step: &mut Step<'_>) {
        let primary = self.config.primary(self.view);
        if let Some(request) = self.requests.take_to_relay_again(step.now.monotonic) {
            step.send(primary, Message::Request(request), Position::ZERO);
        }
    }
}
