//! What the store answers, and the encoding of answers.
//!
//! Correct replicas answer an ordered operation with equal bytes. The current revision stands
//! apart from the result, at the front and nowhere else: two replicas that are at different
//! revisions but agree on what a read returns then differ in those eight bytes alone.
//!
//! The encoding is one version byte, the revision as 8 bytes little-endian, then the result in
//! borsh.

use borsh::{BorshDeserialize, BorshSerialize};
use pbft::Reading;

use super::StoreError;

/// The longest encoded [`Outcome`], in bytes. An operation that would exceed it is refused with
/// [`StoreError::ResponseTooLarge`] and writes nothing. Any one pair of key and value fits, so a
/// range can always be read in parts: with a limit, at one revision.
pub const RESPONSE_BYTES_MAX: usize = 3 << 20;

/// The first byte of every encoded outcome.
const OUTCOME_VERSION: u8 = 1;

/// The answer to an [`Operation`](super::Operation).
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Outcome {
    /// The store's revision after the operation: what etcd puts into the response's header.
    pub revision: i64,
    /// The response, of the kind of the request; or why there is none, and then nothing changed.
    pub result: Result<Response, StoreError>,
}

impl Outcome {
    /// The outcome as a replica sends it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![OUTCOME_VERSION];
        self.serialize(&mut bytes).expect("an outcome is far smaller than 4 GiB");
        bytes
    }

    /// Reads what a replica sent; `None` if it is no outcome of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&OUTCOME_VERSION, body)) => borsh::from_slice(body).ok(),
            _ => None,
        }
    }

    /// Reads what replicas agreed on without ordering; `None` if that is no outcome of this version.
    pub fn from_reading(reading: &Reading) -> Option<Self> {
        let outcome = Self::decode(&reading.content)?;
        Some(Self { revision: i64::try_from(reading.revision).ok()?, ..outcome })
    }
}

/// Replicas that were not asked in agreement need not be at one revision, so it stands beside what
/// they must agree on; within the content it is 0.
impl From<Outcome> for Reading {
    fn from(outcome: Outcome) -> Self {
        let revision = u64::try_from(outcome.revision).unwrap_or_default();
        Self { content: Outcome { revision: 0, ..outcome }.encode(), revision }
    }
}

/// What a request that was not refused returns.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Response {
    /// To a range.
    Range(RangeResponse),
    /// To a put.
    Put(PutResponse),
    /// To a deletion.
    DeleteRange(DeleteRangeResponse),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a compaction: nothing but the header.
    Compact,
    /// To a question for the store's counters.
    Status(StatusResponse),
}

/// A key at one revision.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The revision that created it: its first put since it was last absent.
    pub create_revision: i64,
    /// The revision of its last put.
    pub mod_revision: i64,
    /// The number of puts since it was created; the creating one makes it 1.
    pub version: i64,
    /// The value; empty if the request wanted keys only.
    pub value: Vec<u8>,
    /// The lease it is attached to, 0 for none.
    pub lease: i64,
}

/// The keys of a range.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct RangeResponse {
    /// The keys, ascending; at most the limit asked for; none if only the count was.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut keys off.
    pub more: bool,
    /// The number of keys in the range, the limit not counted.
    pub count: i64,
}

/// The key was written.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct PutResponse {
    /// What it held before, if that was asked for and there was anything.
    pub prev_kv: Option<KeyValue>,
}

/// Keys were removed.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct DeleteRangeResponse {
    /// How many.
    pub deleted: i64,
    /// What they held before, ascending by key, if that was asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// A transaction was done.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct TxnResponse {
    /// Whether the compares held, and so `success` was done rather than `failure`.
    pub succeeded: bool,
    /// The response of each operation of the branch, in order.
    pub responses: Vec<TxnOperationResponse>,
}

/// The response of one operation of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TxnOperationResponse {
    /// How far the revision in this response's header is behind the outcome's: 1 for a step that
    /// ran before the first one that wrote, else 0.
    pub behind: u8,
    /// A [`Response::Range`], [`Response::Put`] or [`Response::DeleteRange`].
    pub response: Response,
}

/// The store's own counters. They are functions of the replicated state, so replicas agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct StatusResponse {
    /// The oldest readable revision; -1 if there never was a compaction.
    pub compact_revision: i64,
    /// Records kept: every version of every key that no compaction has removed yet.
    pub record_count: u64,
    /// What those records hold, in bytes: the nearest thing to etcd's database size.
    pub record_bytes: u64,
}
