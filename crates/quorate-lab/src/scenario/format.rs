//! What a scenario file may contain, and where in the file each part stands.

use super::span::{At, Bandwidth, Count, Share, Time};
use crate::world::ClientLie;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use std::fmt;
use toml::Spanned;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Looked at before anything else; here so that it cannot be left out.
    #[serde(rename = "format")]
    pub(super) _format: u32,
    pub(super) title: String,
    #[serde(default)]
    pub(super) about: String,
    #[serde(default = "one")]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) beyond_budget: bool,
    pub(super) heals_at: Option<Spanned<Time>>,
    #[serde(default)]
    pub(super) cluster: Cluster,
    #[serde(default)]
    pub(super) client: Client,
    #[serde(default)]
    pub(super) workload: Workload,
    #[serde(default)]
    pub(super) network: Network,
    #[serde(default)]
    pub(super) disk: Disk,
    pub(super) processor: Option<Processor>,
    pub(super) start: Vec<Start>,
    #[serde(default)]
    pub(super) event: Vec<Event>,
    #[serde(default)]
    pub(super) expect: Expect,
}

fn one() -> u64 {
    1
}

/// Periods, limits and timeouts of the replicas.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) checkpoint_period: Option<Spanned<u64>>,
    pub(super) log_window: Option<Spanned<u64>>,
    pub(super) instances_in_flight: Option<Spanned<u64>>,
    pub(super) batch_requests: Option<Spanned<u64>>,
    pub(super) operations_per_request: Option<Spanned<u64>>,
    pub(super) gathering: Option<Time>,
    pub(super) client_window: Option<Spanned<u64>>,
    pub(super) view_change_timeout: Option<Spanned<Time>>,
    pub(super) checkpoint_fill_after: Option<Time>,
    pub(super) digest_replies: Option<bool>,
    pub(super) separate_requests: Option<bool>,
    pub(super) requests_to_primary: Option<bool>,
    pub(super) tentative_execution: Option<bool>,
    pub(super) throughput_floor: Option<bool>,
    pub(super) proportion: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) retransmission_timeout: Option<Spanned<Time>>,
    pub(super) retransmission_timeout_max: Option<Spanned<Time>>,
    pub(super) outstanding: Option<Spanned<u64>>,
    pub(super) believes: Option<Believes>,
    pub(super) one_round_reads: Option<bool>,
}

/// How many equal replies a client waits for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Believes {
    /// q.
    Quorum,
    /// f+1, which suffices for committed results.
    WeakQuorum,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) clients: Option<Spanned<u32>>,
    pub(super) begins_at: Option<Time>,
    pub(super) operations: Option<Spanned<u64>>,
    pub(super) outstanding: Option<Spanned<u32>>,
    pub(super) keys: Option<Spanned<u64>>,
    pub(super) value_bytes: Option<Spanned<usize>>,
    pub(super) think: Option<Time>,
    #[serde(default)]
    pub(super) lying_clients: Vec<ClientLie>,
}

/// How the network treats messages; what is absent stays as it is. Places and bandwidth are those of
/// the whole run and stand in no event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) delay: Option<Spanned<[Time; 2]>>,
    pub(super) tail: Option<Share>,
    pub(super) tail_delay: Option<Time>,
    pub(super) loss: Option<Share>,
    pub(super) duplication: Option<Share>,
    pub(super) reordering: Option<bool>,
    pub(super) regions: Option<Spanned<String>>,
    pub(super) round_trips_ms: Option<Spanned<Vec<Vec<f64>>>>,
    pub(super) places: Option<Spanned<Vec<String>>>,
    pub(super) clients: Option<Spanned<String>>,
    pub(super) jitter: Option<Spanned<Share>>,
    pub(super) bandwidth: Option<Spanned<Bandwidth>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) sync: Option<Spanned<[Time; 2]>>,
    pub(super) snapshot_interval: Option<Time>,
    pub(super) snapshot_bytes: Option<u64>,
}

/// What machines take time for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Processor {
    pub(super) per_message: Option<Time>,
    pub(super) per_verification: Option<Time>,
    pub(super) per_signature: Option<Time>,
    pub(super) per_operation: Option<Time>,
    pub(super) per_client_message: Option<Time>,
    pub(super) cores: Option<u16>,
}

/// Replicas that start at the same time: how many of each kind, in the order of the file.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) at: Spanned<Time>,
    pub(super) kinds: Vec<(Spanned<String>, Count)>,
}

/// Something that happens: exactly one of the fields beside the time is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) at: Spanned<Time>,
    pub(super) cut: Option<Spanned<Cut>>,
    pub(super) delay: Option<Spanned<Delay>>,
    pub(super) partition: Option<Spanned<Vec<Vec<u32>>>>,
    pub(super) cut_from_clients: Option<Spanned<Vec<u32>>>,
    pub(super) mend: Option<bool>,
    pub(super) crash: Option<Spanned<Crash>>,
    pub(super) restart: Option<Spanned<Vec<u32>>>,
    pub(super) pause: Option<Spanned<Pause>>,
    pub(super) clock: Option<Spanned<Clock>>,
    pub(super) lose_disk: Option<Spanned<Vec<u32>>>,
    pub(super) copy_disk: Option<Spanned<Vec<u32>>>,
    pub(super) roll_back_disk: Option<Spanned<Vec<u32>>>,
    pub(super) swap_disk: Option<Spanned<Vec<u32>>>,
    pub(super) lose_disk_in_turn: Option<Spanned<Vec<u32>>>,
    pub(super) fail_sync: Option<Spanned<Vec<u32>>>,
    pub(super) fill_disk: Option<Spanned<Vec<u32>>>,
    pub(super) rot: Option<Spanned<Vec<u32>>>,
    pub(super) flip_state: Option<Spanned<Vec<u32>>>,
    pub(super) behave: Option<Spanned<Behave>>,
    pub(super) network: Option<Network>,
}

/// Nothing passes from any of the first to any of the second, or nothing of certain kinds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    pub(super) from: Vec<u32>,
    pub(super) to: Vec<u32>,
    pub(super) kinds: Option<Vec<String>>,
}

/// What passes from any of the first to any of the second takes so long, at least and at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delay {
    pub(super) from: Vec<u32>,
    pub(super) to: Vec<u32>,
    pub(super) kinds: Option<Vec<String>>,
    pub(super) by: Spanned<[Time; 2]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crash {
    pub(super) replicas: Vec<u32>,
    #[serde(default)]
    pub(super) how: CrashHow,
    pub(super) at_disk_operation: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CrashHow {
    #[default]
    Process,
    Power,
    Torn,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    pub(super) replicas: Vec<u32>,
    #[serde(rename = "for")]
    pub(super) span: Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clock {
    pub(super) replicas: Vec<u32>,
    pub(super) forward: Option<Time>,
    pub(super) back: Option<Time>,
}

/// A behaviour in the course of the run; its parameters stand beside its name.
#[derive(Debug, Deserialize)]
pub(super) struct Behave {
    pub(super) replicas: Vec<u32>,
    pub(super) kind: Spanned<String>,
    #[serde(flatten)]
    pub(super) parameters: toml::Table,
}

/// What the run must come to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    #[serde(default)]
    pub(super) verdict: VerdictName,
    /// The property that a violation is of.
    pub(super) property: Option<Spanned<String>>,
    pub(super) view: Option<u64>,
    pub(super) view_at_least: Option<u64>,
    pub(super) view_at_most: Option<u64>,
    pub(super) within: Option<Spanned<Time>>,
    pub(super) proved: Option<Spanned<Vec<u32>>>,
    pub(super) suspected: Option<Spanned<Vec<u32>>>,
    pub(super) stopped: Option<Spanned<Vec<u32>>>,
    /// Events by their names in traces.
    #[serde(default)]
    pub(super) happens: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) never: Vec<Spanned<String>>,
    pub(super) answered_within: Option<Time>,
    pub(super) messages_per_request: Option<u64>,
}

/// How a run can end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// Every property held and all work was done in time.
    #[default]
    Pass,
    /// Every safety property held, but the work was not done in time.
    NoProgress,
    /// A property did not hold.
    Violation,
}

impl VerdictName {
    /// As files and reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NoProgress => "no_progress",
            Self::Violation => "violation",
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StartVisitor;

        impl<'de> Visitor<'de> for StartVisitor {
            type Value = Start;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time 'at' and a count for each kind of node")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Start, A::Error> {
                let mut at = None;
                let mut kinds = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    if key.get_ref() == "at" {
                        at = Some(map.next_value()?);
                    } else {
                        kinds.push((key, map.next_value()?));
                    }
                }
                let at = at.ok_or_else(|| de::Error::missing_field("at"))?;
                Ok(Start { at, kinds })
            }
        }

        deserializer.deserialize_map(StartVisitor)
    }
}

/// Where a value stands in the file.
pub(super) fn at<T>(spanned: &Spanned<T>) -> At {
    At(spanned.span().start)
}
