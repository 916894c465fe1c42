//! A local cluster under `quorate up`, and an etcd client.

use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// Long enough for anything that happens at all; nothing is decided by how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn quorate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    quorate().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `probe` has an answer.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A process that is killed when the test ends, however it ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Open as long as the process runs: a program whose output nobody can read any more stops.
    stdout: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn of(child: Child) -> Self {
        Self { child, stdout: None }
    }

    /// Starts a process and reads the address at the end of the first line it prints.
    pub(crate) fn start(arguments: &[&str], log: &Path) -> (Self, String) {
        let child = quorate()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut running = Self::of(child);
        let mut line = String::new();
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        running.stdout = Some(stdout);
        let said = || fs::read_to_string(log).unwrap_or_default();
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(address.contains(':'), "{arguments:?} said {line:?} and {}", said());
        (running, address)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(self.child.id(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Told to stop, so that what it started stops as well; and killed, should that fail.
            self.signal(rustix::process::Signal::TERM);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::yield_now();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal; the process may have gone meanwhile.
pub(crate) fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // A process that has ended and waits for its parent is not alive.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

/// `quorate up` in a folder of its own.
pub(crate) struct Up {
    pub(crate) folder: TempDir,
    pub(crate) up: Running,
    pub(crate) etcd: Etcd,
    /// Where the gateway listens.
    pub(crate) endpoint: String,
}

impl Up {
    pub(crate) fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("c");
        let dir = dir.to_str().unwrap();
        let arguments = [&["up", "--dir", dir, "--listen", "127.0.0.1:0"], more].concat();
        let (up, endpoint) = Running::start(&arguments, &folder.path().join("log"));
        let etcd = Etcd::connect(&endpoint);
        let up = Self { folder, up, etcd, endpoint };
        eventually("the cluster serves", || up.etcd.put("ready", "yes"));
        up
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("c")
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        let output = run(&["status", "--json", "--dir", self.dir().to_str().unwrap()]);
        // It is 1 while no replica answers.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The processes of all replicas, once they all answer.
    pub(crate) fn pids(&self) -> Vec<u32> {
        eventually("all replicas answer", || {
            let status = self.status();
            let rows = status["replicas"].as_array().unwrap();
            rows.iter()
                .map(|row| row["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()))
                .collect()
        })
    }

    /// Waits until all replicas take part and none is far behind.
    pub(crate) fn wait_until_whole(&self) -> Value {
        eventually("all replicas take part", || {
            let status = self.status();
            let is_well = |row: &Value| {
                row["active"] == true && row["behind"].as_u64().is_some_and(|behind| behind <= 32)
            };
            let rows = status["replicas"].as_array().unwrap();
            rows.iter().all(is_well).then_some(status)
        })
    }
}

/// What the cluster said and how it stands is lost with its folder, and a failed test is not
/// understood without it.
#[expect(clippy::print_stderr, reason = "it belongs to the failure")]
impl Drop for Up {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = run(&["status", "--dir", self.dir().to_str().unwrap()]);
            eprintln!("the cluster said:\n{}", self.said());
            eprintln!("its status:\n{}", text(&status.stdout));
        }
    }
}

/// A client of the etcd interface.
pub(crate) struct Etcd {
    runtime: Runtime,
    kv: KvClient<Channel>,
}

impl Etcd {
    pub(crate) fn connect(endpoint: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{endpoint}")).unwrap();
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { kv: KvClient::new(channel), runtime }
    }

    /// `None` if it was not acknowledged.
    pub(crate) fn put(&self, key: &str, value: &str) -> Option<()> {
        let request = pb::PutRequest { key: key.into(), value: value.into(), ..Default::default() };
        let mut kv = self.kv.clone();
        self.runtime.block_on(kv.put(request)).ok().map(|_| ())
    }

    /// Outer `None` if there was no answer.
    pub(crate) fn get(&self, key: &str) -> Option<Option<String>> {
        let request = pb::RangeRequest { key: key.into(), ..Default::default() };
        let mut kv = self.kv.clone();
        let answer = self.runtime.block_on(kv.range(request)).ok()?.into_inner();
        Some(answer.kvs.into_iter().next().map(|kv| text(&kv.value)))
    }
}
