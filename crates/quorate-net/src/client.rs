//! The asynchronous client: asks the primary or all replicas, believes what enough of them agree on.
//!
//! What to send and what to believe is decided by the state machine [`pbft::Client`]. Around it
//! stand one task per replica that keeps a link up, and one driver that carries frames between
//! links and state machine and keeps its time. Callers talk to the state machine directly, under
//! a lock, so that every operation waiting at the same moment leaves under one signature.

mod driver;
mod error;

pub use error::{ClientError, Fate};

use crate::{
    dial::Dialer,
    fair_queue::FairQueue,
    identity::SecretKeys,
    limits::{
        REPLY_LANE_BYTES_MAX, REPLY_LANE_COUNT_MAX, REQUEST_QUEUE_BYTES_MAX,
        REQUEST_QUEUE_COUNT_MAX, WRITE_BYTES_MAX,
    },
    metrics::{ClientMetrics, LinkCounters},
    peers::PeerAddress,
    send_queue::{QueueLimit, SendQueue},
    tls::Purpose,
};
use bytes::Bytes;
use driver::ReplicaLink;
use pbft::{
    ClientId, ClientParameters, Completion, Config, OperationId, ReadAgain, Reading, ReplicaId,
    SeqNum, Session, SigningKey, SubmitError, Time, View, message::Operation,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use zeroize::Zeroizing;

const QUEUE: QueueLimit =
    QueueLimit { count_max: REQUEST_QUEUE_COUNT_MAX, bytes_max: REQUEST_QUEUE_BYTES_MAX };
const LANE: QueueLimit =
    QueueLimit { count_max: REPLY_LANE_COUNT_MAX, bytes_max: REPLY_LANE_BYTES_MAX };

/// What a client is told before it starts.
pub struct ClientSettings {
    /// The cluster.
    pub config: Arc<Config>,
    /// Which of its clients this is. One process at a time may use an identity: a later one
    /// fences the earlier.
    pub id: ClientId,
    /// The keys of this client.
    pub keys: SecretKeys,
    /// Where the replicas are; the addresses of all of them.
    pub replicas: Vec<PeerAddress>,
    /// How it behaves.
    pub parameters: ClientParameters,
}

/// A client of a cluster. Cheap to clone; any number of callers may submit at the same time.
///
/// Its tasks end when the last clone is dropped or one is [closed](Self::close).
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// What became of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queried {
    /// A quorum shows this.
    Agreed(Reading),
    /// No quorum shows the same; where to ask again, if that may help.
    NotAgreed(Option<ReadAgain>),
}

/// What callers, driver and links share.
struct Shared {
    config: Arc<Config>,
    /// Origin of the time the state machine sees.
    started: Instant,
    core: Mutex<Core>,
    /// Wakes the driver: an operation was submitted or a reply arrived.
    wake: Arc<Notify>,
    replies: FairQueue<ReplicaId>,
    links: BTreeMap<ReplicaId, LinkState>,
    metrics: ClientMetrics,
    /// Where a copy of every frame goes, if anybody wants one.
    tap: OnceLock<mpsc::UnboundedSender<(ReplicaId, Bytes)>>,
}

struct Core {
    machine: pbft::Client,
    /// Who waits for what. An operation nobody waits for any more is not in here.
    waiting: BTreeMap<OperationId, oneshot::Sender<Completion>>,
    closed: bool,
}

struct LinkState {
    queue: SendQueue,
    connected: AtomicBool,
    counters: Arc<LinkCounters>,
}

impl Client {
    /// Starts connecting to all replicas and opens a session, in the current runtime. The number of
    /// the session is the time of day in microseconds, so that it grows from one start to the next.
    ///
    /// # Errors
    ///
    /// Fails when the TLS library refuses the keys.
    ///
    /// # Panics
    ///
    /// Must be called within a tokio runtime with time and I/O.
    pub fn start(settings: ClientSettings) -> Result<Self, rustls::Error> {
        let ClientSettings { config, id, keys, replicas, parameters } = settings;
        let signing_key = SigningKey::from_seed(Zeroizing::new(*keys.signing_seed()));
        let mut machine =
            pbft::Client::new(Arc::clone(&config), id, signing_key, session_now(), parameters);
        for replica in &replicas {
            machine.set_reachable(Time::ZERO, replica.id, false);
        }
        let metrics = ClientMetrics::new(replicas.iter().map(|replica| replica.id));
        let wake = Arc::new(Notify::new());
        let links = metrics.replicas.iter().map(|(replica, counters)| {
            let (queue, counters) = (SendQueue::new(QUEUE, WRITE_BYTES_MAX), Arc::clone(counters));
            (*replica, LinkState { queue, connected: AtomicBool::new(false), counters })
        });
        let shared = Arc::new(Shared {
            config,
            started: Instant::now(),
            core: Mutex::new(Core { machine, waiting: BTreeMap::new(), closed: false }),
            replies: FairQueue::new(LANE, Arc::clone(&wake)),
            wake,
            links: links.collect(),
            metrics,
            tap: OnceLock::new(),
        });
        let mut tasks = JoinSet::new();
        for replica in &replicas {
            let counters = &shared.links[&replica.id].counters;
            let dialer = Dialer::new(replica, &keys, Purpose::Client, counters)?;
            tasks.spawn(ReplicaLink::new(&shared, replica.id).keep_up(dialer));
        }
        tasks.spawn(driver::drive(Arc::clone(&shared)));
        Ok(Self { shared, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// Has the cluster execute an operation and returns its result, on which a quorum agreed.
    ///
    /// Dropping the future gives the operation up: it is not sent if it was not sent yet, and may
    /// be executed otherwise.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; [`ClientError::fate`] says whether the operation may have been
    /// executed all the same.
    pub async fn submit(
        &self,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Vec<u8>, ClientError> {
        let pending = Pending::start(&self.shared, |machine| machine.submit(operation))?;
        match self.complete(pending, deadline).await? {
            Completion::Executed(result) => Ok(result),
            Completion::ResultLost => Err(ClientError::ResultLost),
            Completion::Fenced { current } => Err(ClientError::Fenced { current }),
            // A reading is not what an operation that was submitted completes with.
            Completion::Unknown | Completion::Read(_) | Completion::NotAgreed(_) => {
                Err(ClientError::Unknown)
            }
        }
    }

    /// Whether the cluster answers [`Client::query`].
    pub fn reads_in_one_round(&self) -> bool {
        self.shared.config.parameters.one_round_reads
    }

    /// Asks each replica what it reads in its state, without having the operation ordered, and
    /// returns what a quorum shows; replicas answer once they have executed `not_before`. Whatever
    /// was acknowledged before shows in it.
    ///
    /// A service may count revisions; see [`ReadAgain`] for what to do where replicas were caught at
    /// different ones. An operation that is never agreed on is to be [submitted](Self::submit).
    ///
    /// # Errors
    ///
    /// See [`ClientError`]. The operation changes nothing, whatever its fate is said to be.
    pub async fn query(
        &self,
        operation: Operation,
        not_before: SeqNum,
        deadline: Instant,
    ) -> Result<Queried, ClientError> {
        let pending = Pending::start(&self.shared, |machine| machine.read(operation, not_before))?;
        match self.complete(pending, deadline).await? {
            Completion::Read(reading) => Ok(Queried::Agreed(reading)),
            Completion::NotAgreed(again) => Ok(Queried::NotAgreed(again)),
            Completion::Fenced { current } => Err(ClientError::Fenced { current }),
            // A result is not what a query completes with.
            Completion::Unknown | Completion::Executed(_) | Completion::ResultLost => {
                Err(ClientError::Unknown)
            }
        }
    }

    async fn complete(
        &self,
        mut pending: Pending<'_>,
        deadline: Instant,
    ) -> Result<Completion, ClientError> {
        let completion = match timeout_at(deadline, &mut pending.completion).await {
            Ok(Ok(completion)) => completion,
            Ok(Err(_closed)) => return Err(ClientError::Closed { fate: pending.give_up() }),
            Err(_elapsed) => return Err(self.shared.too_late(&mut pending)),
        };
        pending.finished = true;
        self.shared.metrics.operations_completed.increment();
        Ok(completion)
    }

    /// The view that at least one correct replica has reached, as far as their replies told.
    pub fn view(&self) -> View {
        self.shared.lock().machine.view()
    }

    /// The replicas with which there is a connection now.
    pub fn connected(&self) -> Vec<ReplicaId> {
        self.shared.connected().collect()
    }

    /// Operations that were submitted and are not done.
    pub fn unfinished(&self) -> usize {
        self.shared.lock().machine.unfinished()
    }

    /// What this client counts.
    pub fn metrics(&self) -> &ClientMetrics {
        &self.shared.metrics
    }

    /// A copy of every frame that is handled from now on, with the replica that sent it, whether it
    /// was wanted or not; for laboratories, which count them. Whoever asks first gets them, and must
    /// take them: nothing limits how many wait.
    pub fn tap(&self) -> mpsc::UnboundedReceiver<(ReplicaId, Bytes)> {
        // Bounded by the rate at which replicas are read, as long as whoever asked takes them.
        let (sender, receiver) = mpsc::unbounded_channel();
        // A second one is dropped, and its receiver ends at once.
        let _ = self.shared.tap.set(sender);
        receiver
    }

    /// Sends a frame to every replica as it is, whatever it is, and does not wait for an answer; for
    /// laboratories, which flood. As with requests, the oldest that wait give way.
    pub fn send_frame(&self, frame: Vec<u8>) {
        let frame = Bytes::from(frame);
        for link in self.shared.links.values() {
            link.queue.push(frame.clone());
        }
    }

    /// Ends all links and tasks. Whoever still waits gets [`ClientError::Closed`], and so does
    /// whoever submits from now on.
    pub async fn close(&self) {
        let waiting = {
            let mut core = self.shared.lock();
            core.closed = true;
            std::mem::take(&mut core.waiting)
        };
        drop(waiting);
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state machine's time.
    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn connected(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.links
            .iter()
            .filter(|(_, link)| link.connected.load(Ordering::Relaxed))
            .map(|(replica, _)| *replica)
    }

    /// The deadline of an operation has passed.
    fn too_late(&self, pending: &mut Pending<'_>) -> ClientError {
        let fate = pending.give_up();
        self.metrics.operations_timed_out.increment();
        let (reachable, needed) = (self.connected().count(), self.config.quorums.quorum());
        if reachable < needed {
            ClientError::NoQuorum { reachable, needed, fate }
        } else {
            ClientError::Timeout { fate }
        }
    }
}

/// An operation somebody waits for; given up when dropped.
struct Pending<'a> {
    shared: &'a Shared,
    id: OperationId,
    completion: oneshot::Receiver<Completion>,
    /// Done, or given up already.
    finished: bool,
}

impl<'a> Pending<'a> {
    fn start(
        shared: &'a Shared,
        hand_over: impl FnOnce(&mut pbft::Client) -> Result<OperationId, SubmitError>,
    ) -> Result<Self, ClientError> {
        let mut core = shared.lock();
        if core.closed {
            return Err(ClientError::Closed { fate: Fate::NotExecuted });
        }
        let id = hand_over(&mut core.machine)?;
        let (sender, completion) = oneshot::channel();
        core.waiting.insert(id, sender);
        drop(core);
        shared.wake.notify_one();
        Ok(Self { shared, id, completion, finished: false })
    }

    /// Nobody waits any more. Says what may still happen.
    fn give_up(&mut self) -> Fate {
        self.finished = true;
        let mut core = self.shared.lock();
        core.waiting.remove(&self.id);
        if core.machine.cancel(self.id) { Fate::NotExecuted } else { Fate::Unknown }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.give_up();
        }
    }
}

/// A session higher than those of earlier starts, as far as this machine's clock allows; where it
/// does not, the replicas name the one that is open and the state machine takes a later one.
fn session_now() -> Session {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
    Session::new(u64::try_from(micros).unwrap_or(u64::MAX))
}
