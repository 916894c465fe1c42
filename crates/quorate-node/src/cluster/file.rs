//! The text of a cluster file, and nothing that follows from it.

use pbft::Parameters;
use quorate_net::limits::WRITE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The format this program reads and writes.
pub const FORMAT: u32 = 1;

/// A cluster file as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    /// [`FORMAT`].
    pub format: u32,
    /// What people call the cluster.
    pub name: String,
    /// Drawn at random when the cluster was made: 64 hexadecimal digits. Part of everything
    /// signed, so nothing signed for one cluster means anything in another.
    pub id: String,
    /// The generation of the membership.
    pub epoch: u64,
    /// Whether replicas may be made to lie.
    #[serde(default)]
    pub lab: bool,
    /// What an acknowledgement means.
    #[serde(default)]
    pub durability: Durability,
    /// What replicas do for many messages at a time.
    #[serde(default, skip_serializing_if = "Together::is_default")]
    pub together: Together,
    /// Periods, limits and timeouts that differ from the defaults.
    #[serde(default, skip_serializing_if = "ParametersFile::is_default")]
    pub parameters: ParametersFile,
    /// The replicas.
    pub replica: Vec<MemberFile>,
    /// The clients: gateways, for instance.
    #[serde(default)]
    pub client: Vec<MemberFile>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberFile {
    /// Its place in the list, from 0.
    pub id: u32,
    /// Where the others reach it, `HOST:PORT` *(replicas only)*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Proves the identity of a link.
    pub link_key: String,
    /// Verifies protocol messages.
    pub signing_key: String,
}

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// What it depends on is on the disks of a quorum.
    #[default]
    Sync,
    /// It is in the memory of a quorum: for comparisons with the papers. A replica that stops
    /// cannot come back by itself.
    Memory,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Memory => "memory",
        })
    }
}

/// What a replica does for many messages at a time. Nobody else notices but by its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Together {
    /// Whether signatures are verified together [AU3].
    pub verify: bool,
    /// Whether records that wait are made durable with one sync.
    pub sync: bool,
    /// Whether frames that wait for one link leave in one system call.
    pub send: bool,
}

impl Default for Together {
    fn default() -> Self {
        Self { verify: true, sync: true, send: true }
    }
}

impl Together {
    /// For [`quorate_net::Peers`] and [`quorate_net::ClientLimits`].
    pub(crate) fn write_bytes_max(self) -> usize {
        if self.send { WRITE_BYTES_MAX } else { 0 }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

macro_rules! parameters {
    ($($count:ident),* ; $($switch:ident),* ; $($span_ms:ident => $span:ident),* $(,)?) => {
        /// The parameters that a cluster file may set; what is absent has its default. What each
        /// means is said at [`Parameters`].
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct ParametersFile {
            $(
                #[doc = concat!("See [`Parameters::", stringify!($count), "`].")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $count: Option<u32>,
            )*
            $(
                #[doc = concat!("See [`Parameters::", stringify!($switch), "`].")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $switch: Option<bool>,
            )*
            $(
                #[doc = concat!("See [`Parameters::", stringify!($span), "`]; in milliseconds.")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $span_ms: Option<u32>,
            )*
        }

        impl ParametersFile {
            /// These parameters, all of them written down; spans in whole milliseconds, rounded up.
            /// `None` if one is above what the file can say.
            pub fn of(parameters: &Parameters) -> Option<Self> {
                Some(Self {
                    $($count: Some(u32::try_from(parameters.$count).ok()?),)*
                    $($switch: Some(parameters.$switch),)*
                    $($span_ms: Some(whole_millis(parameters.$span)?),)*
                })
            }

            /// The parameters with everything filled in.
            pub(super) fn resolve(&self) -> Parameters {
                let mut parameters = Parameters::default();
                $(
                    if let Some(count) = self.$count {
                        // Lossless on every platform: counts of 32 bits fit both u64 and usize.
                        parameters.$count = count as _;
                    }
                )*
                $(
                    if let Some(millis) = self.$span_ms {
                        parameters.$span = Duration::from_millis(u64::from(millis));
                    }
                )*
                $(parameters.$switch = self.$switch.unwrap_or(parameters.$switch);)*
                parameters
            }
        }
    };
}

parameters! {
    checkpoint_period, log_window, instances_in_flight_max, batch_requests_max, batch_bytes_max,
    log_bytes_max, request_bytes_max, operations_per_request_max, results_bytes_max, client_window,
    client_waiting_bytes_max, waiting_bytes_max, cached_reply_bytes_max, cached_long_replies_bytes_max, missing_batches_max,
    status_answer_bytes_max, state_parts_per_request_max;
    one_round_reads, digest_replies, separate_requests, requests_to_primary, tentative_execution,
    throughput_floor;
    batch_gathering_max_ms => batch_gathering_max,
    view_change_timeout_ms => view_change_timeout,
    view_change_timeout_max_ms => view_change_timeout_max,
    view_change_resend_ms => view_change_resend,
    status_interval_ms => status_interval,
    status_interval_idle_ms => status_interval_idle,
    clock_skew_max_ms => clock_skew_max,
    checkpoint_fill_after_ms => checkpoint_fill_after,
    state_transfer_patience_ms => state_transfer_patience,
}

fn whole_millis(span: Duration) -> Option<u32> {
    u32::try_from(span.as_micros().div_ceil(1_000)).ok()
}

impl ParametersFile {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ClusterFile {
    /// The text, with a line that says what it is.
    pub fn to_text(&self) -> String {
        let body = toml::to_string(self).expect("a cluster file has a form in TOML");
        format!(
            "# A Quorate cluster. This file is public and the same, byte for byte, at every \
             member.\n# Compare its fingerprint with the other members before you confirm it.\n\
             {body}"
        )
    }
}
