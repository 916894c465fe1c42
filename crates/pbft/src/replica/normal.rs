//! The three phases of the normal case (OSDI '99 section 4.2).

use super::request_queue::Source;
use super::{Replica, Step, request_key};
use crate::auth::Signed;
use crate::event::{Event, ViewChangeCause};
use crate::fault::{Evidence, HaltReason, Reject};
use crate::message::{Batch, Committed, Message, PrePrepare, Vote};
use crate::record::Record;
use crate::slot::Proposal;
use crate::{Digest, Position, ReplicaId, SeqNum, View};
use alloc::boxed::Box;
use alloc::sync::Arc;

impl Replica {
    /// The primary assigns the next number to a batch: dense, inside the window, and never two
    /// digests for one number of a view [PP1].
    pub(super) fn propose(&mut self, step: &mut Step<'_>, batch: Batch) {
        let seq = self.last_assigned.next();
        self.last_assigned = seq;
        let body = PrePrepare { view: self.view, seq, digest: batch.digest() };
        let signed = Signed::sign(&self.config.domain, &self.key, self.id, body);
        let batch = Arc::new(batch);
        self.hold_batch(step, body.digest, &batch);
        self.remember_signed(signed);
        self.slot(seq).proposal =
            Some(Proposal { digest: body.digest, signed: Some(signed), voted_at: None });
        let voted_at = self.vote(step, seq);
        self.send_proposal(step, signed, batch, voted_at);
        self.check_prepared(step, seq);
    }

    /// A backup accepts a PRE-PREPARE iff [PP2]
    /// - it is active in exactly its view [PP2], and the number is inside the window [PP2];
    /// - it accepted no other digest for the view and number [PP3];
    /// - the digest is that of the batch, and the batch is well-formed: checked at the door
    ///   [PP4] [PP5];
    /// - the proposed time is near its own clock [PP6], its REJOINs do not come too soon [RJ2], and
    ///   their views are near its own [RJ4];
    /// - its log has room for the batch [PP7].
    pub(super) fn on_pre_prepare(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
    ) -> Result<(), Reject> {
        let PrePrepare { seq, digest, .. } = signed.body;
        self.check_pre_prepare(step, &signed)?;
        if !self.active {
            let limit = self.config.parameters.instances_in_flight_max as usize;
            if self.early_pre_prepares.len() >= limit {
                return Err(Reject::OverLimit);
            }
            self.early_pre_prepares.entry(seq).or_insert((signed, batch));
            self.outlines.remove(seq);
            return Ok(());
        }
        self.check_against_new_view(step, &signed)?;
        if let Some(proposal) = self.slots.get_mut(&seq).and_then(|slot| slot.proposal.as_mut()) {
            if proposal.digest != digest {
                return Err(Reject::Contradiction);
            }
            proposal.signed.get_or_insert(signed);
            let lacks_batch = proposal.voted_at.is_none();
            return if lacks_batch { self.on_batch(step, batch) } else { Err(Reject::Duplicate) };
        }
        if self.slots.get(&seq).and_then(|slot| slot.committed).is_some_and(|d| d != digest) {
            return Err(Reject::Contradiction);
        }
        if !self.times_believed(step).contains(&batch.time) {
            return Err(Reject::ClockSkew);
        }
        batch.rejoins.iter().try_for_each(|rejoin| self.judge_rejoin(step, rejoin))?;
        let log_is_full = self.log_bytes > self.config.parameters.log_bytes_max;
        if log_is_full && !batch.requests.is_empty() {
            return Err(Reject::OverLimit);
        }
        self.note_accepted(step.now.monotonic, seq, &batch);
        self.note_requests(step, &batch);
        self.hold_batch(step, digest, &batch);
        self.remember_signed(signed);
        self.accept_proposal(step, seq, digest, Some(signed));
        // The number may be committed already, by COMMITs or COMMITTED that were faster, and its
        // body is what execution waited for [C2].
        self.try_execute(step);
        Ok(())
    }

    /// What is asked of a PRE-PREPARE before its batch is looked at: its view, its number, and that
    /// it convicts nobody.
    pub(super) fn check_pre_prepare(
        &mut self,
        step: &mut Step<'_>,
        signed: &Signed<PrePrepare>,
    ) -> Result<(), Reject> {
        let PrePrepare { view, seq, .. } = signed.body;
        self.notice_view(step, view);
        if view != self.view {
            return Err(Reject::WrongView);
        }
        if !self.in_window(seq) {
            self.notice_number(step, seq);
            return Err(Reject::OutsideWindow);
        }
        if self.is_primary() {
            return Err(Reject::Duplicate);
        }
        self.check_against_signed(step, signed);
        if view == self.view { Ok(()) } else { Err(Reject::Contradiction) }
    }

    /// The requests of a batch wait like those that came from their clients: if the batch is lost
    /// with its view, the next primary proposes them without their clients' help [RQ4].
    fn note_requests(&mut self, step: &mut Step<'_>, batch: &Batch) {
        for request in &batch.requests {
            if matches!(self.standing(request), super::request::Standing::New) {
                self.enqueue(Arc::clone(request), Source::Client, step.now.monotonic);
            }
            self.requests.mark_proposed(&request_key(request));
        }
        self.consider_request_timer(step.now.monotonic);
    }

    /// Makes `digest` the proposal of the current view for this number, and votes for it as soon
    /// as the batch is held.
    pub(super) fn accept_proposal(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        digest: Digest,
        signed: Option<Signed<PrePrepare>>,
    ) {
        self.slot(seq).proposal = Some(Proposal { digest, signed, voted_at: None });
        self.outlines.remove(seq);
        let suspicious: alloc::vec::Vec<ReplicaId> = self
            .slots
            .get(&seq)
            .into_iter()
            .flat_map(|slot| &slot.prepares)
            .filter(|(_, prepared)| **prepared != digest)
            .map(|(replica, _)| *replica)
            .collect();
        for replica in suspicious {
            self.ask_for_pre_prepare(step, replica, self.view, seq);
        }
        if self.has_batch(digest) {
            self.send_prepare(step, seq);
        } else {
            self.fetch_batch(step, digest);
        }
    }

    /// PREPARE, once, only with the batch in hand and the Q entry durable [P1].
    pub(super) fn send_prepare(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let voted_at = self.vote(step, seq);
        let view = self.view;
        if !self.is_primary() {
            let id = self.id;
            let slot = self.slot(seq);
            let Some(digest) = slot.proposal.as_ref().map(|proposal| proposal.digest) else {
                return;
            };
            slot.prepares.insert(id, digest);
            step.broadcast(Message::Prepare(Vote { view, seq, digest }), voted_at);
        }
        self.restore_prepared(step, seq);
        self.check_prepared(step, seq);
    }

    /// After a restart: what prepared here in this view before still is, and its COMMIT is sent
    /// again [P5].
    fn restore_prepared(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let (view, id, position) = (self.view, self.id, self.position);
        let Some((digest, prepared_in)) = self.prepared.get(&seq).copied() else {
            return;
        };
        let slot = self.slot(seq);
        let is_proposed = slot.proposal.as_ref().is_some_and(|p| p.digest == digest);
        if prepared_in == view && is_proposed && slot.prepared_at.is_none() {
            slot.prepared_at = Some(position);
            slot.commits.insert(id, (view, digest));
            step.broadcast(Message::Commit(Vote { view, seq, digest }), position);
            self.check_committed(step, seq);
        }
    }

    /// Notes the Q entry of the proposal and makes it durable, unless a NEW-VIEW or a restart left
    /// it so.
    fn vote(&mut self, step: &mut Step<'_>, seq: SeqNum) -> Position {
        let view = self.view;
        let Some(proposal) = self.slots.get(&seq).and_then(|slot| slot.proposal.clone()) else {
            return self.position;
        };
        let digest = proposal.digest;
        let known = self.pre_prepared.insert(seq, (digest, view)) == Some((digest, view));
        let position = if known {
            self.position
        } else {
            let entry = PrePrepare { view, seq, digest };
            self.persist(step, Record::PrePrepared { entry, signed: proposal.signed })
        };
        if let Some(proposal) = self.slot(seq).proposal.as_mut() {
            proposal.voted_at = Some(position);
        }
        let batch = self.batches.get(&digest);
        let requests = batch.map_or(0, |batch| batch.requests.len());
        let time = batch.map_or(self.latest_batch_time, |batch| batch.time);
        self.latest_batch_time = self.latest_batch_time.max(time);
        step.event(Event::PrePrepared { view, seq, digest, requests });
        position
    }

    /// A PREPARE counts iff [P2]
    /// - it comes from a backup of the view, never from its primary;
    /// - the view is the receiver's, and the number is inside the window;
    /// - it is the sender's first for the view and number.
    pub(super) fn on_prepare(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        vote: Vote,
    ) -> Result<(), Reject> {
        let Vote { view, seq, digest } = vote;
        self.notice_view(step, view);
        if view != self.view {
            return Err(Reject::WrongView);
        }
        if from == self.config.primary(view) {
            return Err(Reject::PrepareFromPrimary);
        }
        if !self.in_window(seq) {
            self.notice_number(step, seq);
            return Err(Reject::OutsideWindow);
        }
        let slot = self.slot(seq);
        if let Some(first) = slot.prepares.get(&from) {
            let same = *first == digest;
            return Err(if same { Reject::Duplicate } else { Reject::Contradiction });
        }
        slot.prepares.insert(from, digest);
        let differs = slot.proposal.as_ref().is_some_and(|proposal| proposal.digest != digest);
        if differs {
            self.ask_for_pre_prepare(step, from, view, seq);
        }
        self.check_prepared(step, seq);
        Ok(())
    }

    /// On prepared: note the P entry, and send COMMIT once it is durable [P4].
    fn check_prepared(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let quorums = self.config.quorums;
        let (view, id) = (self.view, self.id);
        let Some(slot) = self.slots.get(&seq) else {
            return;
        };
        if slot.prepared_at.is_some() || !slot.is_prepared(quorums) {
            return;
        }
        let Some(digest) = slot.proposal.as_ref().map(|proposal| proposal.digest) else {
            return;
        };
        self.prepared.insert(seq, (digest, view));
        let position = self.persist(step, Record::Prepared(PrePrepare { view, seq, digest }));
        step.event(Event::Prepared { view, seq, digest });
        let slot = self.slot(seq);
        slot.prepared_at = Some(position);
        slot.commits.insert(id, (view, digest));
        step.broadcast(Message::Commit(Vote { view, seq, digest }), position);
        self.check_committed(step, seq);
        self.try_execute(step);
    }

    /// A COMMIT counts in any view, inside the window; of each replica the one of the highest view
    /// is kept [C1].
    pub(super) fn on_commit(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        vote: Vote,
    ) -> Result<(), Reject> {
        let Vote { view, seq, digest } = vote;
        self.notice_view(step, view);
        if !self.in_window(seq) {
            self.notice_number(step, seq);
            return Err(Reject::OutsideWindow);
        }
        let weak = self.config.quorums.weak();
        let slot = self.slot(seq);
        match slot.commits.get(&from) {
            Some((known, same)) if *known == view => {
                let same = *same == digest;
                return Err(if same { Reject::Duplicate } else { Reject::Contradiction });
            }
            Some((known, _)) if *known > view => return Err(Reject::Stale),
            _ => {}
        }
        slot.commits.insert(from, (view, digest));
        let in_the_dark = slot.proposal.is_none() && slot.commits.len() >= weak;
        if in_the_dark && !self.awaits_requests_of(seq, digest) {
            self.hasten_status(step.now.monotonic);
        }
        self.check_committed(step, seq);
        Ok(())
    }

    /// COMMITTED: the first of each replica counts, whatever the view [C4].
    pub(super) fn on_committed(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        committed: Committed,
    ) -> Result<(), Reject> {
        let Committed { seq, digest } = committed;
        if !self.in_window(seq) {
            self.notice_number(step, seq);
            return Err(Reject::OutsideWindow);
        }
        let slot = self.slot(seq);
        if let Some(first) = slot.claims.get(&from) {
            let same = *first == digest;
            return Err(if same { Reject::Duplicate } else { Reject::Contradiction });
        }
        slot.claims.insert(from, digest);
        self.check_committed(step, seq);
        Ok(())
    }

    /// Once a certificate proves a digest committed, it is executed as soon as its batch is held
    /// and everything before it was executed [C2].
    fn check_committed(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let quorums = self.config.quorums;
        let Some(slot) = self.slots.get_mut(&seq) else {
            return;
        };
        let Some(digest) = slot.certified_digest(quorums) else {
            return;
        };
        match slot.committed {
            None => slot.committed = Some(digest),
            Some(known) if known == digest => return,
            Some(_) => return self.halt(step, HaltReason::TooManyFaults { seq }),
        }
        self.note_agreed(step.now.monotonic, seq);
        step.event(Event::Committed { seq, digest });
        if self.has_batch(digest) {
            self.try_execute(step);
        } else if !self.awaits_requests_of(seq, digest) {
            self.fetch_batch(step, digest);
        }
    }

    /// Keeps a signed PRE-PREPARE to compare others with, unless one of its view or a later one is
    /// kept already.
    pub(super) fn remember_signed(&mut self, signed: Signed<PrePrepare>) {
        let known = self.signed_pre_prepares.get(&signed.body.seq);
        if known.is_none_or(|known| known.body.view < signed.body.view) {
            self.signed_pre_prepares.insert(signed.body.seq, signed);
        }
    }

    /// Keeps the body of a batch, durably, before anything names it.
    fn hold_batch(&mut self, step: &mut Step<'_>, digest: Digest, batch: &Arc<Batch>) {
        if self.batches.insert(digest, Arc::clone(batch)).is_none() {
            self.log_bytes += batch.byte_count();
            self.persist(step, Record::Batch(Arc::clone(batch)));
        }
    }

    /// The body of a batch that was asked for; believed because of its digest [ST5].
    pub(super) fn on_batch(
        &mut self,
        step: &mut Step<'_>,
        batch: Arc<Batch>,
    ) -> Result<(), Reject> {
        let digest = batch.digest();
        if let Some(signed) = self.outlines.take(digest) {
            return self.on_filled_outline(step, signed, batch);
        }
        if self.batches.contains_key(&digest) {
            return Err(Reject::Duplicate);
        }
        if !self.wants_batch(digest) {
            return Err(Reject::Unsolicited);
        }
        self.hold_batch(step, digest, &batch);
        let to_vote: alloc::vec::Vec<SeqNum> = self
            .slots
            .iter()
            .filter(|(_, slot)| {
                let proposal = slot.proposal.as_ref();
                proposal.is_some_and(|p| p.digest == digest && p.voted_at.is_none())
            })
            .map(|(seq, _)| *seq)
            .collect();
        for seq in to_vote {
            self.send_prepare(step, seq);
        }
        self.try_execute(step);
        Ok(())
    }

    /// Whether a number of the log, or a Q entry noted from a NEW-VIEW, waits for the body of this
    /// batch.
    pub(super) fn wants_batch(&self, digest: Digest) -> bool {
        let in_log = self.slots.values().any(|slot| {
            slot.committed == Some(digest)
                || slot.proposal.as_ref().is_some_and(|proposal| proposal.digest == digest)
        });
        in_log || self.pre_prepared.values().any(|(noted, _)| *noted == digest)
    }

    /// A PRE-PREPARE that contradicts the choices of its own view's NEW-VIEW convicts the primary;
    /// one at or below the view's checkpoint is void [NV7].
    pub(super) fn check_against_new_view(
        &mut self,
        step: &mut Step<'_>,
        signed: &Signed<PrePrepare>,
    ) -> Result<(), Reject> {
        let Some(proof) = self.new_view.clone() else {
            return Ok(());
        };
        let new_view = &proof.new_view;
        let PrePrepare { view, seq, digest } = signed.body;
        if new_view.body.view != view {
            return Ok(());
        }
        if seq <= new_view.body.checkpoint.0 {
            return Err(Reject::OutsideWindow);
        }
        if new_view.body.contradicts(seq, digest) {
            let pair = Box::new((new_view.clone(), *signed));
            self.report(step, Evidence::NewViewAgainstPrePrepare(pair));
            self.start_view_change(step, view.next(), ViewChangeCause::PrimaryLied);
            return Err(Reject::Contradiction);
        }
        Ok(())
    }

    /// A message of a higher view is no proof of it, but a reason to ask.
    fn notice_view(&mut self, step: &Step<'_>, view: View) {
        if view > self.view {
            self.hasten_status(step.now.monotonic);
        }
    }

    /// A number above the window is a reason to ask: the others may be ahead [CP6].
    pub(super) fn notice_number(&mut self, step: &Step<'_>, seq: SeqNum) {
        if seq > self.high_water_mark() {
            self.hasten_status(step.now.monotonic);
        }
    }
}
