//! What a client accepts, a correct replica answered, or vouched for by its digest, and is what is
//! committed in the end; and correct replicas answer alike, as far as they say that it is committed.
//! No client gives up what they keep.

use super::{Checker, Observation};
use pbft::message::{Outcome, Reply, ReplyBody, RequestBody};
use pbft::{ClientId, Digest, Message, ReplicaId, Session, Timestamp};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

type RequestName = (ClientId, Session, Timestamp);

#[derive(Debug, Default)]
pub(super) struct ReplyCertificates {
    /// The outcome of each request, as the first correct replica told it that says that it is
    /// committed.
    outcomes: BTreeMap<RequestName, (Digest, ReplicaId)>,
    /// The outcomes of each request that a correct replica told, whole or by its digest, be it
    /// tentatively.
    vouched: BTreeMap<RequestName, BTreeSet<Digest>>,
    /// The results that were told whole, by anybody, under the digest that they have.
    results: BTreeMap<(RequestName, Digest), Vec<Vec<u8>>>,
    /// The requests of which a correct replica did not keep the results.
    not_kept: BTreeSet<RequestName>,
    /// The outcomes of which something was accepted.
    accepted: BTreeMap<RequestName, Digest>,
    /// In which request, and at which place in it, an operation went out.
    carried: BTreeMap<Digest, (RequestName, usize)>,
}

impl Checker for ReplyCertificates {
    fn property(&self) -> &'static str {
        "accepted results are results of correct replicas"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Requested { request } => {
                let name = (request.client, request.session, request.timestamp);
                if let RequestBody::Operations(operations) = &request.body {
                    for (place, operation) in operations.iter().enumerate() {
                        self.carried.insert(name_of(&operation.body), (name, place));
                    }
                }
                Ok(())
            }
            Observation::Sent {
                from,
                to: Endpoint::Client(client),
                message: Message::Reply(reply),
            } => self.hear((*client, reply.session, reply.timestamp), *from, reply),
            Observation::Told { client, reply, .. } => {
                if let ReplyBody::Full(outcome @ Outcome::Executed(results)) = &reply.body {
                    let name = (*client, reply.session, reply.timestamp);
                    let whole = self.results.entry((name, outcome.digest()));
                    whole.or_insert_with(|| results.clone());
                }
                Ok(())
            }
            Observation::GivenUp { client, operation } => {
                let carried = self.carried.get(&name_of(operation));
                if carried.is_some_and(|(name, _)| self.not_kept.contains(name)) {
                    return Ok(());
                }
                Err(format!("client {client} gave up a result that correct replicas keep"))
            }
            Observation::Accepted { client, operation, result } => {
                self.accept(*client, operation, result)
            }
            _ => Ok(()),
        }
    }
}

impl ReplyCertificates {
    fn hear(&mut self, name: RequestName, from: ReplicaId, reply: &Reply) -> Result<(), String> {
        let digest = match &reply.body {
            ReplyBody::Digest(digest) | ReplyBody::Full(Outcome::ExecutedBefore(digest)) => *digest,
            // These depend on when the question was asked, not only on the request.
            ReplyBody::Full(Outcome::Fenced { .. } | Outcome::OutsideWindow) => return Ok(()),
            ReplyBody::Full(outcome) => outcome.digest(),
        };
        self.vouched.entry(name).or_default().insert(digest);
        match &reply.body {
            ReplyBody::Full(Outcome::ExecutedBefore(_)) => {
                self.not_kept.insert(name);
            }
            // On processes an answer may be noted before the REPLY behind it is.
            ReplyBody::Full(Outcome::Executed(results)) => {
                self.results.entry((name, digest)).or_insert_with(|| results.clone());
            }
            ReplyBody::Full(_) | ReplyBody::Digest(_) => {}
        }
        if !reply.certainty.is_committed() {
            return Ok(());
        }
        let (known, first) = *self.outcomes.entry(name).or_insert((digest, from));
        let (client, session, timestamp) = name;
        if known != digest {
            return Err(format!(
                "replicas {first} and {from} answered request {timestamp} of client {client} in its \
                 session {session} differently"
            ));
        }
        self.compare(name)
    }

    fn accept(&mut self, client: ClientId, operation: &[u8], result: &[u8]) -> Result<(), String> {
        let told = self.carried.get(&name_of(operation)).and_then(|(name, place)| {
            let committed = self.outcomes.get(name).map(|(digest, _)| *digest);
            let is_it = |digest: &&Digest| {
                let results = self.results.get(&(*name, **digest));
                let told = results.and_then(|results| results.get(*place));
                told.is_some_and(|told| told == result)
                    && committed.is_none_or(|committed| committed == **digest)
            };
            let digest = self.vouched.get(name)?.iter().find(is_it)?;
            Some((*name, *digest))
        });
        let Some((name, digest)) = told else {
            return Err(format!("client {client} accepted a result that no correct replica gave"));
        };
        self.accepted.insert(name, digest);
        Ok(())
    }

    /// Whether what was accepted of a request is what is committed.
    fn compare(&self, name: RequestName) -> Result<(), String> {
        let committed = self.outcomes.get(&name).map(|(digest, _)| digest);
        match (self.accepted.get(&name), committed) {
            (Some(accepted), Some(committed)) if accepted != committed => {
                let (client, _, timestamp) = name;
                Err(format!(
                    "client {client} accepted a result of its request {timestamp} that was undone"
                ))
            }
            _ => Ok(()),
        }
    }
}

fn name_of(operation: &[u8]) -> Digest {
    Digest::of("quorate lab 1 operation", &[operation])
}
