//! Coming back after the memory was lost. The replica that lost it follows the others, promises
//! nothing, and asks for an ordered request; the others order it, leave every view that the old
//! memory may know, and fill up to the bound from which on the new one may promise again.

use super::rejoin_pace::REJOIN_LIFE;
use super::{Replica, Step};
use crate::auth::Signed;
use crate::event::{Event, ViewChangeCause};
use crate::fault::{HaltReason, Reject};
use crate::message::{Message, Rejoin};
use crate::rejoin::{Rejoined, Rejoins};
use crate::{Config, Incarnation, ReplicaId, SeqNum, Time, View, WallTime};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What a replica that lost its memory knows on its way back. It knows it for one start only: before
/// the next one its old disk may have been found, put back for a while and lost again, and what
/// it promised then is not bounded by what was asked for before.
#[derive(Clone, Debug, Default)]
pub(super) struct Amnesia {
    /// What each peer has told last that answered HELLO in this start.
    told: BTreeMap<ReplicaId, Told>,
    /// As which incarnation it asks its peers to let it in, once the bound is passed. Never that
    /// of its memory: so the answers to the one question are not taken for those to the other.
    pub(super) returns_as: Option<Incarnation>,
}

/// What a peer has told an amnesiac.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) view: View,
    pub(super) wall: WallTime,
    /// When.
    pub(super) at: Time,
}

impl Amnesia {
    /// Of what a peer tells in this start the last counts, since clocks are set. Returns whether it
    /// told nothing before.
    pub(super) fn note_told(&mut self, peer: ReplicaId, told: Told) -> bool {
        self.told.insert(peer, told).is_none()
    }

    /// The time by the clocks of the peers: not later and not earlier than those of correct ones,
    /// whatever this replica's own clock says.
    fn wall_of_peers(&self, now: Time) -> WallTime {
        let clock = |told: &Told| told.wall.after(now.since(told.at));
        let mut clocks: Vec<WallTime> = self.told.values().map(clock).collect();
        clocks.sort_unstable();
        clocks.get(clocks.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    /// A view above every one that the lost memory may have known, once `enough` peers have said
    /// theirs [RJ4]. The lowest ones are taken, so that no liar can make it too high to be
    /// accepted.
    fn first_view(&self, enough: usize) -> Option<View> {
        let mut views: Vec<View> = self.told.values().map(|told| told.view).collect();
        views.sort_unstable();
        let highest = views.get(enough.checked_sub(1)?)?;
        Some(highest.next().next()).filter(|view| *view <= View::MAX)
    }
}

/// REJOINs of others that wait to be executed in this view: the last one of each replica. They are
/// sent again and again, so a view begins without any.
#[derive(Clone, Debug, Default)]
pub(super) struct RejoinQueue {
    /// With the place of each in the order of arrival among all that waits.
    waiting: BTreeMap<ReplicaId, (Signed<Rejoin>, u64)>,
    /// Those that a batch of the current view carries which is not executed yet.
    proposed: BTreeSet<ReplicaId>,
}

impl RejoinQueue {
    /// The number of the one that has waited longest.
    pub(super) fn head(&self) -> Option<u64> {
        self.waiting.values().map(|(_, arrival)| *arrival).min()
    }

    pub(super) fn is_waiting(&self, arrival: u64) -> bool {
        self.waiting.values().any(|(_, of_waiting)| *of_waiting == arrival)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Signed<Rejoin>> {
        self.waiting.values().map(|(rejoin, _)| rejoin)
    }

    pub(super) fn has_unproposed(&self) -> bool {
        self.waiting.keys().any(|replica| !self.proposed.contains(replica))
    }

    pub(super) fn mark_proposed(&mut self, replica: ReplicaId) {
        self.proposed.insert(replica);
    }

    /// A batch that carries one was executed. Where that had no effect, it may be proposed again.
    pub(super) fn forget_proposal(&mut self, replica: ReplicaId) {
        self.proposed.remove(&replica);
    }

    /// Takes what the batch with this number and time shall carry, and lets go of what they do not
    /// admit.
    pub(super) fn take_batch(
        &mut self,
        config: &Config,
        table: &Rejoins,
        seq: SeqNum,
        time: WallTime,
    ) -> Vec<Signed<Rejoin>> {
        let proposed = &mut self.proposed;
        self.waiting.retain(|replica, (rejoin, _)| {
            proposed.contains(replica) || table.admits(config, seq, time, &rejoin.body)
        });
        let unproposed = self.waiting.iter().filter(|(replica, _)| proposed.insert(**replica));
        unproposed.map(|(_, (rejoin, _))| *rejoin).collect()
    }

    /// Of two from one replica the one that is good for longer stays: it was composed last.
    fn insert(&mut self, rejoin: Signed<Rejoin>, arrival: u64) {
        let (last, _) = self.waiting.entry(rejoin.signer).or_insert((rejoin, arrival));
        if last.body.expires < rejoin.body.expires {
            *last = rejoin;
        }
    }

    /// Lets go of what has no effect in the batch with this number and time.
    fn retain_admitted(&mut self, config: &Config, table: &Rejoins, seq: SeqNum, time: WallTime) {
        self.waiting.retain(|_, (rejoin, _)| table.admits(config, seq, time, &rejoin.body));
    }

    /// Lets go of what has become void by the replica's new incarnation.
    fn settle(&mut self, replica: ReplicaId, incarnation: Incarnation) {
        let is_settled =
            |(rejoin, _): &(Signed<Rejoin>, u64)| rejoin.body.incarnation <= incarnation;
        if self.waiting.get(&replica).is_some_and(is_settled) {
            self.waiting.remove(&replica);
        }
    }
}

/// A REJOIN may name a view so far above the current one: more than honest replicas differ by, and
/// too few for a faulty one to use up the views.
const VIEWS_AHEAD_MAX: u64 = 64;

impl Replica {
    /// Asks all to order this replica's return, again and again until that has been executed
    /// [RJ2]. Nothing of it is promised, so it is composed anew from what is known by now: the
    /// incarnation from the state that was fetched, the view from what peers said.
    pub(super) fn send_rejoin(&mut self, step: &mut Step<'_>) {
        let Some(amnesia) = &self.admission.amnesia else { return };
        if self.own_rejoined().is_some() {
            return;
        }
        let resend = self.config.parameters.view_change_resend;
        self.timers.rejoin = Some(step.now.monotonic.after(resend));
        let enough = self.config.quorums.quorum_of_others();
        let Some(view) = amnesia.first_view(enough) else { return };
        let current = self.rejoins.of(self.id).map(|rejoined| rejoined.incarnation);
        let incarnation = current.unwrap_or_default().next();
        let wall = amnesia.wall_of_peers(step.now.monotonic);
        let expires = wall.max(self.agreed_time).after(REJOIN_LIFE);
        let body =
            Rejoin { replica: self.id, incarnation, start: self.boot.start(), view, expires };
        let signed = Signed::sign(&self.config.domain, &self.key, self.id, body);
        step.broadcast(Message::Rejoin(signed), self.admission.booted_at);
    }

    /// A REJOIN, from the replica that comes back or relayed, waits like a request: the primary
    /// that does not order it is replaced. One that comes too early for that, or too late, is
    /// dropped, and will be sent again. The primary goes by its own clocks; a backup makes sure
    /// that those of any correct primary say the same [RJ2].
    pub(super) fn on_rejoin(
        &mut self,
        step: &mut Step<'_>,
        rejoin: Signed<Rejoin>,
    ) -> Result<(), Reject> {
        if !self.admission.is_admitted() {
            return Err(Reject::Starting);
        }
        // Another memory of this replica has asked for it, and was given up.
        if rejoin.signer == self.id {
            return Err(Reject::Stale);
        }
        let next = self.last_executed.next();
        let is_due = self.rejoin_pace.is_due(rejoin.signer, step.now.monotonic, self.is_primary());
        let time = self.latest_time_proposed(step);
        if !is_due || !self.rejoins.admits(&self.config, next, time, &rejoin.body) {
            return Err(Reject::Stale);
        }
        self.check_view_of(&rejoin)?;
        let arrival = self.requests.next_arrival();
        self.rejoin_queue.insert(rejoin, arrival);
        self.consider_request_timer(step.now.monotonic);
        self.try_propose(step);
        Ok(())
    }

    /// The latest time that the primary of this view proposes next, as far as it is believed.
    fn latest_time_proposed(&self, step: &Step<'_>) -> WallTime {
        if self.is_primary() {
            self.next_batch_time(step)
        } else {
            *self.times_believed(step).end()
        }
    }

    /// Lets go of REJOINs that have waited for so long that a correct primary may not order them any
    /// more.
    pub(super) fn drop_expired_rejoins(&mut self, step: &Step<'_>) {
        let (next, time) = (self.last_executed.next(), self.latest_time_proposed(step));
        self.rejoin_queue.retain_admitted(&self.config, &self.rejoins, next, time);
    }

    /// Whether this replica votes for a batch with that REJOIN.
    pub(super) fn judge_rejoin(
        &self,
        step: &Step<'_>,
        rejoin: &Signed<Rejoin>,
    ) -> Result<(), Reject> {
        let last = self.rejoins.of(rejoin.signer).map(|last| last.incarnation);
        let is_old = last.is_some_and(|last| rejoin.body.incarnation <= last);
        if !is_old && self.rejoin_pace.is_too_soon(rejoin.signer, step.now.monotonic) {
            return Err(Reject::TooOften);
        }
        self.check_view_of(rejoin)
    }

    /// Whether a REJOIN's view is not too far ahead. This is a local judgement, as that of the
    /// proposed time is: no REJOIN that f+1 correct replicas find absurd is ever ordered [RJ4].
    fn check_view_of(&self, rejoin: &Signed<Rejoin>) -> Result<(), Reject> {
        let ahead = rejoin.body.view.get().saturating_sub(self.view.get());
        if ahead > VIEWS_AHEAD_MAX { Err(Reject::OutOfRange) } else { Ok(()) }
    }

    /// The table of those who rejoined has changed: by an execution, which may be repeated after a
    /// start, or because another state was fetched.
    pub(super) fn note_rejoined(
        &mut self,
        step: &mut Step<'_>,
        changes: Vec<(ReplicaId, Rejoined)>,
        is_repeated: bool,
    ) {
        if changes.is_empty() {
            return;
        }
        for (replica, rejoined) in changes {
            if self.rejoins.of(replica) == Some(&rejoined) {
                continue;
            }
            let Rejoined { incarnation, seq, .. } = rejoined;
            self.rejoins.insert(replica, rejoined);
            self.rejoin_pace.note(replica, step.now.monotonic, is_repeated);
            self.rejoin_queue.settle(replica, incarnation);
            step.event(Event::RejoinExecuted { replica, incarnation, seq });
            let is_own = replica == self.id && self.admission.amnesia.is_none();
            if is_own && incarnation > self.boot.incarnation {
                return self.halt(step, HaltReason::Replaced { by: incarnation });
            }
        }
        self.leave_for_rejoins(step);
        // Where no view is left, the primary of this one has to fill up [RJ5].
        self.consider_request_timer(step.now.monotonic);
        self.consider_return(step);
    }

    /// Leaves the views that a replica which rejoins may have known before [RJ4]. It can vote only
    /// in later ones, so the others go there at once.
    pub(super) fn leave_for_rejoins(&mut self, step: &mut Step<'_>) {
        self.start_view_change(step, self.rejoins.view(), ViewChangeCause::Rejoin);
    }

    /// Once its REJOIN was executed and its bound is passed by a stable checkpoint, this replica
    /// introduces itself as a new incarnation, and votes when its peers let it in [RJ3].
    pub(super) fn consider_return(&mut self, step: &mut Step<'_>) {
        let Some(rejoined) = self.own_rejoined() else { return };
        if self.low_water_mark < rejoined.bound(&self.config) || self.halted.is_some() {
            return;
        }
        let Some(amnesia) = &mut self.admission.amnesia else { return };
        if amnesia.returns_as.replace(rejoined.incarnation).is_none() {
            self.timers.rejoin = None;
            for peer in self.config.replica_ids() {
                self.introduce_to(step, peer);
            }
        }
    }

    /// The execution of the REJOIN that this start waits for.
    fn own_rejoined(&self) -> Option<Rejoined> {
        self.rejoins.of(self.id).filter(|rejoined| rejoined.start == self.boot.start()).copied()
    }
}
