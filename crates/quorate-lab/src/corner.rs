//! The corner of the protocol that is easiest to get wrong, explored to its end: what P and Q say,
//! what a new view chooses from it, and what a NEW-VIEW clears.
//!
//! Four replicas, the correct ones being the cores of production, go through a few views with a
//! few sequence numbers. The faulty ones equivocate, vote for everything, lie about P and Q, and as
//! primaries send any NEW-VIEW that can be justified. All orders of messages that can make a
//! difference are tried, breadth first, so what is found has a shortest story.

mod cast;
mod choices;
mod lies;
mod nodes;
mod properties;
mod stages;

use crate::restated::Thresholds;
use cast::Cast;
use choices::Choices;
use lies::Liars;
use nodes::Nodes;
use pbft::{Message, ReplicaId, View};
use properties::{Judged, disagreement, standstill, wrong_choice};
use stages::{Situation, Stage, stages};
use std::collections::{BTreeMap, BTreeSet};

/// n.
const REPLICA_COUNT: u32 = 4;

const THRESHOLDS: Thresholds = Thresholds::of(REPLICA_COUNT as usize);

/// How much is explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The replicas that lie; the others are correct.
    pub faulty: BTreeSet<u32>,
    /// How many sequence numbers there are.
    pub numbers: u64,
    /// The last view that begins; the VIEW-CHANGEs that end it are judged, too.
    pub last_view: u64,
    /// Beyond so many situations the exploration is given up.
    pub situations_max: u64,
}

/// How far an exploration is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The phase, by name and view.
    pub phase: String,
    /// Situations of the cluster that are possible after it: those before it are among them, since
    /// nothing need happen.
    pub situations: u64,
    /// States of single replicas seen in all.
    pub replica_states: u64,
}

/// What an exploration came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Different situations of the cluster.
    pub situations: u64,
    /// Different states of single replicas.
    pub replica_states: u64,
    /// Steps that cores took to find them.
    pub steps: u64,
    /// The views in which something was committed, in some run.
    pub committed_in: BTreeSet<u64>,
    /// Whether all was explored.
    pub is_complete: bool,
    /// A property that does not hold, and how that comes about, step by step.
    pub violation: Option<(String, Vec<String>)>,
}

/// Explores everything within the bounds, or until a property does not hold.
///
/// # Panics
/// If there is no correct replica, or no number.
pub fn explore(bounds: &Bounds, progress: &mut dyn FnMut(&Progress)) -> Report {
    Exploration::new(bounds).run(progress)
}

/// Everything that may be so after a stage, with where it came from.
type Layer = Vec<(Situation, u32)>;

struct Exploration<'a> {
    bounds: &'a Bounds,
    choices: Choices,
    judged: Judged,
    layers: Vec<Layer>,
    /// The stages that led to each layer but the first.
    stages: Vec<Stage>,
}

impl<'a> Exploration<'a> {
    fn new(bounds: &'a Bounds) -> Self {
        assert!(bounds.numbers > 0, "there is a number to agree on");
        let ids = || (0..REPLICA_COUNT).map(ReplicaId::new);
        let is_faulty = |id: &ReplicaId| bounds.faulty.contains(&id.get());
        let correct: BTreeSet<ReplicaId> = ids().filter(|id| !is_faulty(id)).collect();
        assert!(!correct.is_empty(), "somebody is correct");
        let mut nodes = Nodes::new(Cast::new(bounds), correct);
        let situation = Situation::new(&nodes.initial());
        let liars = Liars::new(ids().filter(is_faulty).collect(), bounds.numbers);
        Self {
            bounds,
            choices: Choices::new(nodes, liars, bounds.numbers),
            judged: Judged::new(),
            layers: vec![vec![(situation, 0)]],
            stages: Vec::new(),
        }
    }

    fn run(mut self, progress: &mut dyn FnMut(&Progress)) -> Report {
        let judged_last = Stage::Begin(View::new(self.bounds.last_view + 1));
        for stage in stages(View::new(self.bounds.last_view)) {
            if let Some(violation) = self.judge(stage).or_else(|| self.pass(stage)) {
                return self.report(true, Some(violation));
            }
            progress(&Progress {
                phase: format!("{stage:?}"),
                situations: self.situations(),
                replica_states: self.choices.nodes.node_count() as u64,
            });
            if self.situations() > self.bounds.situations_max {
                return self.report(false, None);
            }
        }
        let violation = self.judge(judged_last);
        self.report(true, violation)
    }

    /// Lets every replica do what it may in a stage, in every situation of the last layer.
    fn pass(&mut self, stage: Stage) -> Option<(String, Vec<String>)> {
        let last = self.layers.len() - 1;
        let mut next: BTreeMap<Situation, u32> = BTreeMap::new();
        for (index, (situation, _)) in self.layers[last].iter().enumerate() {
            let mut combined: Vec<Vec<u32>> = vec![Vec::new()];
            for at in situation.nodes() {
                let choices = self.choices.of(stage, at, situation);
                let with = |nodes: &Vec<u32>| {
                    let nodes = nodes.clone();
                    choices.iter().map(move |id| [&nodes[..], &[*id]].concat()).collect::<Vec<_>>()
                };
                combined = combined.iter().flat_map(with).collect();
            }
            for nodes in combined {
                next.entry(Situation::new(&nodes)).or_insert(index as u32);
            }
            if let Some(fault) = self.choices.nodes.fault() {
                let (what, mut story) = (fault.to_owned(), self.story(last, index));
                story.push(format!("{stage:?}: {what}"));
                return Some((what, story));
            }
        }
        self.layers.push(next.into_iter().collect());
        self.stages.push(stage);
        None
    }

    /// Whether everything holds in every situation of the last layer.
    fn judge(&mut self, stage: Stage) -> Option<(String, Vec<String>)> {
        let last = self.layers.len() - 1;
        for (index, (situation, _)) in self.layers[last].iter().enumerate() {
            let mut found = disagreement(&self.choices, situation);
            if let (None, Stage::Begin(view)) = (&found, stage) {
                found = wrong_choice(&mut self.choices, &mut self.judged, view, situation)
                    .or_else(|| standstill(&mut self.choices, view.next(), situation));
            }
            if let Some(what) = found {
                return Some((what, self.story(last, index)));
            }
        }
        None
    }

    /// How a situation came about, one line for each replica and stage in which something happened.
    fn story(&self, layer: usize, index: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut layer, mut index) = (layer, index);
        while layer > 0 {
            let (situation, before) = &self.layers[layer][index];
            let stage = self.stages[layer - 1];
            let (earlier, _) = &self.layers[layer - 1][*before as usize];
            let changed = earlier.nodes().zip(situation.nodes()).filter(|(from, to)| from != to);
            let told: Vec<String> =
                changed.map(|(from, to)| format!("{stage:?}: {}", self.change(from, to))).collect();
            lines.extend(told.into_iter().rev());
            (layer, index) = (layer - 1, *before as usize);
        }
        lines.reverse();
        lines
    }

    /// What a stage changed at a replica, as others can see it.
    fn change(&self, from: u32, to: u32) -> String {
        let nodes = &self.choices.nodes;
        let (before, after) = (nodes.node(from), nodes.node(to));
        let mut changes = Vec::new();
        if (before.view, before.active) != (after.view, after.active) {
            let how = if after.active { "is active in" } else { "has left for" };
            changes.push(format!("{how} view {}", after.view));
        }
        let said = after.said.difference(&before.said);
        changes.extend(said.map(|id| format!("says {}", in_short(nodes.message(*id)))));
        for (seq, digest) in &after.committed {
            if !before.committed.contains_key(seq) {
                changes.push(format!("commits {digest} at {seq}"));
            }
        }
        let what = if changes.is_empty() { "hears something" } else { &changes.join(", ") };
        format!("replica {} {what}", after.id)
    }

    /// Situations that are possible so far.
    fn situations(&self) -> u64 {
        self.layers.last().map_or(0, |layer| layer.len() as u64)
    }

    fn report(self, is_complete: bool, violation: Option<(String, Vec<String>)>) -> Report {
        Report {
            situations: self.situations(),
            replica_states: self.choices.nodes.node_count() as u64,
            steps: self.choices.nodes.step_count() as u64,
            committed_in: self.choices.committed_in.iter().map(|view| view.get()).collect(),
            is_complete,
            violation,
        }
    }
}

/// A message in a line.
fn in_short(message: &Message) -> String {
    let name = message.kind().name();
    match message {
        Message::PrePrepare(signed, _) => format!("{name} {:?}", signed.body),
        Message::Prepare(vote) | Message::Commit(vote) => format!("{name} {vote:?}"),
        Message::ViewChange(signed) => {
            let body = &signed.body;
            format!("{name} {:?} P {:?} Q {:?}", body.new_view, body.prepared, body.pre_prepared)
        }
        Message::NewView(proof) => {
            let body = &proof.new_view.body;
            let senders: Vec<_> = body.view_changes.iter().map(|(sender, _)| sender).collect();
            format!("{name} {:?} from {senders:?} chooses {:?}", body.view, body.chosen)
        }
        _ => name.to_owned(),
    }
}
