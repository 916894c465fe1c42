//! What a faulty replica can say in a view change: VIEW-CHANGEs with lies about P and Q, and as the
//! new primary every NEW-VIEW that correct replicas would find justified.

use super::THRESHOLDS;
use super::nodes::{MessageId, Nodes};
use crate::restated;
use pbft::message::{Batch, NewView, NewViewProof, PrePrepare, PreparedEntry, ViewChange};
use pbft::{Digest, Message, ReplicaId, SeqNum, Signed, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type SignedViewChange = Arc<Signed<ViewChange>>;

/// The liars of an exploration.
#[derive(Debug)]
pub(super) struct Liars {
    pub(super) ids: Vec<ReplicaId>,
    numbers: u64,
    lies: BTreeMap<(View, ReplicaId, Vec<Digest>), Vec<MessageId>>,
    new_views: BTreeMap<(View, Vec<MessageId>), Vec<MessageId>>,
    empty: BTreeMap<(View, ReplicaId), MessageId>,
    pre_prepares: BTreeMap<(View, SeqNum), Vec<MessageId>>,
}

impl Liars {
    pub(super) fn new(ids: Vec<ReplicaId>, numbers: u64) -> Self {
        Self {
            ids,
            numbers,
            lies: BTreeMap::new(),
            new_views: BTreeMap::new(),
            empty: BTreeMap::new(),
            pre_prepares: BTreeMap::new(),
        }
    }

    /// The proposals between which a faulty primary equivocates.
    pub(super) fn pre_prepares(
        &mut self,
        nodes: &mut Nodes,
        primary: ReplicaId,
        view: View,
        seq: SeqNum,
    ) -> Vec<MessageId> {
        let made = self.pre_prepares.entry((view, seq)).or_insert_with(|| {
            let batches = nodes.cast.batches.clone();
            let mut propose = |batch: Arc<Batch>| {
                let body = PrePrepare { view, seq, digest: batch.digest() };
                let cast = &nodes.cast;
                let signed = Signed::sign(&cast.config.domain, cast.key(primary), primary, body);
                nodes.name(Message::PrePrepare(signed, batch))
            };
            batches.into_iter().map(&mut propose).collect()
        });
        made.clone()
    }

    /// The VIEW-CHANGE of a liar that says nothing.
    pub(super) fn empty_view_change(
        &mut self,
        nodes: &mut Nodes,
        liar: ReplicaId,
        view: View,
    ) -> MessageId {
        let make = || sign(nodes, liar, view, SeqNum::ZERO, Vec::new(), Vec::new());
        *self.empty.entry((view, liar)).or_insert_with(make)
    }

    /// Every VIEW-CHANGE for `view` by which a liar may sway a decision on these of correct
    /// replicas: P and Q name what they name, or a batch nobody need have proposed, in any view;
    /// the last one claims to be past the window.
    pub(super) fn view_changes(
        &mut self,
        nodes: &mut Nodes,
        liar: ReplicaId,
        view: View,
        others: &[MessageId],
    ) -> Vec<MessageId> {
        let digests = self.digests(nodes, others);
        let key = (view, liar, digests);
        if let Some(known) = self.lies.get(&key) {
            return known.clone();
        }
        let mut told: Vec<(Vec<PreparedEntry>, Vec<PreparedEntry>)> = vec![Default::default()];
        for seq in (1..=self.numbers).map(SeqNum::new) {
            let at_seq = self.told_of(seq, view, &key.2);
            told = told
                .iter()
                .flat_map(|(p, q)| {
                    at_seq.iter().map(move |(more_p, more_q)| {
                        let extended = |entries: &Vec<PreparedEntry>, more: &Option<_>| {
                            entries.iter().copied().chain(*more).collect()
                        };
                        (extended(p, more_p), extended(q, more_q))
                    })
                })
                .collect();
        }
        let mut lies: Vec<MessageId> =
            told.into_iter().map(|(p, q)| sign(nodes, liar, view, SeqNum::ZERO, p, q)).collect();
        lies.push(sign(nodes, liar, view, SeqNum::new(self.numbers), Vec::new(), Vec::new()));
        self.lies.insert(key, lies.clone());
        lies
    }

    /// What a lie says about one number: with one number explored any entries of P and Q together,
    /// with more of them the same in both, or one of them alone.
    fn told_of(
        &self,
        seq: SeqNum,
        view: View,
        digests: &[Digest],
    ) -> Vec<(Option<PreparedEntry>, Option<PreparedEntry>)> {
        let views = || (0..view.get()).map(View::new);
        let entries: Vec<Option<PreparedEntry>> = digests
            .iter()
            .flat_map(|digest| views().map(|view| PreparedEntry { seq, digest: *digest, view }))
            .map(Some)
            .chain([None])
            .collect();
        if self.numbers == 1 {
            return entries.iter().flat_map(|p| entries.iter().map(|q| (*p, *q))).collect();
        }
        let shapes = |entry: Option<PreparedEntry>| [(entry, entry), (entry, None), (None, entry)];
        let told: BTreeSet<_> = entries.into_iter().flat_map(shapes).collect();
        told.into_iter().collect()
    }

    fn digests(&self, nodes: &Nodes, others: &[MessageId]) -> Vec<Digest> {
        let made_up = nodes.cast.batches.iter().map(|batch| batch.digest());
        let mut digests: BTreeSet<Digest> = made_up.collect();
        for body in others.iter().filter_map(|id| view_change(nodes, *id)) {
            let entries = body.body.prepared.iter().chain(&body.body.pre_prepared);
            digests.extend(entries.map(|entry| entry.digest));
        }
        digests.into_iter().collect()
    }

    /// Every set of a quorum or more of VIEW-CHANGEs that exists with these of correct replicas: the
    /// liars add anything, or nothing. Of several liars all but the first tell the plain lies only.
    pub(super) fn quorums(
        &mut self,
        nodes: &mut Nodes,
        view: View,
        correct: &[MessageId],
    ) -> Vec<Vec<MessageId>> {
        let mut sets: Vec<Vec<MessageId>> = vec![Vec::new()];
        for id in correct {
            let with: Vec<_> = sets.iter().map(|set| [&set[..], &[*id]].concat()).collect();
            sets.extend(with);
        }
        for (index, liar) in self.ids.clone().into_iter().enumerate() {
            let lies = if index == 0 {
                self.view_changes(nodes, liar, view, correct)
            } else {
                vec![self.empty_view_change(nodes, liar, view)]
            };
            let with: Vec<_> = sets
                .iter()
                .flat_map(|set| lies.iter().map(move |lie| [&set[..], &[*lie]].concat()))
                .collect();
            sets.extend(with);
        }
        sets.retain(|set| set.len() >= THRESHOLDS.quorum);
        sets
    }

    /// The NEW-VIEWs for `view` that a faulty primary can justify, one for each outcome: what a
    /// NEW-VIEW clears and carries over depends on its choices alone.
    pub(super) fn new_views(
        &mut self,
        nodes: &mut Nodes,
        view: View,
        correct: &[MessageId],
    ) -> Vec<MessageId> {
        let key = (view, correct.to_vec());
        if let Some(known) = self.new_views.get(&key) {
            return known.clone();
        }
        let log_window = nodes.cast.config.parameters.log_window;
        let mut outcomes = BTreeMap::new();
        for set in self.quorums(nodes, view, correct) {
            let used: Vec<SignedViewChange> =
                set.iter().filter_map(|id| view_change(nodes, *id)).cloned().collect();
            let bodies: Vec<&ViewChange> = used.iter().map(|signed| &signed.body).collect();
            if let Some(outcome) = restated::decide(THRESHOLDS, &bodies, log_window) {
                outcomes.entry(outcome).or_insert(used);
            }
        }
        let made: Vec<MessageId> = outcomes
            .into_iter()
            .map(|((checkpoint, chosen), mut used)| {
                used.sort_by_key(|signed| signed.signer);
                let named = used.iter().map(|vc| (vc.signer, vc.digest())).collect();
                let body = NewView { view, view_changes: named, checkpoint, chosen };
                let config = &nodes.cast.config;
                let primary = config.primary(view);
                let key = nodes.cast.key(primary);
                let new_view = Signed::sign(&config.domain, key, primary, body);
                nodes
                    .name(Message::NewView(Arc::new(NewViewProof { new_view, view_changes: used })))
            })
            .collect();
        self.new_views.insert(key, made.clone());
        made
    }
}

/// The VIEW-CHANGE with this number.
pub(super) fn view_change(nodes: &Nodes, id: MessageId) -> Option<&SignedViewChange> {
    match nodes.message(id) {
        Message::ViewChange(signed) => Some(signed),
        _ => None,
    }
}

fn sign(
    nodes: &mut Nodes,
    liar: ReplicaId,
    new_view: View,
    low_water_mark: SeqNum,
    prepared: Vec<PreparedEntry>,
    pre_prepared: Vec<PreparedEntry>,
) -> MessageId {
    let body = ViewChange {
        new_view,
        replica: liar,
        low_water_mark,
        checkpoints: vec![(low_water_mark, nodes.cast.genesis())],
        prepared,
        pre_prepared,
    };
    let signed = Signed::sign(&nodes.cast.config.domain, nodes.cast.key(liar), liar, body);
    nodes.name(Message::ViewChange(Arc::new(signed)))
}
