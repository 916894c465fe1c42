//! The clients' side of a replica: sessions with budgets, one bounded lane each, and replies.

use crate::{
    budget::{Budget, Rate},
    fair_queue::FairQueue,
    limits::{
        CLIENT_CONNECTION_COUNT_MAX, CLIENT_LANE_BYTES_MAX, CLIENT_LANE_COUNT_MAX,
        CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_COUNT_MAX, CONNECTION_PER_CLIENT_COUNT_MAX,
        REPLY_FRAME_BYTES_MAX, REQUEST_FRAME_OVERHEAD_BYTES, WRITE_BYTES_MAX,
    },
    link::{self, LinkEnd, LinkReader},
    log_limit::LogLimit,
    metrics::{LinkCounters, NetMetrics},
    send_queue::{QueueLimit, SendQueue},
    socket::SecureStream,
};
use bytes::Bytes;
use pbft::ClientId;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

const LANE: QueueLimit =
    QueueLimit { count_max: CLIENT_LANE_COUNT_MAX, bytes_max: CLIENT_LANE_BYTES_MAX };
const QUEUE: QueueLimit =
    QueueLimit { count_max: CLIENT_QUEUE_COUNT_MAX, bytes_max: CLIENT_QUEUE_BYTES_MAX };

/// What clients may take of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Longest frame taken from a client: the longest request of the cluster and
    /// [`REQUEST_FRAME_OVERHEAD_BYTES`]. A longer one ends the connection.
    pub frame_bytes_max: usize,
    /// Connections of all clients together; more are refused.
    pub connection_count_max: usize,
    /// Frames each client may send; beyond it, it is read no faster.
    pub frames: Rate,
    /// Bytes each client may send; beyond it, it is read no faster.
    pub bytes: Rate,
    /// So many bytes of replies that wait for a client leave in one call; if 0, each by itself.
    pub write_bytes_max: usize,
}

impl Default for ClientLimits {
    /// Room for a busy gateway: requests of 2 MiB, 20 000 frames and 64 MiB a second.
    fn default() -> Self {
        Self {
            frame_bytes_max: (2 << 20) + REQUEST_FRAME_OVERHEAD_BYTES,
            connection_count_max: CLIENT_CONNECTION_COUNT_MAX,
            frames: Rate { per_second: 20_000, burst: 4_000 },
            bytes: Rate { per_second: 64 << 20, burst: 16 << 20 },
            write_bytes_max: WRITE_BYTES_MAX,
        }
    }
}

/// The connected clients: where replies go. Cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Clients(Arc<Shared>);

/// What clients sent, in turn from each.
pub struct ClientInbox(Arc<Shared>);

struct Shared {
    limits: ClientLimits,
    counters: Arc<LinkCounters>,
    arrived: Arc<Notify>,
    lanes: FairQueue<ClientId>,
    table: Mutex<Table>,
    log_limit: LogLimit,
}

/// **Invariant:** `connection_count` is the number of connections of all entries. There are no
/// more entries than clients in the configuration, since each had to prove its key.
#[derive(Default)]
struct Table {
    entries: BTreeMap<ClientId, Entry>,
    connection_count: usize,
}

/// One client. It outlives its connections, so that reconnecting does not refill a budget.
struct Entry {
    budget: Budget,
    /// Oldest first.
    connections: Vec<Arc<Connection>>,
}

struct Connection {
    queue: SendQueue,
    /// Told to end, because the same client has made too many newer ones.
    superseded: Notify,
}

impl Clients {
    /// No clients yet. The inbox is for the one who handles requests.
    pub fn new(limits: ClientLimits, metrics: &NetMetrics) -> (Self, ClientInbox) {
        let arrived = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            limits,
            counters: Arc::clone(&metrics.clients),
            lanes: FairQueue::new(LANE, Arc::clone(&arrived)),
            arrived,
            table: Mutex::default(),
            log_limit: LogLimit::default(),
        });
        (Self(Arc::clone(&shared)), ClientInbox(shared))
    }

    /// Sends a frame to a client, on each of its connections (it normally has one); never blocks.
    ///
    /// A client that is not connected gets nothing. One that reads too slowly loses its oldest
    /// frames: it asks again, and the reply cache answers. Frames that are empty or longer than
    /// [`REPLY_FRAME_BYTES_MAX`] are not sent.
    pub fn send(&self, client: ClientId, frame: &Bytes) {
        let Shared { counters, .. } = &*self.0;
        if frame.is_empty() || frame.len() > REPLY_FRAME_BYTES_MAX {
            counters.frames_dropped.increment();
            tracing::error!(%client, bytes = frame.len(), "reply of impossible length not sent");
            return;
        }
        let table = self.0.lock();
        for connection in table.entries.get(&client).iter().flat_map(|entry| &entry.connections) {
            counters.frames_dropped.add(connection.queue.push(frame.clone()));
        }
    }

    /// How many connections there are now.
    pub fn connection_count(&self) -> usize {
        self.0.lock().connection_count
    }

    /// Makes place for one more connection of a client, unless all clients together have too
    /// many. The oldest connection of the same client gives way if it has too many itself.
    pub(crate) fn admit(&self, client: ClientId) -> Option<Session> {
        let Shared { limits, .. } = &*self.0;
        let now = Instant::now();
        let mut table = self.0.lock();
        let Table { entries, connection_count } = &mut *table;
        let entry = entries.entry(client).or_insert_with(|| Entry {
            budget: Budget::new(limits.frames, limits.bytes, now),
            connections: Vec::new(),
        });
        if entry.connections.len() >= CONNECTION_PER_CLIENT_COUNT_MAX {
            entry.connections.remove(0).superseded.notify_one();
            *connection_count -= 1;
        }
        if *connection_count >= limits.connection_count_max {
            return None;
        }
        *connection_count += 1;
        let queue = SendQueue::new(QUEUE, limits.write_bytes_max);
        let connection = Arc::new(Connection { queue, superseded: Notify::new() });
        entry.connections.push(Arc::clone(&connection));
        Some(Session { shared: Arc::clone(&self.0), client, connection })
    }
}

impl ClientInbox {
    /// Waits for the next frame of a client for whom `is_wanted` holds; clients take turns. What
    /// the others sent stays where it is until a later call, and once their lanes are full they
    /// are not read. Cancellation safe.
    pub async fn recv(&mut self, is_wanted: impl Fn(ClientId) -> bool) -> (ClientId, Bytes) {
        loop {
            tokio::task::coop::consume_budget().await;
            if let Some(next) = self.try_recv(&is_wanted) {
                return next;
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next frame, if there is one; `is_wanted` as in [`ClientInbox::recv`].
    pub fn try_recv(&mut self, is_wanted: impl Fn(ClientId) -> bool) -> Option<(ClientId, Bytes)> {
        self.0.lanes.try_take(is_wanted)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges a frame to its client and returns how long the client is to be left unread.
    fn charge(&self, client: ClientId, frame_bytes: usize) -> Duration {
        let now = Instant::now();
        match self.lock().entries.get_mut(&client) {
            Some(entry) => entry.budget.charge(frame_bytes, now),
            None => Duration::ZERO,
        }
    }
}

/// One connection of one client, counted until it is dropped.
pub(crate) struct Session {
    shared: Arc<Shared>,
    client: ClientId,
    connection: Arc<Connection>,
}

impl Session {
    /// Serves the connection until it ends.
    pub(crate) async fn serve(self, stream: SecureStream, source: SocketAddr) {
        let Self { client, .. } = self;
        if let Some(suppressed) = self.shared.log_limit.admit() {
            tracing::info!(%client, %source, suppressed, "client connected");
        }
        let (mut reader, mut writer) =
            link::split(stream, self.shared.limits.frame_bytes_max, &self.shared.counters);
        let end = tokio::select! {
            biased;
            () = self.connection.superseded.notified() => LinkEnd::Replaced,
            end = writer.pump(&self.connection.queue) => end,
            end = self.read(&mut reader) => end,
        };
        if let Some(suppressed) = self.shared.log_limit.admit() {
            tracing::info!(%client, %source, %end, suppressed, "client disconnected");
        }
    }

    async fn read(&self, reader: &mut LinkReader<SecureStream>) -> LinkEnd {
        loop {
            let frame = match reader.next().await {
                Ok(frame) => frame,
                Err(end) => return end,
            };
            let pause = self.shared.charge(self.client, frame.len());
            self.shared.lanes.push(self.client, frame).await;
            if !pause.is_zero() {
                self.shared.counters.pauses.increment();
                sleep(pause).await;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        let Table { entries, connection_count } = &mut *table;
        let Some(entry) = entries.get_mut(&self.client) else {
            return;
        };
        let before = entry.connections.len();
        entry.connections.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
        // A superseded connection was taken off the table already.
        *connection_count -= before - entry.connections.len();
    }
}
