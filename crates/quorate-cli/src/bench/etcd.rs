//! A real etcd of three members, which tolerates crashes and no lies, for comparison.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::Path;
use std::process::{Command as Probe, Stdio};
use tokio::process::{Child, Command};

/// The members of an etcd that tolerates one crash.
const MEMBERS: usize = 3;

/// Running members.
pub(super) struct Etcd {
    members: Vec<Child>,
    /// Where each serves clients.
    pub(super) endpoints: Vec<String>,
}

/// Whether there is an etcd on this machine.
pub(super) fn is_installed() -> bool {
    let mut probe = Probe::new("etcd");
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

impl Etcd {
    /// Starts them with what they remember in `dir`. They sync, as they do by default.
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        let ports = quorate_net::ports::reserve(2 * MEMBERS as u32).context("no free ports")?;
        let url = |place: usize| ports.get(place).map(|address| format!("http://{address}"));
        let named: Vec<(String, String, String)> = (0..MEMBERS)
            .filter_map(|id| Some((format!("m{id}"), url(2 * id)?, url(2 * id + 1)?)))
            .collect();
        let cluster: Vec<String> =
            named.iter().map(|(name, _, peers)| format!("{name}={peers}")).collect();
        let cluster = cluster.join(",");
        let mut members = Vec::new();
        for (name, clients, peers) in &named {
            let folder = dir.join(name);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let log = File::create(folder.join("log")).context("cannot write etcd's log")?;
            let member = Command::new("etcd")
                .args(["--name", name, "--initial-cluster", &cluster])
                .args(["--initial-cluster-state", "new", "--log-level", "error"])
                .args(["--listen-client-urls", clients, "--advertise-client-urls", clients])
                .args(["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers])
                .arg("--data-dir")
                .arg(folder.join("data"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .process_group(0)
                .kill_on_drop(true)
                .spawn();
            members.push(member.context("cannot start etcd")?);
        }
        let endpoints: Vec<String> = named.into_iter().map(|(_, clients, _)| clients).collect();
        for endpoint in &endpoints {
            super::kv::wait_until_served(endpoint).await.context("etcd")?;
        }
        let mut etcd = Self { members, endpoints };
        for member in &mut etcd.members {
            if let Some(status) = member.try_wait()? {
                bail!("a member of etcd ended: {status}; see the logs in {}", dir.display());
            }
        }
        Ok(etcd)
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        for member in &mut self.members {
            member.kill().await.context("cannot end etcd")?;
        }
        Ok(())
    }
}
