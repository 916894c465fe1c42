//! What may become of a replica in a stage, given what the others have said and the liars can say.

mod normal;
mod view_change;

use super::lies::{Liars, view_change};
use super::nodes::{Heard, MessageId, NodeId, Nodes};
use super::stages::{Situation, Stage};
use pbft::{Message, ReplicaId, SeqNum, View};
use std::collections::{BTreeMap, BTreeSet};

/// The choices there are.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) nodes: Nodes,
    pub(super) liars: Liars,
    numbers: u64,
    /// What became of primaries, given the VIEW-CHANGEs of correct replicas for their views.
    begun: BTreeMap<(NodeId, Vec<MessageId>), Vec<NodeId>>,
    /// Views in which a certificate of COMMITs was shown to somebody.
    pub(super) committed_in: BTreeSet<View>,
}

impl Choices {
    pub(super) fn new(nodes: Nodes, liars: Liars, numbers: u64) -> Self {
        Self { nodes, liars, numbers, begun: BTreeMap::new(), committed_in: BTreeSet::new() }
    }

    /// What can become of one correct replica in a stage; that nothing happens to it is always
    /// among it.
    pub(super) fn of(&mut self, stage: Stage, at: NodeId, all: &Situation) -> BTreeSet<NodeId> {
        let mut reached = BTreeSet::from([at]);
        match stage {
            Stage::HearLate(view) => self.hear_late(at, view, all, &mut reached),
            Stage::Leave(view) => self.leave(at, view, all, &mut reached),
            Stage::Follow(view) => self.follow(at, view, all, &mut reached),
            Stage::Begin(view) => self.begin(at, view, all, &mut reached),
            Stage::Enter(view) => self.enter(at, view, all, &mut reached),
            Stage::Propose(view) => self.propose(at, view, all, &mut reached),
            Stage::Prepare(view) => self.prepare(at, view, all, &mut reached),
            Stage::Commit(view) => self.commit(at, view, all, &mut reached),
        }
        reached
    }

    fn is_liar(&self, id: ReplicaId) -> bool {
        self.liars.ids.contains(&id)
    }

    fn primary(&self, view: View) -> ReplicaId {
        self.nodes.cast.config.primary(view)
    }

    fn seqs(&self) -> impl Iterator<Item = SeqNum> + use<> {
        (1..=self.numbers).map(SeqNum::new)
    }

    /// What the correct replicas other than this one have said.
    fn said_by_others<'a>(
        &'a self,
        at: NodeId,
        all: &'a Situation,
    ) -> impl Iterator<Item = (ReplicaId, MessageId, &'a Message)> {
        let own = self.nodes.node(at).id;
        let others = all.nodes().map(|id| self.nodes.node(id));
        others
            .filter(move |node| node.id != own)
            .flat_map(|node| node.said.iter().map(|id| (node.id, *id, self.nodes.message(*id))))
    }

    /// The VIEW-CHANGEs for a view that correct replicas have sent, in the order of senders.
    pub(super) fn view_changes(&self, view: View, all: &Situation) -> Vec<MessageId> {
        let said = all.nodes().flat_map(|id| &self.nodes.node(id).said);
        let is_for_view = |id: &MessageId| {
            view_change(&self.nodes, *id).is_some_and(|vc| vc.body.new_view == view)
        };
        said.copied().filter(is_for_view).collect()
    }

    /// The NEW-VIEWs that exist for a view, with their senders.
    fn new_views(&mut self, view: View, all: &Situation) -> Vec<Heard> {
        let primary = self.primary(view);
        if self.is_liar(primary) {
            let correct = self.view_changes(view, all);
            let made = self.liars.new_views(&mut self.nodes, view, &correct);
            return made.into_iter().map(|id| (primary, id)).collect();
        }
        let said = all.nodes().flat_map(|id| &self.nodes.node(id).said);
        let is_for_view = |id: &MessageId| {
            matches!(self.nodes.message(*id),
                Message::NewView(proof) if proof.new_view.body.view == view)
        };
        said.copied().filter(is_for_view).map(|id| (primary, id)).collect()
    }
}
