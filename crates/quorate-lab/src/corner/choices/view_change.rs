//! Leaving a view and entering the next.

use super::Choices;
use crate::corner::THRESHOLDS;
use crate::corner::lies::view_change;
use crate::corner::nodes::{Heard, NodeId};
use crate::corner::stages::Situation;
use crate::restated;
use pbft::{Digest, Message, View};
use std::collections::{BTreeMap, BTreeSet};

impl Choices {
    /// NEW-VIEWs of views long left, and the batches they made a replica ask for.
    pub(super) fn hear_late(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let node = self.nodes.node(at);
        if node.active || node.view.next() != view {
            return;
        }
        let earlier: Vec<_> = (1..view.get() - 1)
            .flat_map(|earlier| self.new_views(View::new(earlier), all))
            .collect();
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let mut offered = self.nodes.batches();
            offered.extend(earlier.iter().filter(|(_, id)| !self.nodes.holds_alike(at, *id)));
            for heard in offered {
                let after = self.nodes.hearing(at, vec![heard]);
                if reached.insert(after) {
                    open.push(after);
                }
            }
        }
    }

    pub(super) fn leave(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let node = self.nodes.node(at);
        if node.view.next() != view {
            return;
        }
        let (own, left) = (node.id, node.view);
        let is_waiting = !node.active && own != self.primary(left);
        let mut ways = vec![self.nodes.waiting(at)];
        if is_waiting {
            let mut heard = self.told_by_others(at, left, all);
            for liar in self.liars.ids.clone() {
                heard.push((liar, self.liars.empty_view_change(&mut self.nodes, liar, left)));
            }
            let informed = self.nodes.hearing(at, heard);
            ways.push(self.nodes.waiting(informed));
        }
        if left > View::ZERO && self.is_liar(self.primary(left)) {
            for (from, id) in self.new_views(left, all) {
                if !self.nodes.holds_alike(at, id) {
                    ways.push(self.nodes.hearing(at, vec![(from, id)]));
                }
            }
        }
        reached.extend(ways.into_iter().filter(|way| self.nodes.node(*way).view == view));
    }

    /// f+1 VIEW-CHANGEs for the view make a replica follow; what else they say matters to who will
    /// be its primary, whose turn comes in the next stage.
    pub(super) fn follow(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let node = self.nodes.node(at);
        let (own, current) = (node.id, node.view);
        // Who could leave by itself has had that choice, with the same effect.
        let has_chosen = current.next() == view && node.active && own != self.primary(current);
        if current >= view || has_chosen || own == self.primary(view) {
            return;
        }
        let mut told = self.told_by_others(at, view, all);
        for liar in self.liars.ids.clone() {
            told.push((liar, self.liars.empty_view_change(&mut self.nodes, liar, view)));
        }
        if told.len() >= THRESHOLDS.weak {
            let after = self.nodes.hearing(at, told.split_off(told.len() - THRESHOLDS.weak));
            debug_assert_eq!(self.nodes.node(after).view, view);
            reached.insert(after);
        }
    }

    /// The VIEW-CHANGEs for a view of other correct replicas.
    fn told_by_others(&self, at: NodeId, view: View, all: &Situation) -> Vec<Heard> {
        let said = self.said_by_others(at, all);
        said.filter(|(_, _, message)| is_view_change_for(message, view))
            .map(|(from, id, _)| (from, id))
            .collect()
    }

    /// What its NEW-VIEW for the view chose, if it is out; else nothing, as long as it has not
    /// heard enough, or has and is undecided.
    fn outcome(&self, at: NodeId, view: View) -> Option<Vec<Digest>> {
        self.nodes.node(at).said.iter().find_map(|id| match self.nodes.message(*id) {
            Message::NewView(proof) if proof.new_view.body.view == view => {
                Some(proof.new_view.body.chosen.clone())
            }
            _ => None,
        })
    }

    /// The primary hears VIEW-CHANGEs in any order, follows f+1 of them if it has not left yet, and
    /// decides as soon as it can.
    pub(super) fn begin(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let node = self.nodes.node(at);
        let may_begin = node.view <= view && node.id == self.primary(view);
        if !may_begin || self.outcome(at, view).is_some() {
            return;
        }
        let named = self.view_changes(view, all);
        let key = (at, named);
        if let Some(known) = self.begun.get(&key) {
            return reached.extend(known);
        }
        let mut told = self.told_by_others(at, view, all);
        for liar in self.liars.ids.clone() {
            let lies = self.liars.view_changes(&mut self.nodes, liar, view, &key.1);
            told.extend(lies.into_iter().map(|id| (liar, id)));
        }
        let outcomes = self.outcomes(at, view, &told);
        reached.extend(&outcomes);
        self.begun.insert(key, outcomes);
    }

    /// Where hearing these VIEW-CHANGEs in any order can lead the primary of a view: one state for
    /// each decision, and one in which it cannot decide although it has heard a quorum.
    fn outcomes(&mut self, at: NodeId, view: View, told: &[Heard]) -> Vec<NodeId> {
        let mut outcomes = BTreeMap::new();
        let mut seen = BTreeSet::from([at]);
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            for heard in told {
                if self.nodes.node(at).heard.contains_key(&(view, heard.0)) {
                    continue;
                }
                let after = self.nodes.hearing(at, vec![*heard]);
                let outcome = self.outcome(after, view);
                let is_open = outcome.is_none();
                let has_left = self.nodes.node(after).view == view;
                if is_open && has_left {
                    self.expect_undecided(after, view);
                }
                if has_left && (!is_open || self.heard_count(after, view) >= THRESHOLDS.quorum) {
                    outcomes.entry(outcome).or_insert(after);
                }
                if is_open && seen.insert(after) {
                    open.push(after);
                }
            }
        }
        outcomes.into_values().collect()
    }

    /// How many VIEW-CHANGEs for a view it holds, its own included.
    fn heard_count(&self, at: NodeId, view: View) -> usize {
        1 + self.nodes.node(at).heard.keys().filter(|(of, _)| *of == view).count()
    }

    /// A primary that has not decided could not.
    fn expect_undecided(&mut self, at: NodeId, view: View) {
        let node = self.nodes.node(at);
        let held = node.heard.iter().filter(|((of, _), _)| *of == view).map(|(_, id)| id);
        let used: Vec<_> = held
            .chain(&node.said)
            .filter_map(|id| view_change(&self.nodes, *id))
            .filter(|signed| signed.body.new_view == view)
            .map(|signed| &signed.body)
            .collect();
        let log_window = self.nodes.cast.config.parameters.log_window;
        if restated::decide(THRESHOLDS, &used, log_window).is_some() {
            let what = format!("replica {} does not begin view {view} but could", node.id);
            self.nodes.note_fault(what);
        }
    }

    pub(super) fn enter(
        &mut self,
        at: NodeId,
        view: View,
        all: &Situation,
        reached: &mut BTreeSet<NodeId>,
    ) {
        let node = self.nodes.node(at);
        if node.view > view || node.view == view && node.active || node.id == self.primary(view) {
            return;
        }
        let own = node.id;
        for (from, id) in self.new_views(view, all) {
            let after = self.nodes.hearing(at, vec![(from, id)]);
            let node = self.nodes.node(after);
            if !node.active || node.view != view {
                let what = format!("replica {own} refuses a justified NEW-VIEW for view {view}");
                self.nodes.note_fault(what);
            }
            reached.insert(after);
        }
    }
}

fn is_view_change_for(message: &Message, view: View) -> bool {
    matches!(message, Message::ViewChange(signed) if signed.body.new_view == view)
}
