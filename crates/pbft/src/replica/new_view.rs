//! Entering a view: NEW-VIEW (TOCS 2002 figures 4 and 24).

use super::{Replica, Step};
use crate::auth::Signed;
use crate::decision::{Decision, decide};
use crate::event::{Event, ViewChangeCause};
use crate::fault::{Evidence, HaltReason, Reject};
use crate::message::{Batch, Message, NewView, NewViewProof, ViewChange};
use crate::record::Record;
use crate::{Digest, Position, SeqNum, View};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Replica {
    /// The primary of the new view decides again on every VIEW-CHANGE that arrives, until a
    /// decision is possible [NV1]; then it says so once [NV4].
    pub(super) fn primary_try_new_view(&mut self, step: &mut Step<'_>) {
        if self.active || !self.is_primary() || self.holds_new_view_of(self.view) {
            return;
        }
        if self.view_changes.len() < self.config.quorums.quorum() {
            return;
        }
        let used: Vec<&ViewChange> = self.view_changes.values().map(|vc| &vc.body).collect();
        let decision = decide(self.config.quorums, self.config.parameters.log_window, &used);
        let Some(Decision { checkpoint, chosen }) = decision else {
            return;
        };
        let view_changes =
            self.view_changes.iter().map(|(replica, vc)| (*replica, vc.digest())).collect();
        let body = NewView { view: self.view, view_changes, checkpoint, chosen };
        let new_view = Signed::sign(&self.config.domain, &self.key, self.id, body);
        let view_changes = self.view_changes.values().map(Arc::clone).collect();
        let proof = Arc::new(NewViewProof { new_view, view_changes });
        let position = self.adopt(step, Arc::clone(&proof));
        step.broadcast(Message::NewView(proof), position);
        self.try_activate(step);
    }

    /// A NEW-VIEW is judged on exactly the VIEW-CHANGEs that come with it [NV5]; holding another
    /// one of some sender is evidence against that sender, never grounds to refuse.
    pub(super) fn on_new_view(
        &mut self,
        step: &mut Step<'_>,
        proof: Arc<NewViewProof>,
    ) -> Result<(), Reject> {
        let view = proof.new_view.body.view;
        if let Some(held) = self.new_view.as_ref().filter(|p| p.new_view.body.view == view) {
            if held.new_view.body == proof.new_view.body {
                return Err(Reject::Duplicate);
            }
            let pair = Box::new((held.new_view.clone(), proof.new_view.clone()));
            self.report(step, Evidence::TwoNewViews(pair));
            return Err(Reject::Contradiction);
        }
        if self.new_view.as_ref().is_some_and(|p| p.new_view.body.view > view) {
            return Err(Reject::Stale);
        }
        for view_change in &proof.view_changes {
            self.compare_view_changes(step, view_change);
        }
        if !self.is_justified(&proof) {
            if view == self.view {
                self.start_view_change(step, view.next(), ViewChangeCause::BadNewView);
            }
            return Err(Reject::Unjustified);
        }
        if view > self.view {
            self.move_to_view(view, step.now.monotonic);
        }
        self.adopt(step, proof);
        if view == self.view {
            self.timers.view_change_resend = None;
            self.try_activate(step);
        }
        Ok(())
    }

    /// Whether the choices are those the decision procedure makes on the VIEW-CHANGEs supplied, the
    /// omitted tail included [NV5] [NV6].
    fn is_justified(&self, proof: &NewViewProof) -> bool {
        let used: Vec<&ViewChange> = proof.view_changes.iter().map(|vc| &vc.body).collect();
        let body = &proof.new_view.body;
        decide(self.config.quorums, self.config.parameters.log_window, &used).is_some_and(
            |decision| decision.checkpoint == body.checkpoint && decision.chosen == body.chosen,
        )
    }

    fn holds_new_view_of(&self, view: View) -> bool {
        self.new_view.as_ref().is_some_and(|proof| proof.new_view.body.view == view)
    }

    /// Keeps a justified NEW-VIEW, durably, and lets it clear P and Q. Returns its position.
    fn adopt(&mut self, step: &mut Step<'_>, proof: Arc<NewViewProof>) -> Position {
        let position = self.persist(step, Record::NewView(Arc::clone(&proof)));
        self.clear_entries_against(&proof.new_view.body);
        self.new_view = Some(proof);
        position
    }

    /// Drops the P and Q entries of earlier views that the NEW-VIEW did not choose, and notes its
    /// choices in Q. This is what keeps both at one entry for each number, and nothing else ever
    /// evicts one [VC5]. It holds also for a NEW-VIEW of a view already left.
    pub(super) fn clear_entries_against(&mut self, new_view: &NewView) {
        let view = new_view.view;
        let start = new_view.checkpoint.0;
        let chosen: BTreeMap<SeqNum, Digest> = (1..)
            .zip(&new_view.chosen)
            .map(|(offset, digest)| (start.plus(offset), *digest))
            .collect();
        let survives = |seq: &SeqNum, (digest, entry_view): &mut (Digest, View)| {
            *seq <= start || *entry_view >= view || chosen.get(seq) == Some(digest)
        };
        self.prepared.retain(survives);
        self.pre_prepared.retain(survives);
        for (seq, digest) in &chosen {
            let is_newer = self.pre_prepared.get(seq).is_none_or(|(_, known)| *known < view);
            if self.in_window(*seq) && is_newer {
                self.pre_prepared.insert(*seq, (*digest, view));
            }
        }
    }

    /// Becomes active once the checkpoint that the NEW-VIEW starts from, or a later one, is held;
    /// if it is not, fetches it and tries again when the fetch ends [NV8].
    pub(super) fn try_activate(&mut self, step: &mut Step<'_>) {
        if self.active || !self.admission.is_admitted() {
            return;
        }
        if self.view == View::ZERO {
            return self.activate_initial_view(step);
        }
        if !self.holds_new_view_of(self.view) {
            return;
        }
        let Some(proof) = self.new_view.clone() else {
            return;
        };
        let (start, id) = proof.new_view.body.checkpoint;
        if self.low_water_mark < start {
            match self.own_checkpoints.get(&start) {
                Some(own) if *own == id => self.advance_low_water_mark(step, start, id),
                Some(_) => return self.halt(step, HaltReason::Diverged { seq: start }),
                None if self.last_executed >= start => return,
                None => return self.fetch_state(step, start, id),
            }
        }
        self.activate(step, &proof.new_view.body);
    }

    /// View 0 needs no NEW-VIEW.
    fn activate_initial_view(&mut self, step: &mut Step<'_>) {
        self.enter_view(step);
        self.last_assigned = self.last_assigned_here().max(self.last_executed);
        self.restore_own_proposals(step, SeqNum::ZERO);
        self.continue_in_view(step);
    }

    fn enter_view(&mut self, step: &mut Step<'_>) {
        self.active = true;
        self.timers.enter_view();
        step.event(Event::ViewEntered { view: self.view });
    }

    fn continue_in_view(&mut self, step: &mut Step<'_>) {
        self.hasten_status(step.now.monotonic);
        self.consider_request_timer(step.now.monotonic);
        self.try_execute(step);
        self.try_propose(step);
    }

    fn activate(&mut self, step: &mut Step<'_>, new_view: &NewView) {
        self.enter_view(step);
        let start = new_view.checkpoint.0;
        let last_chosen = start.plus(new_view.chosen.len() as u64);
        self.last_assigned = last_chosen.max(self.last_assigned_here()).max(self.last_executed);
        for (offset, digest) in (1..).zip(&new_view.chosen) {
            let seq = start.plus(offset);
            if seq > self.low_water_mark && self.in_window(seq) {
                self.mark_batch_proposed(*digest);
                self.accept_proposal(step, seq, *digest, None);
            }
        }
        self.restore_own_proposals(step, last_chosen);
        for (_, (signed, batch)) in core::mem::take(&mut self.early_pre_prepares) {
            // What is wrong with an early PRE-PREPARE is told like for any other.
            let result = self.on_pre_prepare(step, signed, batch);
            if let Err(reason) = result {
                let from = signed.signer;
                let kind = crate::message::Kind::PrePrepare;
                step.event(Event::Rejected { from, kind, reason });
            }
            if !self.active {
                return;
            }
        }
        self.continue_in_view(step);
    }

    /// The highest number that a Q entry of this very view names: after a restart, what this
    /// replica assigned or voted for before.
    fn last_assigned_here(&self) -> SeqNum {
        let of_view = self.pre_prepared.iter().filter(|(_, (_, view))| *view == self.view);
        of_view.map(|(seq, _)| *seq).max().unwrap_or_default()
    }

    /// After a restart inside a view: the numbers above the NEW-VIEW's choices for which this
    /// replica already voted keep their digest [P5].
    fn restore_own_proposals(&mut self, step: &mut Step<'_>, last_chosen: SeqNum) {
        let voted: Vec<(SeqNum, Digest)> = self
            .pre_prepared
            .range(last_chosen.next()..)
            .filter(|(_, (_, view))| *view == self.view)
            .map(|(seq, (digest, _))| (*seq, *digest))
            .collect();
        for (seq, digest) in voted {
            let view = self.view;
            let signed =
                self.signed_pre_prepares.get(&seq).filter(|s| s.body.view == view).copied();
            self.mark_batch_proposed(digest);
            self.accept_proposal(step, seq, digest, signed);
        }
    }

    fn mark_batch_proposed(&mut self, digest: Digest) {
        if digest == Batch::NULL {
            return;
        }
        if let Some(batch) = self.batches.get(&digest) {
            for request in &batch.requests {
                self.requests.mark_proposed(&super::request_key(request));
            }
        }
    }
}
