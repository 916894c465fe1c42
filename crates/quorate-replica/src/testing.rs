//! What several tests share: a small cluster's configuration and keys, and a service whose state
//! tells what was executed.

use pbft::message::{Operation, Request, RequestBody, ServiceId};
use pbft::{
    ClientId, Config, Context, Digest, Domain, Epoch, Parameters, Reading, Service, Session,
    SignedRequest, SigningKey, State, StateRead, Timestamp,
};
use std::sync::Arc;
use zeroize::Zeroizing;

pub(crate) const REPLICA_COUNT: u8 = 4;
const CLIENT_COUNT: u8 = 4;

pub(crate) fn replica_key(replica: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([replica + 1; 32]))
}

pub(crate) fn client_key(client: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([100 + client as u8; 32]))
}

/// Four replicas and four clients, with these parameters.
pub(crate) fn config_with(parameters: Parameters) -> Arc<Config> {
    let domain = Domain { cluster: Digest::of("test cluster", &[]), epoch: Epoch::ZERO };
    let replicas = (0..REPLICA_COUNT).map(|id| replica_key(id).verification_key()).collect();
    let clients = (0..CLIENT_COUNT).map(|id| client_key(id.into()).verification_key()).collect();
    let digest = Digest::of("test configuration", &[]);
    Arc::new(Config::new(domain, digest, replicas, clients, parameters).unwrap())
}

pub(crate) fn sign(config: &Config, request: Request) -> Arc<SignedRequest> {
    let key = client_key(request.client.get());
    Arc::new(SignedRequest::sign(&config.domain, &key, request))
}

/// A request of one operation for the [`Recorder`].
pub(crate) fn request(
    client: u32,
    session: u64,
    timestamp: u64,
    below: u64,
    body: &[u8],
) -> Request {
    let operation = Operation { service: RECORDER, body: body.to_vec() };
    Request {
        client: ClientId::new(client),
        session: Session::new(session),
        timestamp: Timestamp::new(timestamp),
        acknowledged_below: Timestamp::new(below),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    }
}

pub(crate) fn open_session(client: u32, session: u64) -> Request {
    Request {
        client: ClientId::new(client),
        session: Session::new(session),
        timestamp: Timestamp::ZERO,
        acknowledged_below: Timestamp::ZERO,
        replier: None,
        body: RequestBody::OpenSession,
    }
}

pub(crate) const RECORDER: ServiceId = ServiceId(1);

/// Writes down every operation, under its number, and answers with that number and whatever it
/// was told, so that executing anything twice, or in another order, shows. What it derives from
/// its state is how many there are.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    count: u64,
    choice: Vec<u8>,
}

impl Recorder {
    pub(crate) fn choosing(choice: Vec<u8>) -> Self {
        Self { count: 0, choice }
    }
}

impl Service for Recorder {
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        self.count += 1;
        let time = context.time.as_millis();
        let line = format!(
            "{} of {} at {} and {time} by {:?}: {:?}",
            self.count, context.client, context.seq, context.choice, operation
        );
        state.put(&self.count.to_be_bytes(), line.clone().into_bytes());
        line.into_bytes()
    }

    fn query(&self, _: &Context<'_>, _: &[u8], _: &dyn StateRead) -> Option<Reading> {
        None
    }

    fn choose(&mut self) -> Vec<u8> {
        self.choice.clone()
    }

    fn restored(&mut self, state: &dyn StateRead) {
        self.count = 0;
        state.scan(b"", None, &mut |_, _| {
            self.count += 1;
            true
        });
    }
}
