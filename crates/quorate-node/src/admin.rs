//! The admin endpoint of a replica: a Unix socket in its folder, for its owner alone. One JSON
//! object a line asks, one answers.

mod server;

pub use server::BindError;
pub(crate) use server::serve;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a replica can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// How it is.
    Status {},
    /// What it counted.
    Counters {},
    /// Behave like this from now on. Refused unless the cluster is a laboratory.
    Break {
        /// The behaviour, as `quorate-adversary` spells it.
        behaviour: String,
        /// For so long; for ever if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
        /// Decides what it does at random.
        #[serde(default)]
        seed: u64,
    },
    /// Behave well again.
    Heal {},
}

/// What a replica answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Response {
    /// How it is.
    Status(NodeStatus),
    /// What it counted.
    Counters {
        /// By name.
        counters: BTreeMap<String, u64>,
    },
    /// Done.
    Done {},
    /// Not done.
    Refused {
        /// Why not.
        reason: String,
    },
}

/// How a replica is, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which replica.
    pub id: u32,
    /// Its process.
    pub pid: u32,
    /// The processor time that the process has taken, in microseconds.
    #[serde(default)]
    pub processor_us: u64,
    /// Whether its peers let it in after its start.
    pub admitted: bool,
    /// The peers that remember a start of which its data folder knows nothing, while it is not let
    /// in.
    #[serde(default)]
    pub accused_by: Vec<u32>,
    /// Whether it lost its memory and rejoins: until then it follows, and promises nothing.
    pub amnesiac: bool,
    /// Its view.
    pub view: u64,
    /// Whether it is active in it.
    pub active: bool,
    /// The last number executed.
    pub last_executed: u64,
    /// The number of its last stable checkpoint.
    pub stable_checkpoint: u64,
    /// The state's digest there.
    pub checkpoint_digest: String,
    /// The digest of the history up to there.
    pub history_digest: String,
    /// The checkpoint of its last durable snapshot.
    pub durable_snapshot: u64,
    /// The highest number it knows to be assigned or committed.
    pub highest_known: u64,
    /// The checkpoint it is fetching.
    pub fetching: Option<u64>,
    /// Requests that wait to be executed.
    pub waiting_requests: usize,
    /// Messages that wait for the disk.
    pub messages_held: usize,
    /// The peers it has links with.
    pub connected: Vec<u32>,
    /// How it misbehaves, if it was told to.
    pub behaviour: Option<String>,
    /// How many views it has entered since it started.
    pub views_entered: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the exchange broke.
    #[error("cannot ask the replica at {path}: {source}; is it running?")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The answer is not one.
    #[error("{path} answered something else than a replica does: {message}")]
    Malformed {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// No line is longer, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Asks a replica on this machine.
///
/// # Errors
/// If it does not answer within `patience`.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> Result<Response, AskError> {
    let failed = |source| AskError::Io { path: socket.to_owned(), source };
    let malformed = |error: serde_json::Error| AskError::Malformed {
        path: socket.to_owned(),
        message: error.to_string(),
    };
    let exchange = || -> io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut line = serde_json::to_vec(request).map_err(io::Error::other)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer)?;
        if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    };
    serde_json::from_str(&exchange().map_err(failed)?).map_err(malformed)
}
