//! A gateway on a port of the system's choice, with something scripted where the cluster would be.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap in a test is a failed test"
)]

use pbft::{ClientId, Digest, View};
use quorate_gateway::etcd::etcdserverpb::cluster_client::ClusterClient;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use quorate_gateway::etcd::etcdserverpb::maintenance_client::MaintenanceClient;
use quorate_gateway::{
    Answer, Config, Gateway, GatewayError, Members, Submission, SubmitError, Submitter,
};
use quorate_services::store::{Operation, Outcome};
use std::net::SocketAddr;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

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
    let (submitter, mut submissions) = Submitter::channel();
    tokio::spawn(async move {
        while let Some(submission) = submissions.recv().await {
            drive(submission);
        }
    });
    let listen = "127.0.0.1:0".parse().unwrap();
    let bound = Gateway::bind(Config::loopback(listen)).await.unwrap();
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
    A: FnMut(Operation) -> Result<Outcome, SubmitError> + Send + 'static,
{
    gateway_before(move |submission| {
        let operation = Operation::decode(&submission.operation).unwrap();
        let outcome = answer(operation);
        let agreed = outcome.map(|outcome| Answer {
            result: outcome.encode(),
            view: View::new(6),
        });
        // The client may have gone meanwhile.
        let _ = submission.answer.send(agreed);
    })
    .await
}

/// Four replicas.
fn members() -> Members {
    let addresses = (0..4).map(|index| format!("10.0.0.{index}:7000")).collect();
    Members::new(&Digest::from_bytes([7; 32]), ClientId::new(0), addresses)
}

impl TestGateway {
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.addr))
            .unwrap()
            .connect_lazy()
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
