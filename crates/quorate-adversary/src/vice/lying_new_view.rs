//! A new primary whose NEW-VIEW does not follow from the VIEW-CHANGEs it names: a choice is
//! missing or null, or the view starts from a checkpoint that nobody has. It passes the door, and
//! backups that decide again go to the next view at once. Or one of the VIEW-CHANGEs is made up:
//! that is refused at the door, and the view times out. Each is *masked after a view change*.
//!
//! Or there are two NEW-VIEWs, one for each half of the backups. Both are justified, since they
//! differ in nothing but an idle entry of Q in the liar's own VIEW-CHANGE. Whoever sees both holds
//! two signatures for one view: *detected and named*, and masked after a view change.

use super::{Vice, another, is_in_higher_half, now};
use crate::{Disproof, Endpoint, Identity, Sending};
use pbft::message::{Batch, NewViewProof, PreparedEntry, ViewChange};
use pbft::{Message, Signed};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct LyingNewView {
    pub(super) identity: Identity,
    pub(super) lie: Disproof,
}

impl LyingNewView {
    fn disproved(&self, to: Endpoint, honest: &NewViewProof) -> NewViewProof {
        let mut proof = honest.clone();
        let body = &mut proof.new_view.body;
        match self.lie {
            Disproof::Dropped => drop(body.chosen.pop()),
            Disproof::Null => {
                if let Some(choice) = body.chosen.iter_mut().find(|digest| **digest != Batch::NULL)
                {
                    *choice = Batch::NULL;
                }
            }
            Disproof::Checkpoint => {
                body.checkpoint.1.state_root = another(body.checkpoint.1.state_root);
            }
            Disproof::Invented => {
                self.replace(&mut proof, |identity, view_change| {
                    let Identity { config, id, key, .. } = identity;
                    let body = ViewChange { prepared: Vec::new(), ..view_change.body.clone() };
                    let signer = view_change.signer;
                    (signer != *id).then(|| Signed::sign(&config.domain, key, signer, body))
                });
            }
            Disproof::Two if is_in_higher_half(&self.identity, to) => {
                self.replace(&mut proof, |identity, view_change| {
                    let body = with_an_idle_entry(identity, &view_change.body)?;
                    (view_change.signer == identity.id).then(|| identity.sign(body))
                });
            }
            Disproof::Two => {}
        }
        proof.new_view = self.identity.sign(proof.new_view.body);
        proof
    }

    /// Replaces the first VIEW-CHANGE for which there is another, and names that one.
    fn replace(
        &self,
        proof: &mut NewViewProof,
        another: impl Fn(&Identity, &Signed<ViewChange>) -> Option<Signed<ViewChange>>,
    ) {
        let named = &mut proof.new_view.body.view_changes;
        for (view_change, (_, digest)) in proof.view_changes.iter_mut().zip(named) {
            if let Some(replacement) = another(&self.identity, view_change) {
                *digest = replacement.digest();
                *view_change = Arc::new(replacement);
                return;
            }
        }
    }
}

/// The same VIEW-CHANGE with an entry of Q, at the end of the window, that supports nothing;
/// `None` if there is no room for it.
fn with_an_idle_entry(identity: &Identity, own: &ViewChange) -> Option<ViewChange> {
    let seq = own.low_water_mark.plus(identity.config.parameters.log_window);
    let is_free = own.pre_prepared.last().is_none_or(|last| last.seq < seq);
    let mut body = own.clone();
    let (digest, view) = (another(Batch::NULL), pbft::View::ZERO);
    body.pre_prepared.push(PreparedEntry { seq, digest, view });
    is_free.then_some(body)
}

impl Vice for LyingNewView {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::NewView(proof) if proof.new_view.signer == self.identity.id => {
                Message::NewView(Arc::new(self.disproved(to, &proof)))
            }
            other => other,
        };
        vec![now(to, message)]
    }
}
