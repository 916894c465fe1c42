//! Replicas for tests: real sockets on addresses nobody else uses, no protocol behind them.

use bytes::Bytes;
use pbft::ReplicaId;
use quorate_net::limits::WRITE_BYTES_MAX;
use quorate_net::{
    AllowList, Class, ClientInbox, ClientLimits, Clients, Identity, Listener, PeerAddress,
    PeerEvent, PeerInbox, Peers, identity::SecretKeys, metrics::NetMetrics,
};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};
use tokio::task::JoinSet;

/// The replicas of one cluster, all known to each other.
pub(crate) struct Cluster {
    addresses: Vec<PeerAddress>,
}

impl Cluster {
    /// Each cluster has a loopback address of its own, so that a replica can come back to the
    /// same port while other tests run.
    pub(crate) async fn new(replica_count: u32) -> Self {
        static CLUSTERS: AtomicU8 = AtomicU8::new(1);
        let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = format!("127.{high}.{low}.{cluster}");
        let mut addresses = Vec::new();
        let mut held = Vec::new();
        for id in (0..replica_count).map(ReplicaId::new) {
            let free = tokio::net::TcpListener::bind((host.as_str(), 0)).await.unwrap();
            addresses.push(PeerAddress {
                id,
                address: free.local_addr().unwrap().to_string(),
                link_key: keys(id).public().link,
            });
            held.push(free);
        }
        Self { addresses }
    }

    pub(crate) fn address(&self, replica: u32) -> &str {
        &self.addresses[replica as usize].address
    }

    pub(crate) async fn start(&self, replica: u32) -> Replica {
        self.start_with_keys(replica, &keys(ReplicaId::new(replica))).await
    }

    pub(crate) async fn start_with_keys(&self, replica: u32, keys: &SecretKeys) -> Replica {
        let own = ReplicaId::new(replica);
        let metrics = Arc::new(NetMetrics::new(self.addresses.iter().map(|peer| peer.id)));
        let listener = self.listener(replica, keys, &metrics).await;
        let (peers, inbox, door) =
            Peers::start(own, keys, &self.addresses, &metrics, WRITE_BYTES_MAX).unwrap();
        let (clients, client_inbox) = Clients::new(ClientLimits::default(), &metrics);
        let mut listening = JoinSet::new();
        listening.spawn(listener.run(door, clients));
        Replica { peers, inbox, metrics, _clients: client_inbox, listening }
    }

    pub(crate) async fn listener(
        &self,
        replica: u32,
        keys: &SecretKeys,
        metrics: &Arc<NetMetrics>,
    ) -> Listener {
        let members = self.addresses.iter().map(|peer| (peer.link_key, Identity::Replica(peer.id)));
        let allowed = AllowList::new(members).unwrap();
        Listener::bind(self.address(replica), keys, allowed, Arc::clone(metrics)).await.unwrap()
    }

    pub(crate) fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }
}

pub(crate) fn keys(replica: ReplicaId) -> SecretKeys {
    let seed = u8::try_from(replica.get()).unwrap();
    SecretKeys::from_seeds([seed; 32], [seed + 100; 32])
}

/// A replica that lives until it is dropped.
pub(crate) struct Replica {
    pub(crate) peers: Peers,
    pub(crate) inbox: PeerInbox,
    pub(crate) metrics: Arc<NetMetrics>,
    _clients: ClientInbox,
    listening: JoinSet<Infallible>,
}

impl Replica {
    /// Ends the replica and waits until its address is free again.
    pub(crate) async fn stop(mut self) {
        self.listening.shutdown().await;
    }

    pub(crate) async fn expect(&mut self, event: PeerEvent) {
        assert_eq!(self.inbox.recv(|_| true).await, event);
    }

    pub(crate) async fn connected_to(&mut self, peer: u32) {
        self.expect(PeerEvent::Connected(ReplicaId::new(peer))).await;
    }

    pub(crate) async fn disconnected_from(&mut self, peer: u32) {
        self.expect(PeerEvent::Disconnected(ReplicaId::new(peer))).await;
    }

    pub(crate) fn send(&self, peer: u32, class: Class, frame: impl Into<Bytes>) {
        self.peers.send(ReplicaId::new(peer), class, frame.into());
    }

    pub(crate) async fn receives(&mut self, peer: u32, class: Class, frame: impl Into<Bytes>) {
        self.expect(PeerEvent::Frame(ReplicaId::new(peer), class, frame.into())).await;
    }
}

/// Lets the sockets work until something holds.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}
