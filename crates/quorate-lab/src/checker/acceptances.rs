//! A client believes no fewer than it must: counted again from the REPLYs that it was handed, the last
//! one of each replica.
//!
//! - A quorum says that the result is committed (or f+1, if the client believes so few).
//! - Or a quorum says, all in one view, that it is tentative or committed there: what is tentative in
//!   another view was rolled back since, and whoever speaks of no view may have it from another one.

use super::{Checker, Observation};
use crate::restated::Thresholds;
use pbft::message::{Certainty, Outcome, Reply, ReplyBody, RequestBody};
use pbft::{ClientId, Digest, ReplicaId, Session, Timestamp, View};
use std::collections::BTreeMap;

type RequestName = (ClientId, Session, Timestamp);

#[derive(Debug)]
pub(super) struct Acceptances {
    quorum: usize,
    /// How many suffice that say that it is committed.
    committed: usize,
    /// What each replica said last of a request: an outcome, what it knows of it, and in which view.
    said: BTreeMap<RequestName, BTreeMap<ReplicaId, (Digest, Certainty, View)>>,
    /// Results by the digest of the outcome.
    results: BTreeMap<RequestName, BTreeMap<Digest, Vec<Vec<u8>>>>,
    /// In which request, and at which place in it, an operation went out last.
    carried: BTreeMap<Vec<u8>, (RequestName, usize)>,
}

impl Acceptances {
    pub(super) fn new(replica_count: u32, believes_weak_quorums: bool) -> Self {
        let Thresholds { quorum, weak } = Thresholds::of(replica_count as usize);
        Self {
            quorum,
            committed: if believes_weak_quorums { weak } else { quorum },
            said: BTreeMap::new(),
            results: BTreeMap::new(),
            carried: BTreeMap::new(),
        }
    }

    fn hear(&mut self, client: ClientId, from: ReplicaId, reply: &Reply) {
        let name = (client, reply.session, reply.timestamp);
        let digest = match &reply.body {
            ReplyBody::Digest(digest) | ReplyBody::Full(Outcome::ExecutedBefore(digest)) => *digest,
            ReplyBody::Full(outcome) => outcome.digest(),
        };
        if let ReplyBody::Full(Outcome::Executed(results)) = &reply.body {
            self.results.entry(name).or_default().insert(digest, results.clone());
        }
        self.said.entry(name).or_default().insert(from, (digest, reply.certainty, reply.view));
    }

    fn is_believed(&self, name: RequestName, place: usize, result: &[u8]) -> bool {
        let (Some(results), Some(said)) = (self.results.get(&name), self.said.get(&name)) else {
            return false;
        };
        let mut of_result =
            results.iter().filter(|(_, results)| results.get(place).is_some_and(|it| it == result));
        of_result.any(|(digest, _)| {
            let (mut committed, mut of_view) = (0, BTreeMap::<View, usize>::new());
            for (_, certainty, view) in said.values().filter(|(said, ..)| said == digest) {
                committed += usize::from(*certainty != Certainty::Tentative);
                *of_view.entry(*view).or_default() +=
                    usize::from(*certainty != Certainty::Committed);
            }
            let most = of_view.into_values().max().unwrap_or(0);
            committed >= self.committed || most >= self.quorum
        })
    }
}

impl Checker for Acceptances {
    fn property(&self) -> &'static str {
        "clients believe quorums"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Requested { request } => {
                let name = (request.client, request.session, request.timestamp);
                if let RequestBody::Operations(operations) = &request.body {
                    for (place, operation) in operations.iter().enumerate() {
                        self.carried.insert(operation.body.clone(), (name, place));
                    }
                }
                Ok(())
            }
            Observation::Told { client, from, reply } => {
                self.hear(*client, *from, reply);
                Ok(())
            }
            Observation::Accepted { client, operation, result } => {
                let carried = self.carried.remove(*operation);
                if carried.is_some_and(|(name, place)| self.is_believed(name, place, result)) {
                    return Ok(());
                }
                Err(format!("client {client} accepted a result for which no quorum stands"))
            }
            _ => Ok(()),
        }
    }
}
