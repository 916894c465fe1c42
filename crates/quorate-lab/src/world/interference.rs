//! What an exploration does to a world beyond its options: identities that run twice, partitions
//! that depend on the view, and messages of a faulty replica that are changed on their way out.

use super::World;
use crate::small_scope::Plan;
use pbft::message::Kind;
use pbft::{ReplicaId, View};
use quorate_adversary::Endpoint;

/// Nothing, by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interference {
    /// Identities that run twice, each time on a machine of its own and with the same key. An
    /// instance has a number like a replica: the first of each identity has the identity's own, the
    /// second ones are counted on behind the last replica.
    pub(crate) twins: Vec<ReplicaId>,
    /// For each view, from view 0 on, in which part of the network each instance is; from the first
    /// view that is not listed the network is whole.
    pub(crate) partitions: Vec<Vec<u32>>,
    /// Which messages are changed.
    pub(crate) plan: Option<Plan>,
}

impl Interference {
    /// Whether this replica misbehaves by what is done here.
    pub(super) fn makes_faulty(&self, id: ReplicaId) -> bool {
        self.twins.contains(&id) || self.plan.iter().any(|plan| plan.liar == id)
    }

    /// Whether the partition of a view loses a message. It never loses HELLO: who was not let in
    /// takes no part in any view.
    fn separates(&self, view: View, from: ReplicaId, to: ReplicaId, kind: Option<Kind>) -> bool {
        let listed = usize::try_from(view.get()).ok().and_then(|view| self.partitions.get(view));
        let part = |instance: ReplicaId| listed?.get(instance.get() as usize).copied();
        kind != Some(Kind::Hello) && part(from) != part(to)
    }
}

impl World<'_> {
    /// Whose instance this is.
    pub(super) fn identity(&self, instance: ReplicaId) -> ReplicaId {
        let twin = instance.get().checked_sub(self.options.replica_count);
        let twins = &self.interference.twins;
        twin.and_then(|index| twins.get(index as usize)).copied().unwrap_or(instance)
    }

    /// Everybody who gets what is sent to this identity.
    pub(super) fn instances(&self, to: Endpoint) -> Vec<Endpoint> {
        let Endpoint::Replica(identity) = to else { return vec![to] };
        let second = (self.options.replica_count..).zip(&self.interference.twins);
        let second = second.filter(|(_, twin)| **twin == identity);
        let second = second.map(|(instance, _)| Endpoint::Replica(ReplicaId::new(instance)));
        [to].into_iter().chain(second).collect()
    }

    /// Whether a message that leaves now is lost between the parts of the network.
    pub(super) fn are_separated(&self, from: Endpoint, to: Endpoint, kind: Option<Kind>) -> bool {
        let (Endpoint::Replica(from), Endpoint::Replica(to)) = (from, to) else { return false };
        if self.interference.partitions.is_empty() {
            return false;
        }
        let view = self.machines[from.get() as usize].standing().map(|standing| standing.view);
        view.is_some_and(|view| self.interference.separates(view, from, to, kind))
    }
}
