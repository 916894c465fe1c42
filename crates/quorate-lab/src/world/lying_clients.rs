//! Clients that lie. Their keys are real, so their requests pass the door; they write to keys of
//! their own, and wait for no answer.

use super::{ClientLie, Options};
use crate::rng::{Seed, Stream};
use crate::subject::Subject;
use crate::workload;
use core::time::Duration;
use pbft::message::{Operation, Request, RequestBody};
use pbft::{ClientId, Config, Message, ReplicaId, Session, SignedRequest, SigningKey, Timestamp};
use std::sync::Arc;

/// How long a liar waits between two lies.
pub(super) const INTERVAL: Duration = Duration::from_millis(20);

/// How often each lies.
const LIES_COUNT: u64 = 40;

/// Above the tags of every correct client.
const FIRST_TAG: u64 = 1 << 32;

pub(super) struct LyingClients {
    config: Arc<Config>,
    subject: Subject,
    /// How long the values are that they write, at least, like those of correct clients.
    value_bytes: usize,
    each: Vec<Liar>,
}

struct Liar {
    id: ClientId,
    key: SigningKey,
    lie: ClientLie,
    rng: Stream,
    /// 0 until its session is open.
    timestamp: Timestamp,
}

impl LyingClients {
    /// With the keys of those that come behind the correct clients.
    pub(super) fn new(
        config: &Arc<Config>,
        keys: Vec<SigningKey>,
        options: &Options,
        subject: &Subject,
        seed: Seed,
    ) -> Self {
        let ids = (options.workload.clients..).map(ClientId::new);
        let each = ids
            .zip(keys)
            .zip(&options.lying_clients)
            .map(|((id, key), lie)| {
                let rng = seed.stream_of("liar", u64::from(id.get()));
                Liar { id, key, lie: *lie, rng, timestamp: Timestamp::ZERO }
            })
            .collect();
        let value_bytes = options.workload.value_bytes;
        Self { config: Arc::clone(config), subject: subject.clone(), value_bytes, each }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ClientId> + use<> {
        self.each.iter().map(|liar| liar.id).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn has_more(&self, id: ClientId) -> bool {
        let liar = self.each.iter().find(|liar| liar.id == id);
        liar.is_some_and(|liar| liar.timestamp.get() < LIES_COUNT)
    }

    /// What a liar sends next: first the request that opens its session, to all, and then lies.
    pub(super) fn lie(&mut self, id: ClientId) -> Vec<(ReplicaId, Arc<Message>)> {
        let Some(liar) = self.each.iter_mut().find(|liar| liar.id == id) else {
            return Vec::new();
        };
        let timestamp = liar.timestamp;
        liar.timestamp = timestamp.next();
        // Both operations of one timestamp have one tag: at most one may be executed.
        let tag = FIRST_TAG * u64::from(1 + id.get()) + timestamp.get();
        let [one, other] = ["one", "other"].map(|value| {
            let value = workload::filled_up(value.as_bytes().to_vec(), self.value_bytes);
            let body = self.subject.draw_for_liar(&mut liar.rng, tag, id, value);
            RequestBody::Operations(vec![Operation { service: workload::SERVICE, body }])
        });
        let request = |body| Self::request(&self.config, liar, timestamp, body);
        if timestamp == Timestamp::ZERO {
            let opening = request(RequestBody::OpenSession);
            return self.config.replica_ids().map(|to| (to, Arc::clone(&opening))).collect();
        }
        match liar.lie {
            ClientLie::PrimaryOnly => vec![(ReplicaId::new(0), request(one))],
            ClientLie::TwoOperations => {
                let (one, other) = (request(one), request(other));
                let shown = |to: ReplicaId| if to.get().is_multiple_of(2) { &one } else { &other };
                self.config.replica_ids().map(|to| (to, Arc::clone(shown(to)))).collect()
            }
        }
    }

    fn request(
        config: &Config,
        liar: &Liar,
        timestamp: Timestamp,
        body: RequestBody,
    ) -> Arc<Message> {
        let request = Request {
            client: liar.id,
            session: Session::new(1),
            timestamp,
            acknowledged_below: timestamp,
            replier: None,
            body,
        };
        let signed = SignedRequest::sign(&config.domain, &liar.key, request);
        Arc::new(Message::Request(Arc::new(signed)))
    }
}
