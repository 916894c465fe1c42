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
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Replica {
    /// The primary of the new view decides again on every VIEW-CHANGE that arrives, until a
    /// decision is possible [NV1]; then it says so once [NV4].
    pub(super) fn primary_try_new_view(&mut self, step: &mut Step<'_>) {
        let is_due = !self.active && self.is_primary() && self.admission.is_admitted();
        if !is_due || self.holds_new_view_of(self.view) {
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
            self.on_rival(step, proof);
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
            self.roll_back(step);
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
        self.hold_new_view(proof);
        self.forget_unused_batches();
        position
    }

    /// Drops the P and Q entries of earlier views that the NEW-VIEW did not choose, and notes its
    /// choices in Q. This is what keeps both at one entry for each number, and nothing else ever
    /// evicts one [VC5]. It holds also for a NEW-VIEW of a view already left.
    pub(super) fn hold_new_view(&mut self, proof: Arc<NewViewProof>) {
        let new_view = &proof.new_view.body;
        self.drop_entries_against(new_view);
        for (seq, digest) in choices(new_view) {
            let known = self.pre_prepared.get(&seq);
            let is_newer = known.is_none_or(|(_, known)| *known < new_view.view);
            if self.in_window(seq) && is_newer {
                self.pre_prepared.insert(seq, (digest, new_view.view));
            }
        }
        self.rival_new_views.clear();
        self.new_view = Some(proof);
    }

    /// Another justified NEW-VIEW of the view whose NEW-VIEW is held: its primary lied, and is
    /// deposed. What the other one did not choose is dropped as well [VC10]: a replica that adopted
    /// it has dropped that, and the two would wait for each other for ever.
    fn on_rival(&mut self, step: &mut Step<'_>, proof: Arc<NewViewProof>) {
        if !self.is_justified(&proof) {
            return;
        }
        let view = proof.new_view.body.view;
        if self.would_drop(&proof.new_view.body) {
            self.persist(step, Record::NewView(Arc::clone(&proof)));
            self.hold_rival(proof);
            self.forget_unused_batches();
        }
        if view == self.view {
            self.start_view_change(step, view.next(), ViewChangeCause::PrimaryLied);
        }
    }

    pub(super) fn hold_rival(&mut self, proof: Arc<NewViewProof>) {
        self.drop_entries_against(&proof.new_view.body);
        self.rival_new_views.push(proof);
    }

    fn would_drop(&self, new_view: &NewView) -> bool {
        let entries = self.prepared.iter().chain(&self.pre_prepared);
        let mut entries = entries.map(|(seq, (digest, view))| (*seq, *digest, *view));
        entries.any(|(seq, digest, view)| new_view.drops(seq, digest, view))
    }

    fn drop_entries_against(&mut self, new_view: &NewView) {
        let survives = |seq: &SeqNum, (digest, view): &mut (Digest, View)| {
            !new_view.drops(*seq, *digest, *view)
        };
        self.prepared.retain(survives);
        self.pre_prepared.retain(survives);
    }

    /// A NEW-VIEW held here that the peer with this VIEW-CHANGE cannot have heard of, since it
    /// would have dropped an entry that the VIEW-CHANGE lists [VC10].
    pub(super) fn new_view_unknown_to(&self, peer: &ViewChange) -> Option<&Arc<NewViewProof>> {
        let entries = || peer.prepared.iter().chain(&peer.pre_prepared);
        let mut held = self.new_view.iter().chain(&self.rival_new_views);
        held.find(|proof| {
            let new_view = &proof.new_view.body;
            entries().any(|entry| new_view.drops(entry.seq, entry.digest, entry.view))
        })
    }

    /// Becomes active once the checkpoint that the NEW-VIEW starts from, or a later one, is
    /// stable here; if its state is not here, fetches it, and tries again when that is so [NV8].
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
            // All correct replicas take, execute up to or fetch this checkpoint and say so; then
            // it is stable. Beyond the window a peer's proof comes first.
            let own = self.own_checkpoints.get(&start);
            if own.is_some_and(|own| *own != id) {
                self.halt(step, HaltReason::Diverged { seq: start });
            } else if self.last_executed < start && self.in_window(start) {
                self.fetch_state(step, start, id);
            } else {
                self.hasten_status(step.now.monotonic);
            }
            return;
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
        self.wait_for_outlined_requests(step.now.monotonic);
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
        let known = self.last_executed.max(self.low_water_mark);
        self.last_assigned = last_chosen.max(self.last_assigned_here()).max(known);
        for (offset, digest) in (1..).zip(&new_view.chosen) {
            let seq = start.plus(offset);
            if self.in_window(seq) {
                self.mark_batch_proposed(seq, *digest);
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
            self.mark_batch_proposed(seq, digest);
            self.accept_proposal(step, seq, digest, signed);
        }
    }

    fn mark_batch_proposed(&mut self, seq: SeqNum, digest: Digest) {
        if digest == Batch::NULL {
            return;
        }
        if let Some(batch) = self.batches.get(&digest) {
            for request in &batch.requests {
                self.requests.mark_proposed(&super::request_key(request));
            }
            let rejoins = batch.rejoins.iter().filter(|_| seq > self.last_executed);
            for rejoin in rejoins {
                self.rejoin_queue.mark_proposed(rejoin.signer);
            }
        }
    }
}

/// What a NEW-VIEW chose, by number.
fn choices(new_view: &NewView) -> impl Iterator<Item = (SeqNum, Digest)> {
    let start = new_view.checkpoint.0;
    (1..).zip(&new_view.chosen).map(move |(offset, digest)| (start.plus(offset), *digest))
}
