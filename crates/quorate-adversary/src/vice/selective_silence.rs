//! Leaving out some messages: those to some replicas, those of some kinds, or those of some kinds
//! to some replicas. *Masked*, since any other replica supplies what is missing; at the primary
//! *after a view change*, if what it leaves out keeps requests from being executed.

use super::{Vice, now};
use crate::{Endpoint, Identity, KindSet, ReplicaSet, Sending};
use pbft::Message;
use pbft::message::Kind;

#[derive(Debug)]
pub(super) struct SelectiveSilence {
    to: ReplicaSet,
    kinds: KindSet,
}

impl SelectiveSilence {
    /// Without HELLO a replica would not be let in, and without REPLY it is another vice, so
    /// these are left out only when they are named.
    pub(super) fn new(identity: &Identity, to: Option<ReplicaSet>, kinds: Option<KindSet>) -> Self {
        let everybody = || identity.others().collect();
        let higher_half = || {
            let is_in_it = |id: &_| super::is_in_higher_half(identity, Endpoint::Replica(*id));
            identity.others().filter(is_in_it).collect()
        };
        let to = match (to, kinds) {
            (Some(to), _) => to,
            (None, Some(_)) => everybody(),
            (None, None) => higher_half(),
        };
        let usual = |kind: &Kind| !matches!(kind, Kind::Hello | Kind::Reply);
        let kinds = kinds.unwrap_or_else(|| Kind::ALL.into_iter().filter(usual).collect());
        Self { to, kinds }
    }
}

impl Vice for SelectiveSilence {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let is_meant = match to {
            Endpoint::Replica(replica) => self.to.contains(replica),
            Endpoint::Client(_) => true,
        };
        if is_meant && self.kinds.contains(message.kind()) {
            return Vec::new();
        }
        vec![now(to, message)]
    }
}
