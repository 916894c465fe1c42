//! Leaving a view (OSDI '99 section 4.4, TOCS 2002 section 4.5).

use super::{Outlines, RejoinQueue, Replica, Step};
use crate::auth::Signed;
use crate::event::{Event, ViewChangeCause};
use crate::fault::{Evidence, Reject};
use crate::message::{Message, PreparedEntry, ViewChange};
use crate::record::Record;
use crate::{Digest, Position, ReplicaId, SeqNum, Time, View};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Replica {
    /// Leaves every view below `new_view`: durably, before anybody is told [VC1].
    pub(super) fn start_view_change(
        &mut self,
        step: &mut Step<'_>,
        new_view: View,
        cause: ViewChangeCause,
    ) {
        if new_view <= self.view || new_view > View::MAX || self.halted.is_some() {
            return;
        }
        // One that rejoins follows the others by their NEW-VIEW [RJ6].
        if !self.admission.is_admitted() {
            return;
        }
        self.roll_back(step);
        self.move_to_view(new_view, step.now.monotonic);
        let body = self.view_change(new_view);
        let signed = Arc::new(Signed::sign(&self.config.domain, &self.key, self.id, body));
        let position = self.persist(step, Record::ViewChange(Arc::clone(&signed)));
        self.view_changes.insert(self.id, Arc::clone(&signed));
        step.event(Event::ViewChangeStarted { view: new_view, cause });
        step.broadcast(Message::ViewChange(signed), position);
        let resend = self.config.parameters.view_change_resend;
        self.timers.view_change_resend = Some(step.now.monotonic.after(resend));
        self.hasten_status(step.now.monotonic);
        self.consider_new_view_timer(step);
        self.primary_try_new_view(step);
    }

    /// What this replica has to tell about the views below `new_view`: h, C, P and Q.
    pub fn view_change(&self, new_view: View) -> ViewChange {
        // A state that was fetched may be beyond the window, until the proof comes that moves it
        // there; nobody would accept a VIEW-CHANGE that lists such a one [VC4].
        let listed = self.own_checkpoints.range(..=self.high_water_mark());
        ViewChange {
            new_view,
            replica: self.id,
            low_water_mark: self.low_water_mark,
            checkpoints: listed.map(|(seq, id)| (*seq, *id)).collect(),
            prepared: entries(&self.prepared).collect(),
            // Whoever vouches for a digest has its batch, lest one be chosen that nobody can
            // execute [VC3].
            pre_prepared: entries(&self.pre_prepared)
                .filter(|entry| self.has_batch(entry.digest))
                .collect(),
        }
    }

    /// Makes `view` the current view, not yet active: the log's part of the old view goes, P and Q
    /// stay [VC2].
    pub(super) fn move_to_view(&mut self, view: View, now: Time) {
        self.view = view;
        self.active = false;
        self.choosing = false;
        self.filling = false;
        self.latest_batch_time = self.agreed_time;
        self.slots.values_mut().for_each(crate::slot::Slot::leave_view);
        self.early_pre_prepares.clear();
        self.outlines = Outlines::default();
        self.timers.outlines = None;
        self.requests.forget_proposals();
        self.rejoin_queue = RejoinQueue::default();
        self.view_changes.clear();
        let later = core::mem::take(&mut self.later_view_changes);
        for (replica, view_change) in later {
            match view_change.body.new_view.cmp(&view) {
                core::cmp::Ordering::Less => {}
                core::cmp::Ordering::Equal => {
                    self.view_changes.insert(replica, view_change);
                }
                core::cmp::Ordering::Greater => {
                    self.later_view_changes.insert(replica, view_change);
                }
            }
        }
        self.timers.leave_view(now);
        self.slow_primary.leave_view(now, &self.config.parameters);
    }

    /// A VIEW-CHANGE counts iff it is for the current view or a later one, and its sender's first
    /// for that view [VC4]; whether it is well-formed was checked at the door. f+1 of them for
    /// later views make this replica follow [VC6].
    pub(super) fn on_view_change(
        &mut self,
        step: &mut Step<'_>,
        view_change: Arc<Signed<ViewChange>>,
    ) -> Result<(), Reject> {
        let (replica, new_view) = (view_change.signer, view_change.body.new_view);
        if new_view < self.view {
            return Err(Reject::Stale);
        }
        // One's own is known; if it is not, it is from before the memory was lost.
        if replica == self.id {
            return Err(Reject::Duplicate);
        }
        self.compare_view_changes(step, &view_change);
        let is_later = new_view > self.view;
        let known = if is_later { &mut self.later_view_changes } else { &mut self.view_changes };
        if known.get(&replica).is_some_and(|first| first.body.new_view >= new_view) {
            return Err(Reject::Duplicate);
        }
        known.insert(replica, view_change);
        if is_later {
            self.follow_weak_quorum(step);
        } else if self.active {
            return Err(Reject::Stale);
        }
        self.consider_new_view_timer(step);
        self.primary_try_new_view(step);
        Ok(())
    }

    /// A second, different VIEW-CHANGE of one sender for one view is a lie worth keeping; it never
    /// replaces the first [EV3].
    pub(super) fn compare_view_changes(
        &mut self,
        step: &mut Step<'_>,
        other: &Arc<Signed<ViewChange>>,
    ) {
        let replica = other.signer;
        let held = [self.view_changes.get(&replica), self.later_view_changes.get(&replica)]
            .into_iter()
            .flatten()
            .find(|held| held.body.new_view == other.body.new_view && held.body != other.body)
            .cloned();
        if let Some(held) = held {
            self.report(step, Evidence::TwoViewChanges(held, Arc::clone(other)));
        }
    }

    /// VIEW-CHANGEs of f+1 distinct replicas for later views: one of them is correct, so follow, to
    /// the lowest view that f+1 of them have reached [VC6].
    pub(super) fn follow_weak_quorum(&mut self, step: &mut Step<'_>) {
        let mut views: Vec<View> =
            self.later_view_changes.values().map(|vc| vc.body.new_view).collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        let weak = self.config.quorums.weak();
        if let Some(view) = views.get(weak - 1).copied() {
            self.start_view_change(step, view, ViewChangeCause::Joined);
        }
    }

    /// The new-view timer runs only once a quorum has left the lower views [VC7].
    pub(super) fn consider_new_view_timer(&mut self, step: &mut Step<'_>) {
        if self.active || self.timers.new_view.is_some() || !self.admission.is_admitted() {
            return;
        }
        let left: BTreeSet<ReplicaId> =
            self.view_changes.keys().chain(self.later_view_changes.keys()).copied().collect();
        if left.len() >= self.config.quorums.quorum() {
            let deadline = step.now.monotonic.after(self.timers.timeout());
            self.timers.new_view = Some(deadline);
            step.event(Event::NewViewTimerStarted { view: self.view, deadline });
        }
    }

    /// Nobody owes an answer to a VIEW-CHANGE before a quorum sent one, so there is no timer that
    /// would notice its loss: it is sent again and again until the view begins [VC8].
    pub(super) fn resend_view_change(&mut self, step: &mut Step<'_>) {
        let Some(own) = self.view_changes.get(&self.id).filter(|_| !self.active) else {
            return;
        };
        step.broadcast(Message::ViewChange(Arc::clone(own)), self.position);
        let resend = self.config.parameters.view_change_resend;
        self.timers.view_change_resend = Some(step.now.monotonic.after(resend));
    }

    /// Sends a peer that waits for the current view the VIEW-CHANGEs it lacks.
    pub(super) fn send_missing_view_changes(
        &mut self,
        step: &mut Step<'_>,
        to: ReplicaId,
        has: impl Fn(ReplicaId) -> bool,
    ) {
        for (replica, view_change) in &self.view_changes {
            if *replica != to && !has(*replica) {
                let after = if *replica == self.id { self.position } else { Position::ZERO };
                step.send(to, Message::ViewChange(Arc::clone(view_change)), after);
            }
        }
    }
}

fn entries(
    map: &BTreeMap<SeqNum, (Digest, View)>,
) -> impl Iterator<Item = PreparedEntry> + use<'_> {
    map.iter().map(|(seq, (digest, view))| PreparedEntry {
        seq: *seq,
        digest: *digest,
        view: *view,
    })
}
