//! PRE-PREPAREs that name their long requests by digests: these come from the clients, who send
//! them to all replicas anyway (OSDI '99 section 5.1.1, TOCS 2002 section 5.1).

use super::{Replica, Step};
use crate::auth::Signed;
use crate::event::Event;
use crate::fault::Reject;
use crate::message::{Batch, Kind, Message, Outline, PrePrepare, SHORT_REQUEST_BYTES_MAX};
use crate::slot::Slot;
use crate::{ClientId, Digest, Position, ReplicaId, SeqNum, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// How long a request that an outline names may still come from its client before the batch is
/// asked for [SR3].
const PATIENCE: Duration = Duration::from_millis(10);

/// For how long a client's requests are sent whole after one of them had to be asked for [SR4].
const WHOLE_FOR: Duration = Duration::from_secs(10);

/// The outlines that wait for requests, at most one for each number.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlines {
    held: BTreeMap<SeqNum, HeldOutline>,
    /// The bytes of the requests that came with them.
    bytes: usize,
}

#[derive(Clone, Debug)]
struct HeldOutline {
    signed: Signed<PrePrepare>,
    outline: Arc<Outline>,
    /// The requests that are not here. **Invariant:** not empty.
    missing: BTreeSet<Digest>,
    /// When the batch is to be asked for; `None` once it was, and before the view begins.
    ask_at: Option<Time>,
}

impl Outlines {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The bytes of the requests that came with them.
    pub(super) fn byte_count(&self) -> usize {
        self.bytes
    }

    /// Whether requests of the one at this number may still come by themselves.
    pub(super) fn is_expected(&self, seq: SeqNum) -> bool {
        self.held.get(&seq).is_some_and(|held| held.ask_at.is_some())
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = SeqNum> {
        self.held.keys().copied()
    }

    /// Those above a number whose requests may still come by themselves: number and digest.
    pub(super) fn expected_above(&self, seq: SeqNum) -> Vec<(SeqNum, Digest)> {
        let above = self.held.range(seq.next()..);
        let expected = above.filter(|(_, held)| held.ask_at.is_some());
        expected.map(|(seq, held)| (*seq, held.signed.body.digest)).collect()
    }

    fn insert(&mut self, held: HeldOutline) {
        let seq = held.signed.body.seq;
        self.remove(seq);
        self.bytes += held.outline.byte_count();
        self.held.insert(seq, held);
    }

    pub(super) fn remove(&mut self, seq: SeqNum) {
        if let Some(held) = self.held.remove(&seq) {
            self.bytes -= held.outline.byte_count();
        }
    }

    /// Takes out the PRE-PREPARE whose batch has this digest.
    pub(super) fn take(&mut self, digest: Digest) -> Option<Signed<PrePrepare>> {
        let held = self.held.values().find(|held| held.signed.body.digest == digest)?;
        let signed = held.signed;
        self.remove(signed.body.seq);
        Some(signed)
    }

    pub(super) fn forget_up_to(&mut self, seq: SeqNum) {
        self.held = self.held.split_off(&seq.next());
        self.bytes = self.held.values().map(|held| held.outline.byte_count()).sum();
    }

    fn first_deadline(&self) -> Option<Time> {
        self.held.values().filter_map(|held| held.ask_at).min()
    }
}

/// Which backups had to ask for a request of which client, and until when they need not any more
/// [SR4].
#[derive(Clone, Debug, Default)]
pub(super) struct AskedWhole(BTreeMap<ClientId, BTreeMap<ReplicaId, Time>>);

impl AskedWhole {
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|askers| askers.len()).sum()
    }

    fn note(&mut self, now: Time, asker: ReplicaId, client: ClientId) {
        self.0.entry(client).or_default().insert(asker, now.after(WHOLE_FOR));
    }

    fn forget_expired(&mut self, now: Time) {
        self.0.retain(|_, askers| {
            askers.retain(|_, until| *until > now);
            !askers.is_empty()
        });
    }

    /// Whether `to` is sent the client's requests whole: it asked, or `weak` replicas did, of whom
    /// one is correct.
    fn includes(&self, to: ReplicaId, client: ClientId, weak: usize) -> bool {
        let askers = self.0.get(&client);
        askers.is_some_and(|askers| askers.contains_key(&to) || askers.len() >= weak)
    }
}

impl Replica {
    /// Sends a proposal to all backups, with an outline of its batch where that is shorter [SR1].
    pub(super) fn send_proposal(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
        after: Position,
    ) {
        self.asked_whole.forget_expired(step.now.monotonic);
        let separate = self.config.parameters.separate_requests;
        let form = |is_apart: &dyn Fn(ClientId) -> bool| match Outline::of(&batch, is_apart) {
            Some(outline) => Message::Outline(signed, Arc::new(outline)),
            None => Message::PrePrepare(signed, Arc::clone(&batch)),
        };
        if !separate || self.asked_whole.len() == 0 {
            return step.broadcast(form(&|_| separate), after);
        }
        let weak = self.config.quorums.weak();
        for to in self.config.replica_ids().filter(|to| *to != self.id) {
            let message = form(&|client| !self.asked_whole.includes(to, client, weak));
            step.send(to, message, after);
        }
    }

    /// A PRE-PREPARE with an outline. Once every request that it names waits here, it is what the
    /// PRE-PREPARE with the whole batch is [SR2]; until then it is kept [SR3].
    pub(super) fn on_outline(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
        outline: Arc<Outline>,
    ) -> Result<(), Reject> {
        let PrePrepare { seq, digest, .. } = signed.body;
        self.check_pre_prepare(step, &signed)?;
        let missing = match self.fill(digest, &outline) {
            Ok(batch) => return self.on_filled_outline(step, signed, batch),
            Err(missing) => missing,
        };
        if self.active {
            self.check_against_new_view(step, &signed)?;
        }
        if self.has_proposal(seq) {
            return Err(Reject::Duplicate);
        }
        self.hold_outline(step, signed, outline, missing)
    }

    /// Whether nothing new can be assigned to the number in this view.
    fn has_proposal(&self, seq: SeqNum) -> bool {
        self.slots.get(&seq).is_some_and(|slot| slot.proposal.is_some())
            || self.early_pre_prepares.contains_key(&seq)
            || self.outlines.held.contains_key(&seq)
    }

    /// The batch of an outline, from what is held here.
    fn fill(&self, digest: Digest, outline: &Outline) -> Result<Arc<Batch>, Vec<Digest>> {
        match self.batches.get(&digest) {
            Some(batch) => Ok(Arc::clone(batch)),
            None => outline.fill(|request| self.requests.with_digest(request)).map(Arc::new),
        }
    }

    /// All of a PRE-PREPARE is here that came as an outline. If it is refused for its own sake, its
    /// batch may still be the one that is committed.
    pub(super) fn on_filled_outline(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
    ) -> Result<(), Reject> {
        let digest = signed.body.digest;
        self.outlines.remove(signed.body.seq);
        self.config.check_requests_together(&batch)?;
        self.on_pre_prepare(step, signed, Arc::clone(&batch)).or_else(|reason| {
            let is_needed = self.wants_batch(digest) && !self.has_batch(digest);
            if is_needed { self.on_batch(step, batch) } else { Err(reason) }
        })
    }

    /// Keeps an outline until its requests are here. Of so many that a correct primary cannot have
    /// them all in flight the highest go: they are repaired like PRE-PREPAREs that were lost.
    fn hold_outline(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
        outline: Arc<Outline>,
        missing: Vec<Digest>,
    ) -> Result<(), Reject> {
        let seq = signed.body.seq;
        let ask_at = self.active.then(|| step.now.monotonic.after(PATIENCE));
        self.remember_signed(signed);
        let missing = missing.into_iter().collect();
        self.outlines.insert(HeldOutline { signed, outline, missing, ask_at });
        let parameters = &self.config.parameters;
        let bytes_max = parameters.instances_in_flight_max as usize * parameters.batch_bytes_max;
        while self.outlines.bytes > bytes_max {
            let Some(highest) = self.outlines.held.keys().next_back().copied() else { break };
            self.outlines.remove(highest);
        }
        self.timers.outlines = self.outlines.first_deadline();
        if self.outlines.held.contains_key(&seq) { Ok(()) } else { Err(Reject::OverLimit) }
    }

    /// A request now waits here: outlines that lacked nothing else are whole [SR2].
    pub(super) fn fill_outlines_with(&mut self, step: &mut Step<'_>, request: Digest) {
        let held = self.outlines.held.iter_mut();
        let complete: Vec<SeqNum> = held
            .filter_map(|(seq, held)| {
                let is_complete = held.missing.remove(&request) && held.missing.is_empty();
                is_complete.then_some(*seq)
            })
            .collect();
        for seq in complete {
            self.try_fill(step, seq);
        }
    }

    fn try_fill(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let Some(HeldOutline { signed, outline, .. }) = self.outlines.held.get(&seq) else {
            return;
        };
        let (signed, filled) = (*signed, self.fill(signed.body.digest, outline));
        match filled {
            Ok(batch) => {
                if let Err(reason) = self.on_filled_outline(step, signed, batch) {
                    let (from, kind) = (signed.signer, Kind::PrePrepare);
                    step.event(Event::Rejected { from, kind, reason });
                }
            }
            // Some were executed, or fenced, meanwhile.
            Err(missing) => {
                if let Some(held) = self.outlines.held.get_mut(&seq) {
                    held.missing = missing.into_iter().collect();
                }
            }
        }
    }

    /// The view begins: from now on requests that are missing are waited for.
    pub(super) fn wait_for_outlined_requests(&mut self, now: Time) {
        for held in self.outlines.held.values_mut() {
            held.ask_at = Some(now.after(PATIENCE));
        }
        self.timers.outlines = self.outlines.first_deadline();
    }

    /// Asks the primary once for the batches whose requests did not come; after that STATUS asks,
    /// as for a PRE-PREPARE that was lost [SR3].
    pub(super) fn ask_for_outlined(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        let primary = self.config.primary(self.view);
        for held in self.outlines.held.values_mut() {
            if held.ask_at.is_some_and(|ask_at| ask_at <= now) {
                held.ask_at = None;
                let digest = held.signed.body.digest;
                step.send(primary, Message::FetchBatch(digest), Position::ZERO);
                let again = now.after(self.config.parameters.status_interval / 2);
                self.timers.status = self.timers.status.map(|due| due.min(again));
            }
        }
        self.timers.outlines = self.outlines.first_deadline();
    }

    /// Whether this batch is held as an outline, so that it comes or is asked for without anything
    /// else being done.
    pub(super) fn awaits_requests_of(&self, seq: SeqNum, digest: Digest) -> bool {
        let held = self.outlines.held.get(&seq);
        self.active && held.is_some_and(|held| held.signed.body.digest == digest)
    }

    /// Whether a backup asks for the first time for a batch that this primary proposed: then it is
    /// owed the batch, whatever it was sent before, and its clients do not send their requests to
    /// everybody [SR4].
    pub(super) fn is_owed_batch(&mut self, now: Time, asker: ReplicaId, digest: Digest) -> bool {
        let is_own = |slot: &&mut Slot| {
            slot.proposal.as_ref().is_some_and(|p| p.digest == digest && p.signed.is_some())
        };
        if !self.is_primary() {
            return false;
        }
        let slot = self.slots.values_mut().find(is_own);
        if !slot.is_some_and(|slot| slot.asked_by.insert(asker)) {
            return false;
        }
        let requests = self.batches.get(&digest).into_iter().flat_map(|batch| &batch.requests);
        for request in requests.filter(|one| one.byte_count() > SHORT_REQUEST_BYTES_MAX) {
            self.asked_whole.note(now, asker, request.request().client);
        }
        true
    }
}
