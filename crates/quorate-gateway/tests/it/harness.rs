//! A gateway on a port of the system's choice, with something scripted where the cluster would be.

#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use pbft::{ClientId, Context, Digest, SeqNum, Service, State, StateRead, View, WallTime};
use quorate_gateway::etcd::etcdserverpb::cluster_client::ClusterClient;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use quorate_gateway::etcd::etcdserverpb::maintenance_client::MaintenanceClient;
use quorate_gateway::{Answer, Config, Gateway, GatewayError, Members, Submission, Submitter};
use quorate_net::ClientError;
use quorate_services::store::{Operation, Outcome, Store};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Far beyond what any request takes when it passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway; it stops with the test's runtime, or when told to.
pub(crate) struct TestGateway {
    pub(crate) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), GatewayError>>,
}

/// A gateway before whatever `drive` does with the submissions it is given.
pub(crate) async fn gateway_before<D>(mut drive: D) -> TestGateway
where
    D: FnMut(Submission) + Send + 'static,
{
    let (submitter, mut submissions) = Submitter::queue();
    tokio::spawn(async move {
        while let Some(submission) = submissions.recv().await {
            drive(submission);
        }
    });
    gateway_with(submitter, PATIENCE).await
}

/// A gateway whose operations go wherever `submitter` leads.
pub(crate) async fn gateway_with(submitter: Submitter, request_timeout: Duration) -> TestGateway {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config { request_timeout, ..Config::loopback(listen) };
    let bound = Gateway::bind(config).await.unwrap();
    let addr = bound.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(bound.serve(members(), submitter, async {
        // A dropped sender, at the end of a test, must not stop the gateway early.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    TestGateway { addr, stop, served }
}

/// A gateway before replicas that agree on what `answer` returns.
pub(crate) async fn gateway_answering<A>(mut answer: A) -> TestGateway
where
    A: FnMut(Operation) -> Result<Outcome, ClientError> + Send + 'static,
{
    gateway_before(move |submission| {
        let operation = Operation::decode(&submission.operation).unwrap();
        let outcome = answer(operation);
        let agreed = outcome.map(|outcome| Answer { result: outcome.encode(), view: View::new(6) });
        // The client may have gone meanwhile.
        let _ = submission.answer.send(agreed);
    })
    .await
}

/// A gateway before a store of its own, which executes every operation at once.
pub(crate) async fn gateway_with_store() -> TestGateway {
    gateway_with_store_ahead_by(0).await
}

/// The same, but the store pretends to be that many revisions further on.
pub(crate) async fn gateway_with_store_ahead_by(revisions: i64) -> TestGateway {
    let mut store = Store::new();
    let mut state = Memory::default();
    let mut seq = SeqNum::ZERO;
    gateway_before(move |submission| {
        seq = seq.next();
        let client = ClientId::new(0);
        let context = Context { client, seq, time: WallTime::default(), choice: &[] };
        let result = store.execute(&context, &submission.operation, &mut state);
        let mut outcome = Outcome::decode(&result).unwrap();
        outcome.revision += revisions;
        let answer = Answer { result: outcome.encode(), view: View::ZERO };
        // The client may have gone meanwhile.
        let _ = submission.answer.send(Ok(answer));
    })
    .await
}

/// The replicated state without replicas.
#[derive(Clone, Default)]
pub(crate) struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateRead for Memory {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let entries = self.0.range(start.to_vec()..);
        let in_range = entries.take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end));
        let _ = { in_range }.all(|(key, value)| visit(key, value));
    }
}

impl State for Memory {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key.to_vec(), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

/// Four replicas.
pub(crate) fn members() -> Members {
    let addresses = (0..4).map(|index| format!("10.0.0.{index}:7000")).collect();
    Members::new(&Digest::from_bytes([7; 32]), ClientId::new(0), addresses)
}

impl TestGateway {
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.addr)).unwrap().connect_lazy()
    }

    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    pub(crate) fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel())
    }

    /// Asks the gateway to stop and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), GatewayError> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }
}
