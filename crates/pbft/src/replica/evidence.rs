//! Catching lies: two signed messages that contradict each other are kept as proof. A PREPARE that
//! names another digest than the one accepted here is the usual sign of an equivocating primary, so
//! its sender is asked for the signed PRE-PREPARE it saw [EV2].

use super::{Replica, Step};
use crate::auth::Signed;
use crate::event::{Event, ViewChangeCause};
use crate::fault::{Evidence, Reject};
use crate::message::{Message, PrePrepare};
use crate::output::Output;
use crate::{Position, ReplicaId, SeqNum, View};
use alloc::boxed::Box;

/// Of one replica, one lie of each kind is reported for each view.
pub(super) type EvidenceKey = (ReplicaId, View, &'static str);

/// How many reported lies are remembered, so as not to report them again.
const REPORTED_MAX: usize = 1024;

impl Replica {
    /// Hands evidence to the host, once.
    pub(super) fn report(&mut self, step: &mut Step<'_>, evidence: Evidence) {
        let Some(conviction) = evidence.verify(&self.config) else {
            return;
        };
        if self.evidence.len() >= REPORTED_MAX {
            self.evidence.clear();
        }
        if self.evidence.insert((conviction.replica, conviction.view, evidence.kind())) {
            let (replica, view) = (conviction.replica, conviction.view);
            step.event(Event::EvidenceFound { replica, view });
            step.outputs.push(Output::Evidence(evidence));
        }
    }

    /// Compares a signed PRE-PREPARE with the one seen before for its view and number; two digests
    /// convict the primary, and if it still is the primary, it is deposed.
    pub(super) fn check_against_signed(
        &mut self,
        step: &mut Step<'_>,
        signed: &Signed<PrePrepare>,
    ) {
        let PrePrepare { view, seq, digest } = signed.body;
        let Some(known) = self.signed_pre_prepares.get(&seq) else {
            return;
        };
        if known.body.view != view || known.body.digest == digest {
            return;
        }
        let pair = Box::new((*known, *signed));
        self.report(step, Evidence::TwoPrePrepares(pair));
        if view == self.view {
            self.start_view_change(step, view.next(), ViewChangeCause::PrimaryLied);
        }
    }

    /// Asks for the PRE-PREPARE behind a PREPARE that differs from one's own, if there is a signed
    /// one here to compare it with.
    pub(super) fn ask_for_pre_prepare(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        view: View,
        seq: SeqNum,
    ) {
        if self.signed_pre_prepares.get(&seq).is_some_and(|known| known.body.view == view) {
            step.send(from, Message::FetchPrePrepare(view, seq), Position::ZERO);
        }
    }

    pub(super) fn on_fetch_pre_prepare(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        view: View,
        seq: SeqNum,
    ) -> Result<(), Reject> {
        let known = self.signed_pre_prepares.get(&seq).filter(|known| known.body.view == view);
        let signed = *known.ok_or(Reject::Unsolicited)?;
        if !self.repair.may_answer(from, size_of::<Signed<PrePrepare>>()) {
            return Err(Reject::TooOften);
        }
        // One's own that is not durable yet could be forgotten and contradicted after a crash.
        step.send(from, Message::PrePrepareSeen(signed), self.position);
        Ok(())
    }

    pub(super) fn on_pre_prepare_seen(
        &mut self,
        step: &mut Step<'_>,
        signed: Signed<PrePrepare>,
    ) -> Result<(), Reject> {
        if !self.signed_pre_prepares.contains_key(&signed.body.seq) {
            return Err(Reject::Unsolicited);
        }
        self.check_against_signed(step, &signed);
        Ok(())
    }
}
