//! The thread of the sockets that are not between replicas: accepting, clients, the admin
//! endpoint.

use super::Control;
use super::NodeError;
use super::checker::Checker;
use super::verifier::{Checked, TOGETHER_BYTES_MAX, TOGETHER_COUNT_MAX, Verifier};
use crate::admin;
use crate::cluster::Cluster;
use pbft::{ReplicaId, Sender};
use quorate_net::identity::SecretKeys;
use quorate_net::limits::REQUEST_FRAME_OVERHEAD_BYTES;
use quorate_net::metrics::NetMetrics;
use quorate_net::{ClientInbox, ClientLimits, Clients, Listener, PeerDoor};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long open sockets may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

pub(super) struct Settings {
    pub(super) listen: String,
    pub(super) keys: SecretKeys,
    pub(super) cluster: Cluster,
    pub(super) id: ReplicaId,
    pub(super) admin: PathBuf,
    pub(super) control: Control,
    pub(super) checker: Arc<Checker>,
}

/// The running thread.
pub(super) struct Outer {
    pub(super) address: SocketAddr,
    pub(super) thread: JoinHandle<()>,
    pub(super) ends: Ends,
}

/// What the protocol thread holds of it. Dropping it ends the thread.
pub(super) struct Ends {
    pub(super) clients: Clients,
    pub(super) requests: mpsc::UnboundedReceiver<Checked>,
    pub(super) metrics: Arc<NetMetrics>,
    /// Where the links between replicas are to be handed, once they are wanted.
    pub(super) door: oneshot::Sender<PeerDoor>,
    pub(super) _alive: oneshot::Sender<()>,
}

/// Starts the thread and returns when it listens. It accepts nothing before it is given a door.
pub(super) fn start(settings: Settings) -> Result<Outer, NodeError> {
    let config = &settings.cluster.config;
    let others = config.replica_ids().filter(|id| *id != settings.id);
    let metrics = Arc::new(NetMetrics::new(others));
    let (clients, inbox) = Clients::new(client_limits(&settings.cluster), &metrics);
    let (verifier, requests) = Verifier::start(Arc::clone(&settings.checker))?;
    let (door, door_receiver) = oneshot::channel();
    let (alive, ended) = oneshot::channel();
    let (bound_sender, bound) = sync_mpsc::channel();
    let ends = Ends {
        clients: clients.clone(),
        requests,
        metrics: Arc::clone(&metrics),
        door,
        _alive: alive,
    };
    let thread = super::disk::spawn("outer", move || {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match built {
            Ok(runtime) => runtime,
            Err(error) => {
                // The starting thread waits for this, and for nothing else.
                let _ = bound_sender.send(Err(error.into()));
                return;
            }
        };
        runtime.block_on(async {
            let (listener, admin) = match bind(&settings, metrics).await {
                Ok(bound) => bound,
                Err(error) => {
                    let _ = bound_sender.send(Err(error));
                    return;
                }
            };
            let _ = bound_sender.send(listener.local_address().map_err(NodeError::from));
            let serving = async {
                if let Ok(door) = door_receiver.await {
                    listener.run(door, clients).await;
                }
            };
            tokio::select! {
                _told_or_dropped = ended => {}
                () = serving => {}
                () = admin => {}
                () = pump(inbox, &verifier) => {}
            }
        });
        runtime.shutdown_timeout(CLOSE_TIMEOUT);
        verifier.finish();
    })?;
    let address = bound.recv().map_err(|_| std::io::Error::other("a thread ended at once"))??;
    Ok(Outer { address, thread, ends })
}

/// What clients may take: frames as long as the cluster's longest request needs.
fn client_limits(cluster: &Cluster) -> ClientLimits {
    let frame_bytes_max =
        cluster.config.parameters.request_bytes_max + REQUEST_FRAME_OVERHEAD_BYTES;
    let write_bytes_max = cluster.together.write_bytes_max();
    ClientLimits { frame_bytes_max, write_bytes_max, ..ClientLimits::default() }
}

async fn bind(
    settings: &Settings,
    metrics: Arc<NetMetrics>,
) -> Result<(Listener, impl Future<Output = ()> + use<>), NodeError> {
    let Settings { listen, keys, cluster, admin, control, .. } = settings;
    let listener = Listener::bind(listen, keys, cluster.allowed.clone(), metrics).await?;
    Ok((listener, admin::serve(admin, control.clone())?))
}

/// Carries requests from clients' sockets through the door. A client whose messages fill its lane
/// of the verifier is passed over, so that it holds up nobody else.
async fn pump(mut inbox: ClientInbox, verifier: &Verifier) {
    let has_room = |client| verifier.has_room(Sender::Client(client));
    loop {
        let mut current = tokio::select! {
            first = inbox.recv(has_room) => Some(first),
            () = verifier.emptied() => inbox.try_recv(has_room),
        };
        while let Some((client, frame)) = current {
            let mut bytes = frame.len();
            let mut group = vec![(Sender::Client(client), frame)];
            current = inbox.try_recv(has_room);
            while group.len() < TOGETHER_COUNT_MAX
                && bytes < TOGETHER_BYTES_MAX
                && let Some((client, frame)) = current.take()
            {
                bytes += frame.len();
                group.push((Sender::Client(client), frame));
                current = inbox.try_recv(has_room);
            }
            verifier.take_group(group);
        }
    }
}
