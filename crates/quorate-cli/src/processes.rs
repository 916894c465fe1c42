//! The processes of a local cluster: this program again, once for each replica and once for the
//! gateway, tied to the process that starts them.

use anyhow::{Context, Result, bail};
use quorate_node::home::Home;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a process may take to end when it is told to, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a process may take to say that it listens. Long enough for a journal to be read.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running process of the cluster.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Its end tells the process to stop, whatever becomes of this one. Kept apart, because
    /// waiting for a child would close it.
    _stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    log: PathBuf,
}

impl Process {
    /// Starts the replica that lives in `home`; its log goes to the file `log` there.
    pub(crate) fn replica(home: &Home) -> Result<Self> {
        Self::replica_with(home, &[])
    }

    /// As [`Process::replica`], with more arguments.
    pub(crate) fn replica_with(home: &Home, more: &[&str]) -> Result<Self> {
        Self::start(home, &[&["replica"], more].concat())
    }

    /// Starts the gateway that lives in `home`.
    pub(crate) fn gateway(home: &Home, listen: &str, more: &[&str]) -> Result<Self> {
        let arguments = [&["gateway", "--listen", listen], more].concat();
        Self::start(home, &arguments)
    }

    fn start(home: &Home, arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let log = home.path().join("log");
        let opened = OpenOptions::new().create(true).append(true).open(&log);
        let log_file = opened.with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .arg("--tied")
            .arg("--dir")
            .arg(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // Ctrl-C is for this process, which then ends the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Ok(Self { child, _stdin: stdin, stdout, log })
    }

    /// Waits until the process says where it listens, and returns that.
    pub(crate) async fn listening(&mut self) -> Result<String> {
        let Some(stdout) = self.stdout.take() else { bail!("this was asked before") };
        let mut lines = BufReader::new(stdout).lines();
        match timeout(START_TIMEOUT, lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line.rsplit(' ').next().unwrap_or_default().to_owned()),
            Ok(_ended) => {
                let reason = self.reason().await;
                bail!("{reason}")
            }
            Err(_elapsed) => bail!("a process did not start in time; see {}", self.log.display()),
        }
    }

    /// Waits until the process has ended. Cancellation safe.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Suspends the process.
    pub(crate) fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a suspended process go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the process at once, as SIGKILL does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Tells the process to stop, and makes sure that it does.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            // It may have ended in this moment; then there is nobody to tell.
            let _ = kill_process(pid, signal);
        }
    }

    /// The last thing an ended process said. One that was killed did not say why.
    pub(crate) async fn reason(&mut self) -> String {
        let ended = timeout(STOP_TIMEOUT, self.child.wait()).await;
        let was_killed = matches!(ended, Ok(Ok(status)) if status.code().is_none());
        let last = if was_killed { None } else { last_line(&self.log) }.unwrap_or_default();
        if last.is_empty() { format!("see {}", self.log.display()) } else { last }
    }
}

/// So much of the end of a log is looked at, in bytes.
const TAIL_BYTES: u64 = 8 << 10;

/// The last line a process wrote, without the program's name in front.
fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.seek(SeekFrom::End(0)).ok()?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let last = tail.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(last.strip_prefix("quorate: ").unwrap_or(last).to_owned())
}
