//! What can be asked of the measurements.

use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate bench throughput\n  \
    quorate bench micro --json | jq .rows\n  \
    quorate bench micro --only read-only --span 30s\n  \
    quorate bench --all --out bench\n\n\
    Times on a machine are worth little by themselves: everything is shown beside what an echo\n\
    server without replication does in the same run.")]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum, required_unless_present = "all")]
    pub(crate) suites: Vec<Suite>,
    /// Measure everything
    #[arg(long, conflicts_with = "suites")]
    pub(crate) all: bool,
    /// Where the page and the numbers are written, and on whose disk durable replicas write
    #[arg(long, default_value = "bench-results")]
    pub(crate) out: PathBuf,
    /// How long each point is measured
    #[arg(long, default_value = "3s", value_parser = super::parse_duration)]
    pub(crate) span: Duration,
    /// How often each point is measured; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) repeats: u32,
    /// The most clients of a curve; a replica serves 1024 connections of clients at a time
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) clients_max: u32,
    /// How many keys of 256 bytes, with their values, are put into the store to measure the state;
    /// the goals are about a million
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) keys: u64,
    /// Measure only what has this text in its name, as the table shows it; `state` is measured as a
    /// whole
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Print everything as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What belongs together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(crate) enum Suite {
    /// One client: latency with 0/0, 4/0 and 0/4 kilobytes, as in the papers
    Micro,
    /// Many clients: operations a second
    Throughput,
    /// The etcd API through a gateway, beside a real etcd of three members
    Kv,
    /// 4, 7, 10 and 13 replicas: what more faults tolerated cost
    Scale,
    /// Replicas, and a client, that are faulty: what the others still do
    Faults,
    /// Many clients, or one, with each optimization turned off: what it saves
    Ablation,
    /// The store with a million keys: memory, puts, checkpoints, a transfer, a restart
    State,
}

impl Suite {
    /// Every one, in the order in which they are measured.
    pub(crate) const ALL: [Self; 7] = [
        Self::Micro,
        Self::Throughput,
        Self::Kv,
        Self::Scale,
        Self::Faults,
        Self::Ablation,
        Self::State,
    ];

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Throughput => "throughput",
            Self::Kv => "kv",
            Self::Scale => "scale",
            Self::Faults => "faults",
            Self::Ablation => "ablation",
            Self::State => "state",
        }
    }
}
