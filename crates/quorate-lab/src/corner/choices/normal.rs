//! The three phases of the normal case. What a replica gets of the votes of a phase it gets at once:
//! all that exist, or none.

use super::Choices;
use crate::corner::nodes::{Heard, MessageId, NodeId};
use crate::corner::stages::Situation;
use pbft::{Message, SeqNum, View};
use std::collections::BTreeSet;

impl Choices {
    /// PRE-PREPAREs reach who is active, and batches whoever asked for them.
    pub(super) fn propose(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let primary = self.primary(view);
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let node = self.nodes.node(at);
            let before = node.view;
            let votes_here = node.active && before == view && node.id != primary;
            let mut offered = self.nodes.batches();
            if votes_here {
                offered.extend(self.proposals(at, view, all).into_iter().map(|id| (primary, id)));
            }
            for heard in offered {
                let after = self.nodes.hearing(at, vec![heard]);
                // Who leaves because of what it hears does so in the next stage as well.
                if self.nodes.node(after).view == before && reached.insert(after) {
                    open.push(after);
                }
            }
        }
    }

    /// PRE-PREPAREs for numbers that this replica has no vote for.
    fn proposals(&mut self, at: NodeId, view: View, all: &Situation) -> Vec<MessageId> {
        let primary = self.primary(view);
        if !self.is_liar(primary) {
            let of_view = |message: &Message| matches!(message, Message::PrePrepare(signed, _) if signed.body.view == view);
            let said = self.said_by_others(at, all);
            return said.filter(|(_, _, message)| of_view(message)).map(|(_, id, _)| id).collect();
        }
        let open: Vec<SeqNum> = self.seqs().filter(|seq| !self.has_voted(at, view, *seq)).collect();
        let proposed = |seq| self.liars.pre_prepares(&mut self.nodes, primary, view, seq);
        open.into_iter().flat_map(proposed).collect()
    }

    fn has_voted(&self, at: NodeId, view: View, seq: SeqNum) -> bool {
        self.nodes.node(at).said.iter().any(|id| {
            matches!(self.nodes.message(*id),
                Message::Prepare(vote) if (vote.view, vote.seq) == (view, seq))
        })
    }

    pub(super) fn prepare(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let node = self.nodes.node(at);
            if !node.active || node.view != view {
                continue;
            }
            let said = node.said.len();
            let votes = self.votes(
                at,
                all,
                |message| matches!(message, Message::Prepare(vote) if vote.view == view),
            );
            for vote in votes {
                let heard = self.copies(at, all, vote);
                let after = self.nodes.hearing(at, heard);
                // PREPAREs that change nothing are as good as lost.
                if self.nodes.node(after).said.len() > said && reached.insert(after) {
                    open.push(after);
                }
            }
        }
    }

    pub(super) fn commit(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let committed = self.nodes.node(at).committed.len();
            let votes = self.votes(
                at,
                all,
                |message| matches!(message, Message::Commit(vote) if vote.view <= view),
            );
            for vote in votes {
                let heard = self.copies(at, all, vote);
                let after = self.nodes.hearing(at, heard);
                if self.nodes.node(after).committed.len() > committed && reached.insert(after) {
                    if let Message::Commit(vote) = self.nodes.message(vote) {
                        self.committed_in.insert(vote.view);
                    }
                    open.push(after);
                }
            }
        }
    }

    /// The votes of a kind that correct replicas have cast, this one included.
    fn votes(
        &self,
        at: NodeId,
        all: &Situation,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> BTreeSet<MessageId> {
        let own = self.nodes.node(at).said.iter().map(|id| (*id, self.nodes.message(*id)));
        let others = self.said_by_others(at, all).map(|(_, id, message)| (id, message));
        own.chain(others).filter(|(_, message)| is_wanted(message)).map(|(id, _)| id).collect()
    }

    /// Everybody else's copy of a vote: of the correct replicas that have cast it, and of the
    /// liars.
    fn copies(&self, at: NodeId, all: &Situation, vote: MessageId) -> Vec<Heard> {
        let own = self.nodes.node(at).id;
        let others = all.nodes().map(|id| self.nodes.node(id));
        let correct = others.filter(|node| node.id != own && node.said.contains(&vote));
        let senders = correct.map(|node| node.id).chain(self.liars.ids.iter().copied());
        senders.map(|from| (from, vote)).collect()
    }
}
