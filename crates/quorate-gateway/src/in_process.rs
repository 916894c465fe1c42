//! The gateway for a client in the same process.

use crate::admission::Admission;
use crate::backend::Backend;
use crate::gateway::routes;
use crate::listener::ClientConnection;
use crate::members::Members;
use crate::submit::Submitter;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::server::TcpConnectInfo;

/// What answers the requests of a [`Gateway`](crate::Gateway), without connections: a channel for
/// the clients in [`etcd`](crate::etcd). Its limits and answers are the gateway's; clones share
/// them.
///
/// It must be called on a tokio runtime. An answer holds its place until it is dropped.
#[derive(Clone)]
pub struct InProcess(Admission);

impl InProcess {
    /// The operations go to whoever drives the other end of `submitter`. A client that asks for the
    /// members is told that they are reached at `advertised`. A request may take `request_timeout`.
    pub fn new(
        members: Members,
        submitter: Submitter,
        advertised: SocketAddr,
        request_timeout: Duration,
    ) -> Self {
        let backend = Arc::new(Backend::new(submitter, members));
        Self(Admission::new(routes(backend, advertised), request_timeout))
    }
}

impl Service<http::Request<Body>> for InProcess {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let nowhere = TcpConnectInfo { local_addr: None, remote_addr: None };
        request.extensions_mut().insert(ClientConnection::new(nowhere));
        self.0.call(request)
    }
}
