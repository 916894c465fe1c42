//! What a client accepts, a correct replica answered, or vouched for by its digest; and correct
//! replicas answer alike. No client gives up what they keep.

use super::{Checker, Observation};
use pbft::message::{Outcome, ReplyBody, RequestBody};
use pbft::{ClientId, Digest, Message, ReplicaId, Session, Timestamp};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

type RequestName = (ClientId, Session, Timestamp);

#[derive(Debug, Default)]
pub(super) struct ReplyCertificates {
    /// The outcome of each request, as the first correct replica told it.
    outcomes: BTreeMap<RequestName, (Digest, ReplicaId)>,
    /// The results that were told whole, by anybody, under the digest that they have.
    results: BTreeMap<(RequestName, Digest), Vec<Vec<u8>>>,
    /// The requests of which a correct replica did not keep the results.
    not_kept: BTreeSet<RequestName>,
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
            } => self.hear((*client, reply.session, reply.timestamp), *from, &reply.body),
            Observation::Replied { client, reply } => {
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
                let told = self.carried.get(&name_of(operation)).and_then(|(name, place)| {
                    let (digest, _) = self.outcomes.get(name)?;
                    self.results.get(&(*name, *digest))?.get(*place)
                });
                if told.is_some_and(|told| told == result) {
                    return Ok(());
                }
                Err(format!("client {client} accepted a result that no correct replica gave"))
            }
            _ => Ok(()),
        }
    }
}

impl ReplyCertificates {
    fn hear(&mut self, name: RequestName, from: ReplicaId, body: &ReplyBody) -> Result<(), String> {
        let digest = match body {
            ReplyBody::Digest(digest) | ReplyBody::Full(Outcome::ExecutedBefore(digest)) => *digest,
            // These depend on when the question was asked, not only on the request.
            ReplyBody::Full(Outcome::Fenced { .. } | Outcome::OutsideWindow) => return Ok(()),
            ReplyBody::Full(outcome) => outcome.digest(),
        };
        if let ReplyBody::Full(Outcome::ExecutedBefore(_)) = body {
            self.not_kept.insert(name);
        }
        let (known, first) = self.outcomes.entry(name).or_insert((digest, from));
        if *known == digest {
            return Ok(());
        }
        let (client, session, timestamp) = name;
        Err(format!(
            "replicas {first} and {from} answered request {timestamp} of client {client} in its session \
             {session} differently"
        ))
    }
}

fn name_of(operation: &[u8]) -> Digest {
    Digest::of("quorate lab 1 operation", &[operation])
}
