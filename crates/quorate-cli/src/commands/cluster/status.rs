//! `quorate status`: each replica in a row, and what the cluster still survives.

use crate::args::cluster::Status;
use crate::failure::Negative;
use crate::render;
use anyhow::{Result, bail};
use pbft::{Config, View};
use quorate_net::identity::SecretKeys;
use quorate_node::admin::{self, NodeStatus, Request, Response};
use quorate_node::cluster::Cluster;
use quorate_node::home::Home;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The cluster as its replicas describe themselves.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) cluster: ClusterRow,
    pub(crate) replicas: Vec<ReplicaRow>,
}

/// What the replicas say together.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterRow {
    pub(crate) replicas: u32,
    pub(crate) f: u32,
    /// The highest view that enough replicas confirm, of those that have been let in; none if nobody
    /// has.
    pub(crate) view: Option<u64>,
    /// The primary of that view.
    pub(crate) primary: Option<u32>,
    /// How many more replicas may become arbitrary without losing safety or progress.
    pub(crate) faults_tolerated_now: u32,
    /// How many more may merely stop without losing progress.
    pub(crate) stops_tolerated_now: u32,
    pub(crate) durability: String,
    /// How many replicas are missing from a quorum.
    #[serde(skip)]
    pub(crate) lacking: u32,
}

/// What one replica says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReplicaRow {
    pub(crate) id: u32,
    pub(crate) addr: String,
    pub(crate) pid: Option<u32>,
    pub(crate) reachable: bool,
    pub(crate) role: &'static str,
    pub(crate) view: Option<u64>,
    pub(crate) active: bool,
    pub(crate) last_executed: Option<u64>,
    pub(crate) stable_checkpoint: Option<u64>,
    pub(crate) checkpoint_digest: Option<String>,
    /// How many numbers it has not executed that another one has.
    pub(crate) behind: Option<u64>,
    /// How it was told to misbehave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behaviour: Option<String>,
    /// The replicas that remember a start of it of which its folder knows nothing, while it is not
    /// let in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accused_by: Vec<u32>,
}

/// A replica has caught up when it is this close to the one furthest ahead: what is in flight
/// while they are asked one after another.
const BEHIND_MAX: u64 = 32;

impl ReplicaRow {
    /// Whether it takes part and is not behind.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.active && self.behind.is_some_and(|behind| behind <= BEHIND_MAX)
    }
}

/// How often the replicas are asked while something is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Asks every replica of a local cluster again and again until something is reached, and returns
/// how long that took; `None` if it took longer than this.
pub(crate) async fn wait_for(
    dir: &Path,
    patience: Duration,
    is_reached: impl Fn(&Report) -> bool,
) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < patience {
        // Asking blocks, for as short as replicas on this machine take to answer.
        let report = tokio::task::block_in_place(|| collect(dir));
        if report.is_ok_and(|report| is_reached(&report)) {
            return Some(began.elapsed());
        }
        sleep(POLL_INTERVAL).await;
    }
    None
}

pub(super) fn run(args: &Status) -> Result<()> {
    refuse_gateway(&args.dir)?;
    let report = collect(&args.dir)?;
    if args.json {
        render::line(format_args!("{}", serde_json::to_string(&report)?))?;
    } else {
        show(&report)?;
        explain(&report);
    }
    if report.replicas.iter().any(|replica| replica.reachable) {
        Ok(())
    } else {
        Err(Negative(nobody_answers(&args.dir)).into())
    }
}

/// Says what stands in the way of the cluster, and what can be done.
fn explain(report: &Report) {
    report.replicas.iter().filter(|row| !row.accused_by.is_empty()).for_each(explain_accusation);
    let lacking = report.cluster.lacking;
    if report.replicas.iter().any(|replica| replica.reachable) && lacking > 0 {
        render::note(format_args!(
            "at least {lacking} more must be up and behave well before anything is agreed on"
        ));
    }
}

/// Says why a replica is not let in, and what can be done.
fn explain_accusation(row: &ReplicaRow) {
    let accusers: Vec<String> = row.accused_by.iter().map(ToString::to_string).collect();
    render::note(format_args!(
        "replica {} is not let in: its data folder knows nothing of a start that these replicas \
         remember: {}; if that stays so while all replicas can be reached, the folder is an old \
         one: restore the latest, or move its data/ away and let it rejoin: quorate replica --rejoin",
        row.id,
        accusers.join(", ")
    ));
}

/// In a gateway's folder there is nobody to ask.
fn refuse_gateway(dir: &Path) -> Result<()> {
    let keys = SecretKeys::load(&Home::new(dir).keys_path());
    if let Ok(keys) = keys
        && super::open_cluster(dir)?.cluster.client_with(&keys.public()).is_some()
    {
        let dir = dir.display();
        bail!(
            "{dir} is the folder of a gateway, which does not know how the replicas are: name the \
             folder of a replica, or of a local cluster, with --dir; `quorate gateway --dir {dir}` \
             runs the gateway"
        );
    }
    Ok(())
}

/// Says what can be done here when no replica answers: that depends on whose folder it is.
fn nobody_answers(dir: &Path) -> String {
    let shown = dir.display();
    if Home::new(dir).keys_path().exists() {
        format!("no replica answers in {shown}; `quorate replica --dir {shown}` starts it")
    } else if dir.join("replica-0").exists() {
        format!("no replica answers; `quorate up --dir {shown}` starts them")
    } else {
        format!("no replica lives in {shown}; name the folder of one with --dir")
    }
}

/// Asks every replica whose folder is here: those of a local cluster, or the one of this folder.
pub(crate) fn collect(dir: &Path) -> Result<Report> {
    let local = super::open_cluster(dir)?;
    let cluster = &local.cluster;
    let own = Home::new(dir);
    let is_one = own.keys_path().exists();
    let mut statuses: Vec<Option<NodeStatus>> = if is_one {
        let own = ask(&own);
        let row = |id| own.clone().filter(|status| status.id == id);
        (0..cluster.config.replica_count()).map(row).collect()
    } else {
        local.replica_homes().map(|home| ask(&home)).collect()
    };
    // A replica that lies about its id is not who it should be.
    for (id, status) in (0..).zip(&mut statuses) {
        status.take_if(|status| status.id != id);
    }
    let seen = statuses.iter().flatten().flat_map(|status| status.connected.clone()).collect();
    Ok(report(cluster, &statuses, if is_one { seen } else { Vec::new() }))
}

/// What the replica that lives in this folder says of itself, if it runs.
pub(crate) fn ask(home: &Home) -> Option<NodeStatus> {
    match admin::ask(&home.admin_path(), &Request::Status {}, PATIENCE) {
        Ok(Response::Status(status)) => Some(status),
        _ => None,
    }
}

/// `seen` are replicas known to be up by those that answered.
fn report(cluster: &Cluster, statuses: &[Option<NodeStatus>], seen: Vec<u32>) -> Report {
    let config = &cluster.config;
    let (quorums, f) = (config.quorums, config.quorums.fault_bound());
    let view = common_view(statuses, quorums.weak());
    let primary = view.map(|view| config.primary(View::new(view)).get());
    let highest = statuses.iter().flatten().map(|status| status.last_executed).max();
    let rows = cluster.replicas.iter().zip(statuses);
    let replicas: Vec<ReplicaRow> = rows
        .map(|(address, status)| {
            let id = address.id.get();
            let known = status.as_ref();
            let behind = known.zip(highest).map(|(status, highest)| highest - status.last_executed);
            ReplicaRow {
                id,
                addr: address.address.clone(),
                pid: known.map(|status| status.pid),
                reachable: known.is_some() || seen.contains(&id),
                role: known.map_or("unknown", |status| role(config, status)),
                view: known.map(|status| status.view),
                active: known.is_some_and(|status| status.active),
                last_executed: known.map(|status| status.last_executed),
                stable_checkpoint: known.map(|status| status.stable_checkpoint),
                checkpoint_digest: known.map(|status| status.checkpoint_digest.clone()),
                behind,
                behaviour: known.and_then(|status| status.behaviour.clone()),
                accused_by: known.map(|status| status.accused_by.clone()).unwrap_or_default(),
            }
        })
        .collect();
    let count = |is: &dyn Fn(&ReplicaRow) -> bool| {
        u32::try_from(replicas.iter().filter(|row| is(row)).count()).unwrap_or(u32::MAX)
    };
    let liars = count(&|row| row.behaviour.is_some());
    let rejoins = |id: u32| statuses.iter().flatten().any(|s| s.id == id && s.amnesiac);
    let is_well = |row: &ReplicaRow| row.behaviour.is_none() && row.accused_by.is_empty();
    let healthy = count(&|row| row.reachable && is_well(row) && !rejoins(row.id));
    let quorum = u32::try_from(quorums.quorum()).unwrap_or(u32::MAX);
    let stops = healthy.saturating_sub(quorum);
    Report {
        cluster: ClusterRow {
            replicas: config.replica_count(),
            f,
            view,
            primary,
            faults_tolerated_now: f.saturating_sub(liars).min(stops),
            stops_tolerated_now: stops,
            durability: cluster.durability.to_string(),
            lacking: quorum.saturating_sub(healthy),
        },
        replicas,
    }
}

/// The highest view that a weak quorum of those that have been let in has reached, or all of them if
/// they are fewer, as in the folder of one replica; fewer could make it up. Whoever has not been let
/// in knows only what was once.
fn common_view(statuses: &[Option<NodeStatus>], weak: usize) -> Option<u64> {
    let let_in = statuses.iter().flatten().filter(|status| status.admitted);
    let mut views: Vec<u64> = let_in.map(|status| status.view).collect();
    views.sort_unstable_by(|a, b| b.cmp(a));
    let weak = weak.min(views.len());
    views.get(weak.checked_sub(1)?).copied()
}

fn role(config: &Config, status: &NodeStatus) -> &'static str {
    match status {
        status if status.amnesiac => "rejoining",
        status if status.fetching.is_some() => "fetching state",
        status if !status.admitted && !status.accused_by.is_empty() => "not let in",
        status if !status.admitted => "starting",
        status if !status.active => "changing view",
        status if config.primary(View::new(status.view)).get() == status.id => "primary",
        _ => "backup",
    }
}

fn show(report: &Report) -> Result<()> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows: Vec<Vec<String>> = report
        .replicas
        .iter()
        .map(|row| {
            let digest = row.checkpoint_digest.as_deref().and_then(|digest| digest.get(..8));
            let role = match &row.behaviour {
                Some(behaviour) => format!("{}, told to lie: {behaviour}", row.role),
                None => row.role.to_owned(),
            };
            vec![
                row.id.to_string(),
                row.addr.clone(),
                number(row.pid.map(u64::from)),
                if row.reachable { "yes" } else { "no" }.to_owned(),
                number(row.view),
                number(row.last_executed),
                number(row.stable_checkpoint),
                digest.unwrap_or("-").to_owned(),
                number(row.behind),
                role,
            ]
        })
        .collect();
    let headings =
        ["ID", "ADDRESS", "PID", "UP", "VIEW", "EXECUTED", "STABLE", "DIGEST", "BEHIND", "ROLE"];
    render::table(&headings, &rows)?;
    let ClusterRow {
        replicas, f, view, primary, faults_tolerated_now, stops_tolerated_now, ..
    } = &report.cluster;
    let view = view.zip(*primary).map_or_else(
        || "view and primary unknown".to_owned(),
        |(view, primary)| format!("view {view}, primary {primary}"),
    );
    render::line(format_args!(
        "{replicas} replicas, f = {f}, durability {}; {view}; survives {faults_tolerated_now} more \
         faults, or {stops_tolerated_now} more stops",
        report.cluster.durability
    ))
}
