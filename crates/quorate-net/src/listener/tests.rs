//! What clients and strangers can and cannot do to a listening replica, over real sockets.

use super::*;
use crate::{
    Class, ClientInbox, ClientLimits, PeerAddress, PeerInbox, Peers, Rate,
    dial::{DialError, Dialer},
    identity::PublicKey,
    limits::{
        CLIENT_LANE_COUNT_MAX, CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_COUNT_MAX,
        CONNECTION_PER_CLIENT_COUNT_MAX, HANDSHAKE_PER_SOURCE_COUNT_MAX, HANDSHAKE_TIMEOUT,
        REPLY_FRAME_BYTES_MAX, WRITE_BYTES_MAX,
    },
    link::{LinkEnd, LinkReader, LinkWriter},
    send_queue::{QueueLimit, SendQueue},
};
use bytes::Bytes;
use pbft::{ClientId, ReplicaId};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

const ALICE: ClientId = ClientId::new(0);
const BOB: ClientId = ClientId::new(1);
const PEER: ReplicaId = ReplicaId::new(0);
const OWN: ReplicaId = ReplicaId::new(1);

fn keys(seed: u8) -> SecretKeys {
    SecretKeys::from_seeds([seed; 32], [seed + 1; 32])
}

fn replica_keys(replica: ReplicaId) -> SecretKeys {
    keys(100 + 2 * u8::try_from(replica.get()).unwrap())
}

fn client_keys(client: ClientId) -> SecretKeys {
    keys(200 + 2 * u8::try_from(client.get()).unwrap())
}

/// Replica 1 of a cluster of two replicas and two clients.
struct Server {
    address: String,
    metrics: Arc<NetMetrics>,
    clients: Clients,
    inbox: ClientInbox,
    _peers: PeerInbox,
    _listening: JoinSet<Infallible>,
}

impl Server {
    async fn start(limits: ClientLimits) -> Self {
        let metrics = Arc::new(NetMetrics::new([PEER]));
        let allowed = AllowList::new([
            (replica_keys(PEER).public().link, Identity::Replica(PEER)),
            (replica_keys(OWN).public().link, Identity::Replica(OWN)),
            (client_keys(ALICE).public().link, Identity::Client(ALICE)),
            (client_keys(BOB).public().link, Identity::Client(BOB)),
        ]);
        let own_keys = replica_keys(OWN);
        let listener =
            Listener::bind("127.0.0.1:0", &own_keys, allowed.unwrap(), Arc::clone(&metrics));
        let listener = listener.await.unwrap();
        let address = listener.local_address().unwrap().to_string();
        let peer = PeerAddress {
            id: PEER,
            address: "127.0.0.1:1".to_owned(),
            link_key: replica_keys(PEER).public().link,
        };
        let (_, peers, door) =
            Peers::start(OWN, &own_keys, &[peer], &metrics, WRITE_BYTES_MAX).unwrap();
        let (clients, inbox) = Clients::new(limits, &metrics);
        let mut listening = JoinSet::new();
        listening.spawn(listener.run(door, clients.clone()));
        Self { address, metrics, clients, inbox, _peers: peers, _listening: listening }
    }

    fn dialer(&self, keys: &SecretKeys, link_key: PublicKey, purpose: Purpose) -> Dialer {
        let replica = PeerAddress { id: OWN, address: self.address.clone(), link_key };
        Dialer::new(&replica, keys, purpose, &Arc::default()).unwrap()
    }

    async fn connect(&self, client: ClientId) -> TestClient {
        let pinned = replica_keys(OWN).public().link;
        let dialer = self.dialer(&client_keys(client), pinned, Purpose::Client);
        let (reader, writer) = dialer.dial().await.unwrap();
        TestClient::new(reader, writer)
    }

    async fn expect_refusal(&self, keys: &SecretKeys, purpose: Purpose) -> DialError {
        let pinned = replica_keys(OWN).public().link;
        self.dialer(keys, pinned, purpose).dial().await.map(|_| ()).unwrap_err()
    }

    /// Whether a client is still answered.
    async fn expect_service(&mut self, client: ClientId, session: &mut TestClient) {
        session.send("are you there?");
        assert_eq!(
            self.inbox.recv(|_| true).await,
            (client, Bytes::from_static(b"are you there?"))
        );
        self.clients.send(client, &Bytes::from_static(b"yes"));
        assert_eq!(session.reader.next().await.unwrap(), "yes");
    }
}

/// A client whose writing end pumps by itself.
struct TestClient {
    reader: LinkReader<SecureStream>,
    queue: Arc<SendQueue>,
    _pump: JoinSet<LinkEnd>,
}

impl TestClient {
    fn new(reader: LinkReader<SecureStream>, mut writer: LinkWriter<SecureStream>) -> Self {
        let limit = QueueLimit { count_max: usize::MAX, bytes_max: usize::MAX };
        let queue = Arc::new(SendQueue::new(limit, WRITE_BYTES_MAX));
        let mut pump = JoinSet::new();
        pump.spawn({
            let queue = Arc::clone(&queue);
            async move { writer.pump(&queue).await }
        });
        Self { reader, queue, _pump: pump }
    }

    fn send(&self, frame: impl Into<Bytes>) {
        self.queue.push(frame.into());
    }

    async fn expect_end(&mut self) {
        while self.reader.next().await.is_ok() {}
    }
}

/// Lets the sockets work until something holds.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn client_is_heard_and_answered() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut alice = server.connect(ALICE).await;
    let mut bob = server.connect(BOB).await;
    server.expect_service(ALICE, &mut alice).await;
    server.expect_service(BOB, &mut bob).await;
    assert_eq!(server.clients.connection_count(), 2);
    drop(alice);
    until(|| server.clients.connection_count() == 1).await;
    server.expect_service(BOB, &mut bob).await;
}

#[tokio::test]
async fn unknown_key_is_refused_and_counted() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut alice = server.connect(ALICE).await;
    let error = server.expect_refusal(&keys(50), Purpose::Client).await;
    assert!(matches!(error, DialError::Refused(_)), "{error}");
    assert!(error.to_string().contains("configuration"), "{error}");
    assert_eq!(server.metrics.handshakes_unknown_key.get(), 1);
    server.expect_service(ALICE, &mut alice).await;
}

#[tokio::test]
async fn server_with_another_key_than_the_pinned_one_is_refused() {
    let server = Server::start(ClientLimits::default()).await;
    let dialer = server.dialer(&client_keys(ALICE), keys(60).public().link, Purpose::Client);
    let error = dialer.dial().await.err().unwrap();
    assert!(matches!(error, DialError::WrongKey(_)), "{error}");
    let shown = replica_keys(OWN).public().link.to_string();
    assert!(error.to_string().contains(&shown), "{error}");
    until(|| server.metrics.handshakes_failed.get() == 1).await;
    assert_eq!(server.clients.connection_count(), 0);
}

#[tokio::test]
async fn known_keys_are_refused_for_purposes_that_are_not_theirs() {
    let server = Server::start(ClientLimits::default()).await;
    for purpose in [Purpose::Peer(Class::Votes), Purpose::Peer(Class::Bulk)] {
        server.expect_refusal(&client_keys(ALICE), purpose).await;
    }
    server.expect_refusal(&replica_keys(PEER), Purpose::Client).await;
    // A replica that connects to itself was configured with its own address for another.
    server.expect_refusal(&replica_keys(OWN), Purpose::Peer(Class::Votes)).await;
    assert_eq!(server.metrics.connections_refused.get(), 4);
}

#[tokio::test]
async fn garbage_changes_nothing_but_counters() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut alice = server.connect(ALICE).await;
    let garbage: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 4096],
        &[0x16, 0x03, 0x01, 0xff, 0xff, 0x01],
        &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0xff, 0xff, 0xff, 0x03],
        b"",
    ];
    for bytes in garbage {
        let mut stranger = TcpStream::connect(&server.address).await.unwrap();
        // The server may close before everything is written.
        let _ = stranger.write_all(bytes).await;
        let _ = stranger.shutdown().await;
        let _ = stranger.read_to_end(&mut Vec::new()).await;
    }
    until(|| server.metrics.handshakes_failed.get() == 5).await;
    server.expect_service(ALICE, &mut alice).await;
}

#[tokio::test]
async fn connections_that_say_nothing_give_way_to_those_that_do() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut idle = Vec::new();
    for _ in 0..2 * HANDSHAKE_PER_SOURCE_COUNT_MAX {
        idle.push(TcpStream::connect(&server.address).await.unwrap());
    }
    let mut alice = server.connect(ALICE).await;
    server.expect_service(ALICE, &mut alice).await;
    let evicted = server.metrics.handshakes_evicted.get();
    assert!(evicted > HANDSHAKE_PER_SOURCE_COUNT_MAX as u64, "{evicted}");
    assert_eq!(idle[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest was closed");
}

#[tokio::test(start_paused = true)]
async fn handshake_that_takes_too_long_is_closed() {
    let server = Server::start(ClientLimits::default()).await;
    let began = Instant::now();
    let mut slow = TcpStream::connect(&server.address).await.unwrap();
    slow.write_all(&[0x16, 0x03]).await.unwrap();
    slow.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(began.elapsed() >= HANDSHAKE_TIMEOUT);
    assert_eq!(server.metrics.handshakes_timed_out.get(), 1);
}

#[tokio::test]
async fn oversize_frame_ends_the_session_of_its_sender_only() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut alice = server.connect(ALICE).await;
    let mut bob = server.connect(BOB).await;
    alice.send(vec![0; ClientLimits::default().frame_bytes_max + 1]);
    alice.expect_end().await;
    assert_eq!(server.metrics.clients.frames_oversize.get(), 1);
    server.expect_service(BOB, &mut bob).await;
    let mut alice = server.connect(ALICE).await;
    server.expect_service(ALICE, &mut alice).await;
}

#[tokio::test]
async fn newest_connections_of_a_client_supersede_its_oldest() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut bob = server.connect(BOB).await;
    let mut sessions = Vec::new();
    for _ in 0..=CONNECTION_PER_CLIENT_COUNT_MAX {
        sessions.push(server.connect(ALICE).await);
    }
    sessions[0].expect_end().await;
    assert_eq!(server.clients.connection_count(), CONNECTION_PER_CLIENT_COUNT_MAX + 1);
    server.clients.send(ALICE, &Bytes::from_static(b"to each"));
    for session in &mut sessions[1..] {
        assert_eq!(session.reader.next().await.unwrap(), "to each");
    }
    server.expect_service(BOB, &mut bob).await;
}

#[tokio::test]
async fn connections_of_all_clients_are_bounded() {
    let limits = ClientLimits { connection_count_max: 2, ..ClientLimits::default() };
    let server = Server::start(limits).await;
    let _alice = server.connect(ALICE).await;
    let bob = server.connect(BOB).await;
    let error = server.expect_refusal(&client_keys(ALICE), Purpose::Client).await;
    assert!(matches!(error, DialError::Refused(_)), "{error}");
    drop(bob);
    until(|| server.clients.connection_count() == 1).await;
    server.connect(BOB).await;
}

#[tokio::test]
async fn flooding_client_is_read_at_its_rate_and_delays_nobody() {
    let rate = Rate { per_second: 1, burst: 5 };
    let limits = ClientLimits { frames: rate, ..ClientLimits::default() };
    let mut server = Server::start(limits).await;
    let alice = server.connect(ALICE).await;
    let bob = server.connect(BOB).await;
    tokio::time::pause();
    let began = Instant::now();
    for _ in 0..35 {
        alice.send(vec![1; 1000]);
    }
    for _ in 0..30 {
        assert_eq!(server.inbox.recv(|_| true).await.0, ALICE);
    }
    assert!(began.elapsed() >= Duration::from_secs(24), "{:?}", began.elapsed());
    assert!(server.metrics.clients.pauses.get() >= 24);
    bob.send("let me in");
    let (client, _) = server.inbox.recv(|_| true).await;
    assert_eq!(client, BOB, "nobody else pays for Alice's flood");
}

#[tokio::test]
async fn flooding_client_fills_its_own_lane_and_no_more() {
    let mut server = Server::start(ClientLimits::default()).await;
    let alice = server.connect(ALICE).await;
    let bob = server.connect(BOB).await;
    for _ in 0..10_000 {
        alice.send(vec![1; 10]);
    }
    // One more than the lane holds was read: the reader waits with it for room.
    until(|| server.metrics.clients.frames_received.get() > CLIENT_LANE_COUNT_MAX as u64).await;
    bob.send("let me in");
    until(|| server.metrics.clients.frames_received.get() > 1 + CLIENT_LANE_COUNT_MAX as u64).await;
    let (first, _) = server.inbox.try_recv(|_| true).unwrap();
    let (second, frame) = server.inbox.try_recv(|_| true).unwrap();
    assert_eq!((first, second, frame), (ALICE, BOB, Bytes::from_static(b"let me in")));
}

#[tokio::test]
async fn client_that_reads_nothing_costs_a_bounded_queue() {
    let mut server = Server::start(ClientLimits::default()).await;
    let _deaf = server.connect(ALICE).await;
    let mut bob = server.connect(BOB).await;
    let reply = Bytes::from(vec![7; 100_000]);
    for _ in 0..2 * CLIENT_QUEUE_COUNT_MAX {
        server.clients.send(ALICE, &reply);
    }
    let kept = CLIENT_QUEUE_BYTES_MAX / reply.len();
    let dropped = server.metrics.clients.frames_dropped.get();
    assert_eq!(dropped, (2 * CLIENT_QUEUE_COUNT_MAX - kept) as u64);
    server.expect_service(BOB, &mut bob).await;
}

#[tokio::test]
async fn replies_of_impossible_length_are_not_sent() {
    let mut server = Server::start(ClientLimits::default()).await;
    let mut alice = server.connect(ALICE).await;
    server.clients.send(ALICE, &Bytes::from(vec![0; REPLY_FRAME_BYTES_MAX + 1]));
    server.clients.send(ALICE, &Bytes::new());
    assert_eq!(server.metrics.clients.frames_dropped.get(), 2);
    server.expect_service(ALICE, &mut alice).await;
}

#[tokio::test]
async fn address_in_use_is_reported_in_one_sentence() {
    let server = Server::start(ClientLimits::default()).await;
    let keys = replica_keys(OWN);
    let metrics = Arc::clone(&server.metrics);
    let again = Listener::bind(&server.address, &keys, AllowList::default(), metrics);
    let error = again.await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", server.address)), "{error}");
}
