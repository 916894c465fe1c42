//! A running replica, and its threads:
//!
//! - `core`: the protocol, in the form of [`quorate_replica::Host`], and the links between
//!   replicas, on one single-threaded runtime, because a hand-off between threads costs as much as
//!   a message;
//! - `outer`: accepts connections, serves clients' sockets and the admin endpoint;
//! - `journal`: writes records, many with one sync;
//! - `snapshot`, `hash`, `evidence`, `record`: what may take long;
//! - `verify`: checks signatures when more than one message waits, those of replicas and those of
//!   clients apart, so that replicas never wait behind clients.
//!
//! The core never blocks on any of them: what it hands out goes into a `WorkQueue`, what comes
//! back into a channel, and while the disk is behind it takes in no new messages.

mod checker;
mod clock;
mod core;
mod counters;
mod disk;
pub mod evidence;
pub mod laboratory;
mod links;
mod memory;
mod outer;
mod recorder;
mod verifier;

pub use clock::processor_time;
pub use quorate_replica::{HaltCause, Services};

use crate::admin::{BindError, Request, Response};
use crate::home::{Home, HomeError, Membership};
use crate::work_queue::WorkQueue;
use checker::Checker;
use core::Ground;
use laboratory::Laboratory;
use memory::{Memory, Opened};
use pbft::ReplicaId;
use quorate_net::ListenError;
use quorate_replica::{BackendError, FolderError, StateError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// What a replica is started with.
pub struct NodeConfig {
    /// Its folder.
    pub home: Home,
    /// What is replicated.
    pub services: Services,
    /// How a service's result is falsified, should this replica be told to lie.
    pub forge: fn(&[u8]) -> Vec<u8>,
    /// Whether its memory is lost, so that it has to rejoin with a new one.
    pub rejoin: bool,
    /// What a laboratory does to it; anywhere else it does not start with this.
    pub laboratory: Option<Laboratory>,
    /// The folder into which this start's inputs are recorded, if they are.
    pub recordings: Option<PathBuf>,
}

impl NodeConfig {
    /// A replica of these services, in the folder `home`.
    pub fn new(home: Home, services: Services) -> Self {
        Self {
            home,
            services,
            forge: quorate_adversary::flip_last_byte,
            rejoin: false,
            laboratory: None,
            recordings: None,
        }
    }
}

/// A running replica. Dropping it stops the replica without waiting.
pub struct Node {
    id: ReplicaId,
    address: std::net::SocketAddr,
    control: Control,
    ended: oneshot::Receiver<Ended>,
    /// The protocol thread stops once this is dropped.
    alive: oneshot::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

/// How a replica ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// It stopped for good, and has noted why in its folder.
    Halted(HaltCause),
    /// One of its threads failed, which is a fault of this program.
    Failed,
}

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It is to misbehave or to be watched, and its cluster is no laboratory.
    #[error("only a replica of a laboratory misbehaves or is watched, and this cluster is none")]
    NotALaboratory,
    /// Its memory cannot be opened.
    #[error("{path}: {source}")]
    Backend {
        /// The folder of the memory.
        path: PathBuf,
        /// Why.
        source: BackendError,
    },
    /// Its memory cannot be used.
    #[error("{path}: {source}{}", remedy(.source))]
    Folder {
        /// The folder of the memory.
        path: PathBuf,
        /// Why.
        source: FolderError,
    },
    /// It is told to rejoin, and has no reason to.
    #[error(
        "{path} holds this replica's memory, whole as far as can be seen here: start it without \
         --rejoin. If other replicas remember more than this folder does, it stops and says so, \
         and may rejoin then"
    )]
    NotLost {
        /// The folder of the memory.
        path: PathBuf,
    },
    /// Its state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It cannot offer its admin endpoint.
    #[error(transparent)]
    Admin(#[from] BindError),
    /// The TLS library refused the keys.
    #[error("cannot use the link key: {0}")]
    Tls(#[from] rustls::Error),
    /// The system gave no thread, event queue or randomness.
    #[error("the operating system refused what a replica needs: {0}")]
    System(#[from] std::io::Error),
}

/// What helps when a memory is lost.
fn remedy(error: &FolderError) -> &'static str {
    if error.is_loss() {
        "; restore the original folder, or let the replica rejoin without one: quorate replica \
         --rejoin"
    } else {
        ""
    }
}

/// Commands that wait for the protocol thread.
const COMMAND_COUNT_MAX: usize = 16;

/// Bytes of records that wait for the journal; above it no new messages are taken in.
const JOURNAL_QUEUE_BYTES_MAX: usize = 32 << 20;

impl Node {
    /// Starts a replica and returns when it listens. Its memory is read and executed again first.
    ///
    /// # Errors
    /// See [`NodeError`]; each says what to do.
    pub fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let NodeConfig { home, services, forge, rejoin, laboratory, recordings } = config;
        let membership = home.membership()?;
        let (id, signing_key) = (home.replica(&membership)?, membership.signing_key());
        let Membership { cluster, keys } = membership;
        if laboratory.is_some() && !cluster.lab {
            return Err(NodeError::NotALaboratory);
        }
        let listen = match home.listen()? {
            Some(listen) => listen,
            None => cluster.address(id).unwrap_or_default().to_owned(),
        };
        let open = if rejoin { memory::open_to_rejoin } else { memory::open };
        let opened = open(&home, &cluster, id)?;
        let (commands, received) = mpsc::channel(COMMAND_COUNT_MAX);
        let control = Control { commands };
        let checker = Arc::new(Checker::new(Arc::clone(&cluster.config), cluster.together.verify));
        let outer = outer::start(outer::Settings {
            listen,
            keys: keys.clone(),
            cluster: cluster.clone(),
            id,
            admin: home.admin_path(),
            control: control.clone(),
            checker: Arc::clone(&checker),
        })?;
        let address = outer.address;
        let (ended_sender, ended) = oneshot::channel();
        let (alive, owner) = oneshot::channel();
        let (started_sender, started) = sync_mpsc::channel();
        let ground = Ground {
            home,
            cluster,
            id,
            signing_key,
            keys,
            forge,
            laboratory: laboratory.unwrap_or_default(),
            recordings,
            services,
            opened,
            commands: received,
            owner,
            checker,
            outer: outer.ends,
        };
        let core = std::thread::Builder::new().name("core".to_owned()).spawn(move || {
            // The other end is gone only when nobody wants to know.
            let _ = ended_sender.send(core::run(ground, &started_sender));
        })?;
        let threads = vec![outer.thread, core];
        let ended_early = |_| Err(std::io::Error::other("a thread ended while starting").into());
        if let Err(error) = started.recv().unwrap_or_else(ended_early) {
            join(threads);
            return Err(error);
        }
        Ok(Self { id, address, control, ended, alive, threads })
    }

    /// Which replica this is.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// A handle for questions and commands.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the replica has ended by itself. Cancellation safe.
    pub async fn ended(&mut self) -> Ended {
        (&mut self.ended).await.unwrap_or(Ended::Failed)
    }

    /// Stops the replica: no more messages are taken in, what was handed to the journal becomes
    /// durable. Blocks until that is done.
    pub fn stop(self) {
        let Self { alive, threads, .. } = self;
        drop(alive);
        join(threads);
    }
}

/// Blocks until the threads are gone.
fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the replica panicked");
        }
    }
}

/// Asks and commands a running replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

/// What the protocol thread is told by its owner.
#[derive(Debug)]
enum Command {
    Ask(Request, oneshot::Sender<Response>),
    Stop,
}

impl Control {
    /// Asks the replica what its admin endpoint can be asked; `None` if it has ended.
    pub async fn ask(&self, request: Request) -> Option<Response> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Ask(request, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Tells the replica to stop; [`Node::ended`] says when it has.
    pub async fn stop(&self) {
        // Fails only if the replica has already ended.
        let _ = self.commands.send(Command::Stop).await;
    }
}
