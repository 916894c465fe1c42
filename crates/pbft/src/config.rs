//! What all replicas and clients of a cluster share: members, keys, limits and timeouts.

use crate::auth::{Domain, VerificationKey};
use crate::quorum::Quorums;
use crate::wire::{HEADER_BYTES, MESSAGE_BYTES_MAX};
use crate::{ClientId, Digest, ReplicaId, SeqNum, View};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster and the generation of its membership.
    pub domain: Domain,
    /// Digest of the public configuration file; replicas compare it in HELLO.
    pub digest: Digest,
    /// The thresholds.
    pub quorums: Quorums,
    /// Periods, limits and timeouts.
    pub parameters: Parameters,
    replicas: Vec<VerificationKey>,
    clients: Vec<VerificationKey>,
}

impl Config {
    /// Checks the parts and puts them together.
    ///
    /// # Errors
    /// Says which rule is broken; see [`ConfigError`].
    pub fn new(
        domain: Domain,
        digest: Digest,
        replicas: Vec<VerificationKey>,
        clients: Vec<VerificationKey>,
        parameters: Parameters,
    ) -> Result<Self, ConfigError> {
        let count = u32::try_from(replicas.len()).map_err(|_| ConfigError::TooManyReplicas)?;
        let quorums = Quorums::new(count).ok_or(ConfigError::TooFewReplicas)?;
        if count > REPLICA_COUNT_MAX {
            return Err(ConfigError::TooManyReplicas);
        }
        if clients.len() > CLIENT_COUNT_MAX {
            return Err(ConfigError::TooManyClients);
        }
        let mut keys: Vec<[u8; 32]> =
            replicas.iter().chain(&clients).map(|key| key.to_bytes()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::RepeatedKey);
        }
        parameters.check()?;
        if parameters.new_view_bytes_max(count) > MESSAGE_BYTES_MAX as u64 {
            return Err(ConfigError::NewViewTooLarge);
        }
        Ok(Self { domain, digest, quorums, parameters, replicas, clients })
    }

    /// The number of replicas, n.
    pub fn replica_count(&self) -> u32 {
        self.quorums.replica_count()
    }

    /// Every replica, in ascending order.
    pub fn replica_ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replica_count()).map(ReplicaId::new)
    }

    /// The number of clients.
    pub fn client_count(&self) -> u32 {
        self.clients.len() as u32
    }

    /// The primary of a view.
    pub fn primary(&self, view: View) -> ReplicaId {
        view.primary(self.replica_count())
    }

    /// The key of a replica.
    pub fn replica_key(&self, replica: ReplicaId) -> Option<&VerificationKey> {
        self.replicas.get(replica.get() as usize)
    }

    /// The key of a client.
    pub fn client_key(&self, client: ClientId) -> Option<&VerificationKey> {
        self.clients.get(client.get() as usize)
    }

    /// Whether a checkpoint is taken after this number.
    pub fn is_checkpoint(&self, seq: SeqNum) -> bool {
        seq.get().is_multiple_of(self.parameters.checkpoint_period)
    }
}

/// The most replicas a cluster may have: bit maps, certificates and NEW-VIEW grow with it.
pub const REPLICA_COUNT_MAX: u32 = 128;

/// The most clients a cluster may have.
pub const CLIENT_COUNT_MAX: usize = 65_536;

/// Periods, limits and timeouts. All replicas of a cluster must have the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// K: a checkpoint is taken every so many sequence numbers.
    pub checkpoint_period: u64,
    /// L: how far above the last stable checkpoint numbers are accepted. A multiple of K, at
    /// least 2K. The primary itself proposes only up to half of it, so that a backup which
    /// learns of a stable checkpoint later than the primary still accepts what it is sent [CP5].
    pub log_window: u64,
    /// W: how many instances the primary keeps in flight above the last executed one.
    pub instances_in_flight_max: u64,
    /// How long requests gather for the next batch at most while others are in flight; zero starts
    /// an instance for each that comes, as long as W allows [PP8].
    pub batch_gathering_max: Duration,
    /// Requests in one batch.
    pub batch_requests_max: usize,
    /// Bytes of requests in one batch; a single larger request travels alone.
    pub batch_bytes_max: usize,
    /// Bytes of batches in the log. Above half of it the primary fills up to the next checkpoint
    /// with empty batches, so that the log can be emptied; above all of it a backup accepts only
    /// empty ones [PP7].
    pub log_bytes_max: usize,
    /// Bytes of one request on the wire.
    pub request_bytes_max: usize,
    /// Operations under one signature.
    pub operations_per_request_max: usize,
    /// Once the results of a request come to so many bytes, its remaining operations are not
    /// executed, so that a REPLY fits a frame.
    pub results_bytes_max: usize,
    /// Whether replicas answer what changes nothing without ordering it [RO1]. Then clients believe
    /// only what a quorum says, whatever they asked for [CL3].
    pub one_round_reads: bool,
    /// Whether only the replica that a request names sends a longer result whole, and the others
    /// its digest [DR2].
    pub digest_replies: bool,
    /// Whether a PRE-PREPARE names longer requests by their digests, because clients send them to
    /// all replicas anyway [SR1].
    pub separate_requests: bool,
    /// Whether clients send shorter requests to the primary alone at first [CL9].
    pub requests_to_primary: bool,
    /// Whether replicas execute a batch as soon as it has prepared, and answer one message delay
    /// earlier; what is not committed after all is rolled back [TE1].
    pub tentative_execution: bool,
    /// Whether a backup leaves the view of a primary that, over time, lets work wait for longer
    /// than agreeing on it takes [SP1].
    pub throughput_floor: bool,
    /// How many requests of one client may be outstanding: the width of its window.
    pub client_window: u64,
    /// Bytes of requests of one client that may wait; a single larger one still may.
    pub client_waiting_bytes_max: usize,
    /// Bytes of requests that may wait in all.
    pub waiting_bytes_max: usize,
    /// A reply of up to so many bytes is kept whole until the client has acknowledged it.
    pub cached_reply_bytes_max: usize,
    /// Longer replies of one client are kept whole while they come to no more bytes together. Of
    /// one that is not, only the digest is kept, and every replica sends it whole at first, since
    /// nobody could be asked for it again [DR2].
    pub cached_long_replies_bytes_max: usize,
    /// Digests of missing batches in one STATUS.
    pub missing_batches_max: usize,
    /// Bytes of batches sent in answer to one STATUS.
    pub status_answer_bytes_max: usize,
    /// Parts of state asked for in one message.
    pub state_parts_per_request_max: usize,
    /// T: how long a backup waits for the first request of its queue before it changes the view.
    pub view_change_timeout: Duration,
    /// T doubles with every failed view, up to this.
    pub view_change_timeout_max: Duration,
    /// How often an unanswered VIEW-CHANGE is sent again.
    pub view_change_resend: Duration,
    /// How often STATUS is sent while something is missing.
    pub status_interval: Duration,
    /// How often STATUS is sent when nothing is.
    pub status_interval_idle: Duration,
    /// How far from its own clock a backup accepts the primary's proposal for the agreed time. At
    /// most [`CLOCK_SKEW_MAX`].
    pub clock_skew_max: Duration,
    /// After so long without requests the primary fills up to the next checkpoint.
    pub checkpoint_fill_after: Duration,
    /// How long a replica may lag behind a checkpoint of the others before it fetches the state.
    pub state_transfer_patience: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            checkpoint_period: 128,
            log_window: 512,
            instances_in_flight_max: 8,
            batch_gathering_max: Duration::from_millis(2),
            batch_requests_max: 512,
            batch_bytes_max: 1 << 20,
            log_bytes_max: 64 << 20,
            request_bytes_max: 2 << 20,
            operations_per_request_max: 1024,
            results_bytes_max: 4 << 20,
            one_round_reads: true,
            digest_replies: true,
            separate_requests: true,
            requests_to_primary: true,
            tentative_execution: true,
            throughput_floor: true,
            client_window: 64,
            client_waiting_bytes_max: 4 << 20,
            waiting_bytes_max: 64 << 20,
            cached_reply_bytes_max: 8192,
            cached_long_replies_bytes_max: 1 << 20,
            missing_batches_max: 16,
            status_answer_bytes_max: 1 << 20,
            state_parts_per_request_max: 256,
            view_change_timeout: Duration::from_millis(1000),
            view_change_timeout_max: Duration::from_secs(60),
            view_change_resend: Duration::from_millis(250),
            status_interval: Duration::from_millis(100),
            status_interval_idle: Duration::from_millis(1000),
            clock_skew_max: Duration::from_secs(10),
            checkpoint_fill_after: Duration::from_secs(5),
            state_transfer_patience: Duration::from_millis(300),
        }
    }
}

impl Parameters {
    /// The highest number the primary proposes when its last stable checkpoint is `low`.
    pub fn proposal_limit(&self, low: SeqNum) -> SeqNum {
        low.plus(self.log_window / 2)
    }

    /// The longest NEW-VIEW on the wire: one VIEW-CHANGE of each replica, with P and Q full. If it
    /// did not fit a frame, one large enough view change could never end.
    fn new_view_bytes_max(&self, replica_count: u32) -> u64 {
        const SIGNED: u64 = 4 + 64;
        const CHECKPOINT: u64 = 8 + 2 * 32;
        const ENTRY: u64 = 8 + 32 + 8;
        let checkpoints = self.log_window / self.checkpoint_period + 1;
        let view_change = SIGNED
            + (8 + 4 + 8)
            + (4 + checkpoints * CHECKPOINT)
            + 2 * (4 + self.log_window * ENTRY);
        let named = 4 + u64::from(replica_count) * (4 + 32);
        let new_view = SIGNED + 8 + named + CHECKPOINT + (4 + self.log_window * 32);
        HEADER_BYTES as u64 + 1 + new_view + 4 + u64::from(replica_count) * view_change
    }

    fn check(&self) -> Result<(), ConfigError> {
        let period = self.checkpoint_period;
        if period == 0 || !self.log_window.is_multiple_of(period) || self.log_window / period < 2 {
            return Err(ConfigError::WindowNotAMultipleOfThePeriod);
        }
        if self.log_window > LOG_WINDOW_MAX {
            return Err(ConfigError::WindowTooLarge);
        }
        let counts = [
            self.batch_requests_max,
            self.batch_bytes_max,
            self.log_bytes_max,
            self.client_waiting_bytes_max,
            self.waiting_bytes_max,
            self.request_bytes_max,
            self.results_bytes_max,
            self.operations_per_request_max,
            self.missing_batches_max,
            self.state_parts_per_request_max,
        ];
        if counts.contains(&0) || self.instances_in_flight_max == 0 || self.client_window == 0 {
            return Err(ConfigError::ZeroLimit);
        }
        if self.batch_bytes_max.saturating_add(self.request_bytes_max) > BATCH_BYTES_MAX
            || self.results_bytes_max > BATCH_BYTES_MAX
        {
            return Err(ConfigError::BatchTooLarge);
        }
        if self.request_bytes_max > self.waiting_bytes_max {
            return Err(ConfigError::RequestTooLarge);
        }
        if self.view_change_timeout.is_zero()
            || self.view_change_timeout > self.view_change_timeout_max
            || self.view_change_resend.is_zero()
            || self.status_interval.is_zero()
            || self.status_interval > self.status_interval_idle
        {
            return Err(ConfigError::Timeouts);
        }
        if self.clock_skew_max > CLOCK_SKEW_MAX {
            return Err(ConfigError::ClockSkew);
        }
        Ok(())
    }
}

/// What a primary may lie about the time by must be little beside what is measured by it, as the
/// life of a REJOIN is [RJ2].
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// No log window may be longer: it bounds VIEW-CHANGE and STATUS.
pub const LOG_WINDOW_MAX: u64 = 4096;

/// What a batch, or the results of a request before the last one is added, may come to at most, so
/// that it fits a frame.
pub const BATCH_BYTES_MAX: usize = 12 << 20;

/// Why a configuration is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// Two or three replicas tolerate no fault, as one does, and none is no cluster.
    TooFewReplicas,
    /// More than [`REPLICA_COUNT_MAX`].
    TooManyReplicas,
    /// More than [`CLIENT_COUNT_MAX`].
    TooManyClients,
    /// One key stands for two members.
    RepeatedKey,
    /// L must be a multiple of K and at least 2K.
    WindowNotAMultipleOfThePeriod,
    /// L above [`LOG_WINDOW_MAX`].
    WindowTooLarge,
    /// A limit of zero.
    ZeroLimit,
    /// A full batch, or a full reply, would not fit a frame.
    BatchTooLarge,
    /// The longest request could not wait anywhere.
    RequestTooLarge,
    /// The NEW-VIEW of so many replicas with so long a log would not fit a frame.
    NewViewTooLarge,
    /// A timeout of zero, or a maximum below its minimum.
    Timeouts,
    /// `clock_skew_max` above [`CLOCK_SKEW_MAX`].
    ClockSkew,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFewReplicas => "a cluster needs at least 4 replicas to tolerate a fault",
            Self::TooManyReplicas => "a cluster has at most 128 replicas",
            Self::TooManyClients => "a cluster has at most 65536 clients",
            Self::RepeatedKey => "two members have the same signing key",
            Self::WindowNotAMultipleOfThePeriod => {
                "log_window must be a multiple of checkpoint_period and at least twice as long"
            }
            Self::WindowTooLarge => "log_window is at most 4096",
            Self::ZeroLimit => "a limit must not be zero",
            Self::BatchTooLarge => {
                "batch_bytes_max and request_bytes_max together, and results_bytes_max, are at most 12 MiB"
            }
            Self::RequestTooLarge => "request_bytes_max is at most waiting_bytes_max",
            Self::NewViewTooLarge => "with so many replicas log_window must be shorter",
            Self::Timeouts => "a timeout is zero or above its own maximum",
            Self::ClockSkew => "clock_skew_max is at most one minute",
        })
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
