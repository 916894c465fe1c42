//! What can be asked of a cluster.

use super::parse_duration;
use clap::{Args as ClapArgs, Subcommand};
use quorate_adversary::Behaviour;
use quorate_node::cluster::Fingerprint;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Prove it in a minute: real processes, a lying primary, a killed replica, a verdict
    Demo(Demo),
    /// Run a local cluster until Ctrl-C, one process a replica
    Up(Up),
    /// Make one member's keys and its public card
    Keygen(Keygen),
    /// Put a cluster together from its members' cards, or make a whole local one
    Init(Init),
    /// Check a piece of evidence offline
    Verify(Verify),
    /// Run one replica in the foreground
    Replica(Replica),
    /// Run one gateway in the foreground
    Gateway(Gateway),
    /// Show how each replica is, and the cluster
    Status(Status),
    /// Make a replica of a laboratory cluster misbehave
    Break(Break),
    /// Make a misbehaving replica behave well again
    Heal(Heal),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate demo\n  \
    quorate demo --replicas 7 --seed 3\n  \
    quorate demo --beyond-budget      # f+1 liars: must end with linearizable: no, exit code 1\n  \
    quorate demo --json | jq .verdict")]
pub(crate) struct Demo {
    /// How long the load runs
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// How many replicas
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(4..=31))]
    pub(crate) replicas: u32,
    /// Keep everything in this folder; by default it is a temporary one
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Decides fault times, victims and workload
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Let f+1 replicas collude, which is more than any cluster tolerates
    #[arg(long)]
    pub(crate) beyond_budget: bool,
    /// Print the verdict as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate up\n  \
    quorate up --dir lab --lab --listen 127.0.0.1:0")]
pub(crate) struct Up {
    /// How many replicas, when the cluster is made
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=31))]
    pub(crate) replicas: Option<u32>,
    /// The cluster's folder; made on first use
    #[arg(long, default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
    /// Where the gateway listens for etcd clients; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:2379")]
    pub(crate) listen: SocketAddr,
    /// Make a laboratory, whose replicas can be told to lie
    #[arg(long)]
    pub(crate) lab: bool,
    /// Leave a replica that dies dead
    #[arg(long)]
    pub(crate) no_restart: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate keygen --dir alice --addr alice.example:7000\n  \
    quorate keygen --dir gateway --gateway\n\n\
    Hand out card.toml. Everything else in the folder stays where it is.")]
pub(crate) struct Keygen {
    /// The member's folder
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where the others will reach this replica, HOST:PORT
    #[arg(long, required_unless_present = "gateway", conflicts_with = "gateway")]
    pub(crate) addr: Option<String>,
    /// Where it listens, if that differs, for instance 0.0.0.0:7000
    #[arg(long, requires = "addr")]
    pub(crate) listen: Option<SocketAddr>,
    /// Make the keys of a gateway instead
    #[arg(long)]
    pub(crate) gateway: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate init --dir cluster --card a/card.toml --card b/card.toml --card c/card.toml \\\n      \
    --card d/card.toml --card gateway/card.toml\n  \
    quorate init --dir cluster --local 4\n\n\
    Give cluster.toml to every member. Each compares the fingerprint with the others and\n\
    confirms it once: quorate replica --dir DIR --confirm FINGERPRINT")]
pub(crate) struct Init {
    /// Where cluster.toml is written; with --local, everything
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// A member's card; replicas and gateways are numbered in this order
    #[arg(long = "card", required_unless_present = "local", conflicts_with = "local")]
    pub(crate) cards: Vec<PathBuf>,
    /// Make so many replicas and a gateway here, with all keys, on free loopback ports
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=31))]
    pub(crate) local: Option<u32>,
    /// What people call the cluster
    #[arg(long, default_value = "quorate")]
    pub(crate) name: String,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
    quorate verify quorate-cluster/replica-1/evidence/FILE --cluster cluster.toml")]
pub(crate) struct Verify {
    /// The file of evidence
    pub(crate) file: PathBuf,
    /// The public file of the cluster it is about
    #[arg(long)]
    pub(crate) cluster: PathBuf,
    /// Print the conviction as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate replica --dir alice --confirm 3f2a-91c0-…   # once, after comparing it\n  \
    quorate replica --dir alice\n  \
    quorate replica --dir alice --rejoin                # its data folder was lost or rolled back\n  \
    quorate replica --dir alice --record-inputs alice/recordings")]
pub(crate) struct Replica {
    /// The replica's folder
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Confirm that cluster.toml has this fingerprint
    #[arg(long)]
    pub(crate) confirm: Option<Fingerprint>,
    /// Come back without the memory that was lost: follow the others with an empty one, which is
    /// kept beside what is left of the old, and vote again only when that can contradict nothing
    #[arg(long)]
    pub(crate) rejoin: bool,
    /// Record every input into a new file in this folder, for `quorate lab replay`. It holds what
    /// clients write. No recording stops the replica: one that cannot begin or go on ends with a
    /// warning. The recordings in the folder take at most 4 GiB together and leave 1 GiB of the
    /// disk free; none is deleted
    #[arg(long, value_name = "FOLDER")]
    pub(crate) record_inputs: Option<PathBuf>,
    /// End when standard input ends, so that no replica outlives who started it
    #[arg(long, hide = true)]
    pub(crate) tied: bool,
    /// Misbehave like this from the first message on; in a laboratory only
    #[arg(long, hide = true)]
    pub(crate) behave: Option<Behaviour>,
    /// Decides what is done at random then
    #[arg(long, hide = true, requires = "behave", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Replicate the service that does nothing as well; in a laboratory only
    #[arg(long, hide = true)]
    pub(crate) null_service: bool,
    /// Write down every message and event in this new file; in a laboratory only
    #[arg(long, hide = true)]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate gateway --dir gateway --confirm 3f2a-91c0-…   # once, after comparing it\n  \
    quorate gateway --dir gateway --listen 127.0.0.1:2379")]
pub(crate) struct Gateway {
    /// The gateway's folder
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where to listen for etcd clients
    #[arg(long, default_value = "127.0.0.1:2379")]
    pub(crate) listen: SocketAddr,
    /// Let other machines reach it, without encryption or passwords
    #[arg(long)]
    pub(crate) expose: bool,
    /// Confirm that cluster.toml has this fingerprint
    #[arg(long)]
    pub(crate) confirm: Option<Fingerprint>,
    /// End when standard input ends, so that no gateway outlives who started it
    #[arg(long, hide = true)]
    pub(crate) tied: bool,
    /// Believe f+1 equal answers instead of a quorum; in a laboratory only
    #[arg(long, hide = true)]
    pub(crate) believe_weak_quorum: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate status\n  \
    quorate status --dir alice\n  \
    quorate status --json | jq .cluster")]
pub(crate) struct Status {
    /// The folder of a local cluster, or of one replica
    #[arg(long, default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = format!("Behaviours, with the values their parameters take:\n{}\n\n\
    Examples:\n  \
    quorate break 0 equivocating_primary\n  \
    quorate break 2 slow_nodes:delay=500ms,where=all --for 10s", Behaviour::list()))]
pub(crate) struct Break {
    /// Which replica
    pub(crate) id: u32,
    /// How it misbehaves; one of the behaviours below
    pub(crate) behaviour: Behaviour,
    /// For how long; for ever if absent
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) span: Option<Duration>,
    /// The folder of the local cluster
    #[arg(long, default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
    quorate heal 0")]
pub(crate) struct Heal {
    /// Which replica
    pub(crate) id: u32,
    /// The folder of the local cluster
    #[arg(long, default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
}

/// Where a local cluster lives unless told otherwise.
const DEFAULT_DIR: &str = "quorate-cluster";
