//! The server: where it listens, how it begins and how it ends.

use crate::admission::Admission;
use crate::api::{Cluster, Kv, Maintenance, unknown_call};
use crate::backend::Backend;
use crate::etcd::etcdserverpb::cluster_server::ClusterServer;
use crate::etcd::etcdserverpb::kv_server::KvServer;
use crate::etcd::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::limits::{
    CONNECTION_REQUESTS_COUNT_MAX, CONNECTION_WINDOW_BYTES, HEADERS_BYTES_MAX, KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT, REQUEST_BYTES_READ_MAX, REQUEST_WINDOW_BYTES, SHUTDOWN_GRACE,
};
use crate::listener;
use crate::members::Members;
use crate::submit::Submitter;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

/// The etcd v3 interface in front of a cluster.
///
/// It speaks plain text, because it stands beside the user's program, on the user's machine, and
/// is the one thing that program has to trust. No replica speaks etcd.
#[derive(Debug)]
pub struct Gateway;

/// Where a gateway listens and how patient it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Who may reach it.
    pub exposure: Exposure,
    /// How long a request may take when its client is more patient or says nothing.
    pub request_timeout: Duration,
}

/// Who may reach the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Programs on the same machine; a listening address that is not loopback is refused.
    Loopback,
    /// Anyone who reaches the listening address: there is neither encryption nor a password, so
    /// whoever is on the way can read, forge and write.
    Network,
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The port belongs to another process.
    #[error("cannot listen on {0}: the port is in use; stop what uses it or choose another port")]
    PortInUse(SocketAddr),
    /// The listening address cannot be had for another reason.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address is reachable from outside, and nobody said that it may be.
    #[error(
        "{0} can be reached from other machines, and the gateway has neither encryption nor \
         passwords; listen on a loopback address, or say explicitly that the network may reach it"
    )]
    NotLoopback(SocketAddr),
    /// The server failed.
    #[error("the gateway's server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
}

impl Config {
    /// Five seconds, etcd's own patience with a request.
    pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

    /// A gateway for the programs on this machine.
    pub const fn loopback(listen: SocketAddr) -> Self {
        Self {
            listen,
            exposure: Exposure::Loopback,
            request_timeout: Self::REQUEST_TIMEOUT_DEFAULT,
        }
    }
}

impl Gateway {
    /// Takes possession of the listening address. Clients that connect from now on wait for
    /// [`Bound::serve`].
    ///
    /// # Errors
    ///
    /// [`GatewayError::PortInUse`], [`GatewayError::Listen`], and [`GatewayError::NotLoopback`]
    /// unless the configuration exposes the gateway to the network.
    pub async fn bind(config: Config) -> Result<Bound, GatewayError> {
        let listen = config.listen;
        if !listen.ip().to_canonical().is_loopback() {
            match config.exposure {
                Exposure::Loopback => return Err(GatewayError::NotLoopback(listen)),
                Exposure::Network => tracing::warn!(
                    %listen,
                    "the gateway can be reached from other machines, without encryption or \
                     passwords: whoever reaches it can read and write everything"
                ),
            }
        }
        let listener = TcpListener::bind(listen).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => GatewayError::PortInUse(listen),
            _ => GatewayError::Listen { listen, source },
        })?;
        let local_addr =
            listener.local_addr().map_err(|source| GatewayError::Listen { listen, source })?;
        Ok(Bound { listener, local_addr, request_timeout: config.request_timeout })
    }
}

/// A gateway that has its address and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    local_addr: SocketAddr,
    request_timeout: Duration,
}

impl Bound {
    /// The address it listens on, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers requests until `shutdown` completes, then lets those under way finish, for at most
    /// [`SHUTDOWN_GRACE`]; what is left of the connections by then is cut. The operations go to
    /// whoever drives the other end of `submitter`.
    ///
    /// # Errors
    ///
    /// [`GatewayError::Serve`].
    pub async fn serve(
        self,
        members: Members,
        submitter: Submitter,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), GatewayError> {
        let backend = Arc::new(Backend::new(submitter, members));
        let (connection, connections) = mpsc::channel(1);
        let (stop, stopping) = oneshot::channel();
        let services = Admission::new(routes(backend, self.local_addr), self.request_timeout);
        let connections = ReceiverStream::new(connections);
        let server = server().serve_with_incoming_shutdown(services, connections, async {
            // Either way the gateway is to stop.
            let _ = stopping.await;
        });
        let (_gateway, alive) = watch::channel(());
        let accepting = listener::accept(self.listener, connection, alive);
        let patience = async {
            shutdown.await;
            // Fails only if the server has already ended.
            let _ = stop.send(());
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            (served, ()) = async { tokio::join!(server, accepting) } => Ok(served?),
            () = patience => {
                tracing::warn!("requests under way were cut off at shutdown");
                Ok(())
            }
        }
    }
}

fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(REQUEST_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CONNECTION_REQUESTS_COUNT_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// The services behind the limits, and a sentence for every other call.
pub(crate) fn routes(backend: Arc<Backend>, local_addr: SocketAddr) -> Routes {
    let kv = KvServer::new(Kv::new(Arc::clone(&backend)))
        .max_decoding_message_size(REQUEST_BYTES_READ_MAX);
    let cluster = ClusterServer::new(Cluster::new(Arc::clone(&backend), local_addr));
    let maintenance = MaintenanceServer::new(Maintenance::new(backend));
    let known = Routes::new(kv).add_service(cluster).add_service(maintenance);
    Routes::from(known.into_axum_router().fallback(unknown_call)).prepare()
}
