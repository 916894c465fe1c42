//! Every message that differs a little from a given one: in one field, and there by one, or by what
//! a list lacks. What is signed is signed again.

use pbft::message::{Batch, NewView, NewViewProof, PreparedEntry, ViewChange};
use pbft::{Message, Signed};
use quorate_adversary::{Identity, mutants};
use std::sync::Arc;

/// The variants of a message that its sender makes.
pub(super) fn variants(liar: &Identity, message: &Message) -> Vec<Message> {
    let mut variants = mutants(liar, message);
    match message {
        Message::ViewChange(own) if own.signer == liar.id => {
            let changed = view_changes(&own.body);
            variants.extend(changed.map(|body| Message::ViewChange(Arc::new(liar.sign(body)))));
        }
        Message::NewView(own) if own.new_view.signer == liar.id => {
            let changed = new_views(own).into_iter();
            let proofs = changed.map(|(body, view_changes)| NewViewProof {
                new_view: liar.sign(body),
                view_changes,
            });
            variants.extend(proofs.map(|proof| Message::NewView(Arc::new(proof))));
        }
        _ => {}
    }
    variants
}

/// Without one entry of P or of Q.
fn view_changes(body: &ViewChange) -> impl Iterator<Item = ViewChange> {
    let p = shortened(&body.prepared).map(|prepared| ViewChange { prepared, ..body.clone() });
    let q = shortened(&body.pre_prepared)
        .map(|pre_prepared| ViewChange { pre_prepared, ..body.clone() });
    p.chain(q)
}

/// The same entries with one of them left out.
fn shortened(entries: &[PreparedEntry]) -> impl Iterator<Item = Vec<PreparedEntry>> {
    (0..entries.len()).map(|index| [&entries[..index], &entries[index + 1..]].concat())
}

type Supplied = Vec<Arc<Signed<ViewChange>>>;

/// One choice more or fewer or null instead, one VIEW-CHANGE fewer.
fn new_views(proof: &NewViewProof) -> Vec<(NewView, Supplied)> {
    let body = &proof.new_view.body;
    let more = [&body.chosen[..], &[Batch::NULL]].concat();
    let mut changed = vec![NewView { chosen: more, ..body.clone() }];
    for index in 0..body.chosen.len() {
        let mut other = body.clone();
        other.chosen[index] = Batch::NULL;
        changed.push(other);
        let mut fewer = body.clone();
        fewer.chosen.remove(index);
        changed.push(fewer);
    }
    let mut changed: Vec<(NewView, Supplied)> =
        changed.into_iter().map(|body| (body, proof.view_changes.clone())).collect();
    for index in 0..proof.view_changes.len() {
        let (mut body, mut supplied) = (body.clone(), proof.view_changes.clone());
        body.view_changes.remove(index);
        supplied.remove(index);
        changed.push((body, supplied));
    }
    changed
}
