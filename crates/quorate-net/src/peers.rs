//! The links between replicas: two connections to every peer, kept up for ever.
//!
//! Votes have a connection of their own, so that none of them ever waits behind a request body or
//! a part of a state transfer. Of each pair of replicas the one with the lower id dials, both
//! connections carry frames in both directions, and a connection that breaks is dialled again
//! with a growing, jittered pause. A newer connection of a peer takes the place of its older one.

mod inbox;

pub use inbox::{PeerEvent, PeerInbox};

use crate::{
    dial::Dialer,
    identity::{PublicKey, SecretKeys},
    limits::{
        BULK_FRAME_BYTES_MAX, BULK_QUEUE_BYTES_MAX, BULK_QUEUE_COUNT_MAX, DOOR_COUNT_MAX,
        VOTE_FRAME_BYTES_MAX, VOTE_QUEUE_BYTES_MAX, VOTE_QUEUE_COUNT_MAX,
    },
    link::{self, LinkEnd, LinkReader, LinkWriter},
    log_limit::LogLimit,
    metrics::{LinkCounters, NetMetrics, PeerCounters},
    send_queue::{QueueLimit, SendQueue},
    socket::{SecureStream, Socket},
    tls::Purpose,
};
use bytes::Bytes;
use inbox::Inbox;
use pbft::ReplicaId;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::mpsc, task::JoinSet};

/// Which of the two connections of a peer a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Small frames on which the order of requests waits: PREPARE, COMMIT and their like.
    Votes,
    /// Everything else: batches, request bodies, view changes, state transfer.
    Bulk,
}

impl Class {
    /// The longest frame of this class, in bytes.
    pub const fn frame_bytes_max(self) -> usize {
        match self {
            Self::Votes => VOTE_FRAME_BYTES_MAX,
            Self::Bulk => BULK_FRAME_BYTES_MAX,
        }
    }
}

/// Where a replica is and which key it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its id.
    pub id: ReplicaId,
    /// `HOST:PORT`; looked up anew for every attempt.
    pub address: String,
    /// The key it must prove.
    pub link_key: PublicKey,
}

/// The other replicas: where messages go. Cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

/// Where connections accepted by a [`Listener`](crate::Listener) are handed to [`Peers`]. Usable
/// from every thread and runtime.
#[derive(Clone)]
pub struct PeerDoor(Arc<BTreeMap<(ReplicaId, Class), mpsc::Sender<SecureStream>>>);

struct Shared {
    queues: BTreeMap<ReplicaId, PeerQueues>,
    inbox: Arc<Inbox>,
}

struct PeerQueues {
    votes: SendQueue,
    bulk: SendQueue,
    counters: Arc<PeerCounters>,
}

impl PeerQueues {
    fn class(&self, class: Class) -> &SendQueue {
        match class {
            Class::Votes => &self.votes,
            Class::Bulk => &self.bulk,
        }
    }
}

impl Peers {
    /// Starts dialling the replicas of a higher id than `own`, and waiting at the door for those
    /// of a lower one; `own` itself is skipped. Of frames that wait for one of them
    /// `write_bytes_max` leave in one call, or each by itself if that is 0. Everything runs in the current runtime until the
    /// inbox is dropped.
    ///
    /// # Errors
    ///
    /// Fails when the TLS library refuses the keys.
    ///
    /// # Panics
    ///
    /// Must be called within a tokio runtime with time and I/O.
    pub fn start(
        own: ReplicaId,
        keys: &SecretKeys,
        replicas: &[PeerAddress],
        metrics: &NetMetrics,
        write_bytes_max: usize,
    ) -> Result<(Self, PeerInbox, PeerDoor), rustls::Error> {
        let others = || replicas.iter().filter(|replica| replica.id != own);
        let inbox = Arc::new(Inbox::new(others().map(|replica| replica.id)));
        let queues = others()
            .map(|replica| (replica.id, PeerQueues::new(replica.id, metrics, write_bytes_max)));
        let shared = Arc::new(Shared { queues: queues.collect(), inbox: Arc::clone(&inbox) });

        let mut tasks = JoinSet::new();
        let mut door = BTreeMap::new();
        for replica in others() {
            for class in [Class::Votes, Class::Bulk] {
                let link = PeerLink::new(&shared, replica.id, class);
                if own < replica.id {
                    let purpose = Purpose::Peer(class);
                    let dialer = Dialer::new(replica, keys, purpose, &link.counters)?;
                    tasks.spawn(link.keep_dialling(dialer));
                } else {
                    let (sender, accepted) = mpsc::channel(DOOR_COUNT_MAX);
                    door.insert((replica.id, class), sender);
                    tasks.spawn(link.keep_accepting(accepted));
                }
            }
        }
        Ok((Self(shared), PeerInbox::new(inbox, tasks), PeerDoor(Arc::new(door))))
    }

    /// Queues a frame for a peer; never blocks.
    ///
    /// What cannot be sent waits, connected or not, until the queue is full; then the oldest
    /// frames are dropped and counted. Frames that are empty, too long for their class, or for an
    /// unknown peer are not sent.
    pub fn send(&self, peer: ReplicaId, class: Class, frame: Bytes) {
        let Some(queues) = self.0.queues.get(&peer) else {
            tracing::error!(%peer, "frame for an unknown replica not sent");
            return;
        };
        let counters = queues.counters.class(class);
        if frame.is_empty() || frame.len() > class.frame_bytes_max() {
            counters.frames_dropped.increment();
            tracing::error!(%peer, ?class, bytes = frame.len(), "frame of impossible length");
            return;
        }
        counters.frames_dropped.add(queues.class(class).push(frame));
    }

    /// Queues one frame for every peer; never blocks.
    pub fn broadcast(&self, class: Class, frame: &Bytes) {
        for peer in self.0.queues.keys() {
            self.send(*peer, class, frame.clone());
        }
    }

    /// Whether both connections of a peer are up now.
    pub fn is_connected(&self, peer: ReplicaId) -> bool {
        self.0.inbox.is_connected(peer)
    }
}

impl PeerQueues {
    fn new(peer: ReplicaId, metrics: &NetMetrics, write_bytes_max: usize) -> Self {
        let votes = QueueLimit { count_max: VOTE_QUEUE_COUNT_MAX, bytes_max: VOTE_QUEUE_BYTES_MAX };
        let bulk = QueueLimit { count_max: BULK_QUEUE_COUNT_MAX, bytes_max: BULK_QUEUE_BYTES_MAX };
        Self {
            votes: SendQueue::new(votes, write_bytes_max),
            bulk: SendQueue::new(bulk, write_bytes_max),
            counters: metrics.peers.get(&peer).cloned().unwrap_or_default(),
        }
    }
}

impl PeerDoor {
    /// Hands over a connection. Returns whether it was taken: not from those who are to be
    /// dialled, and not while their last ones are still waiting.
    pub(crate) fn offer(&self, peer: ReplicaId, class: Class, stream: SecureStream) -> bool {
        self.0.get(&(peer, class)).is_some_and(|sender| sender.try_send(stream).is_ok())
    }
}

/// One of the two connections of one peer, over and over again.
struct PeerLink {
    shared: Arc<Shared>,
    peer: ReplicaId,
    class: Class,
    counters: Arc<LinkCounters>,
    log_limit: LogLimit,
}

impl PeerLink {
    fn new(shared: &Arc<Shared>, peer: ReplicaId, class: Class) -> Self {
        let counters = Arc::clone(shared.queues[&peer].counters.class(class));
        let log_limit = LogLimit::default();
        Self { shared: Arc::clone(shared), peer, class, counters, log_limit }
    }

    async fn keep_dialling(self, mut dialer: Dialer) {
        loop {
            let (mut reader, mut writer) = dialer.connect().await;
            let end = self.serve(&mut reader, &mut writer).await;
            self.log_end(&end);
        }
    }

    async fn keep_accepting(self, mut accepted: mpsc::Receiver<SecureStream>) {
        let mut next = accepted.recv().await;
        while let Some(mut stream) = next {
            if let Err(error) = Socket::adopt(&mut stream) {
                self.log_end(&LinkEnd::Broken(error));
                next = accepted.recv().await;
                continue;
            }
            let (mut reader, mut writer) =
                link::split(stream, self.class.frame_bytes_max(), &self.counters);
            let (end, newer) = tokio::select! {
                biased;
                Some(newer) = accepted.recv() => (LinkEnd::Replaced, Some(newer)),
                end = self.serve(&mut reader, &mut writer) => (end, None),
            };
            self.log_end(&end);
            drop((reader, writer));
            next = match newer {
                Some(newer) => Some(newer),
                None => accepted.recv().await,
            };
        }
    }

    async fn serve(
        &self,
        reader: &mut LinkReader<SecureStream>,
        writer: &mut LinkWriter<SecureStream>,
    ) -> LinkEnd {
        let Self { shared, peer, class, .. } = self;
        if let Some(suppressed) = self.log_limit.admit() {
            tracing::info!(%peer, ?class, suppressed, "link up");
        }
        let _presence = shared.inbox.enter(*peer, *class);
        tokio::select! {
            biased;
            end = writer.pump(shared.queues[peer].class(*class)) => end,
            end = self.read(reader) => end,
        }
    }

    async fn read(&self, reader: &mut LinkReader<SecureStream>) -> LinkEnd {
        loop {
            match reader.next().await {
                Ok(frame) => self.shared.inbox.push(self.peer, self.class, frame).await,
                Err(end) => return end,
            }
        }
    }

    fn log_end(&self, end: &LinkEnd) {
        if let Some(suppressed) = self.log_limit.admit() {
            tracing::info!(peer = %self.peer, class = ?self.class, %end, suppressed, "link down");
        }
    }
}
