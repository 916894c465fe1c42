//! What may happen in which order. Messages of one view never matter to an earlier one, but for
//! COMMITs and NEW-VIEWs, which may come late: so every run can be reordered, without any replica
//! noticing, into one that goes through the views in ascending order, in each view through the
//! phases, and in each phase every replica does what it may independently of the others. Only
//! those runs are explored.

use super::nodes::NodeId;
use pbft::View;

/// A phase of a view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// NEW-VIEWs of views below the last one reach replicas that are past them.
    HearLate(View),
    /// Replicas leave for the view because a timer fires, or because they catch its predecessor's
    /// primary lying.
    Leave(View),
    /// Others follow f+1 that have left.
    Follow(View),
    /// A correct primary of the view hears VIEW-CHANGEs: it may follow them, and may decide.
    Begin(View),
    /// NEW-VIEWs arrive.
    Enter(View),
    /// PRE-PREPAREs arrive, and batches that a NEW-VIEW chose.
    Propose(View),
    /// PREPAREs arrive.
    Prepare(View),
    /// COMMITs of this and earlier views arrive.
    Commit(View),
}

/// All stages up to the VIEW-CHANGEs that end view `last`, in order.
pub(super) fn stages(last: View) -> Vec<Stage> {
    let mut stages = Vec::new();
    for view in (0..=last.get()).map(View::new) {
        if view > View::ZERO {
            stages.extend(leaving(view));
            stages.extend([Stage::Begin(view), Stage::Enter(view)]);
        }
        stages.extend([Stage::Propose(view), Stage::Prepare(view), Stage::Commit(view)]);
    }
    stages.extend(leaving(last.next()));
    stages
}

fn leaving(view: View) -> Vec<Stage> {
    let late = (view.get() > 2).then_some(Stage::HearLate(view));
    late.into_iter().chain([Stage::Leave(view), Stage::Follow(view)]).collect()
}

/// Where every correct replica stands, in the order of their ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Situation {
    places: [NodeId; super::REPLICA_COUNT as usize],
}

/// The place of a faulty replica.
const NOBODY: NodeId = NodeId::MAX;

impl Situation {
    pub(super) fn new(nodes: &[NodeId]) -> Self {
        let mut places = [NOBODY; super::REPLICA_COUNT as usize];
        places[..nodes.len()].copy_from_slice(nodes);
        Self { places }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<'_> {
        self.places.iter().copied().take_while(|id| *id != NOBODY)
    }
}
