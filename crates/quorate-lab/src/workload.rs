//! What clients do: operations on a few keys of the store, as etcd's clients would ask for them,
//! and what the answers mean to the linearizability checker.

mod lie;

pub use lie::forge_store_outcome;

use crate::linearizability::{Answer, Call, Expected, Found, Response};
use crate::rng::Stream;
use pbft::Reading;
use pbft::message::ServiceId;
use quorate_services::store::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, Operation, Outcome, PutRequest,
    RangeRequest, Response as StoreResponse, TxnRequest,
};

/// Draws the next call on one of `keys` keys. Values are unique, so that a reader knows which
/// write it saw, and have `value_bytes` bytes at least.
pub fn any_call(rng: &mut Stream, keys: u64, value_bytes: usize, serial: u64) -> (Vec<u8>, Call) {
    let key = format!("key-{}", rng.below(keys)).into_bytes();
    let value_of = |serial: u64| filled_up(format!("value-{serial}").into_bytes(), value_bytes);
    let value = value_of(serial);
    let call = match rng.below(10) {
        0..=3 => Call::Get,
        4..=6 => Call::Put(value),
        7 => Call::Delete,
        8 => {
            let expected = value_of(rng.below(serial + 1));
            Call::CompareAndSwap { expected: Expected::Value(expected), value }
        }
        _ => Call::CompareAndSwap { expected: Expected::ModRevision(0), value },
    };
    (key, call)
}

/// The value, made `bytes` long if it is shorter.
pub(crate) fn filled_up(mut value: Vec<u8>, bytes: usize) -> Vec<u8> {
    value.resize(value.len().max(bytes), FILLER);
    value
}

/// What makes values longer, and is not shown to people.
const FILLER: u8 = b'.';

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(char::from(FILLER)).to_owned()
}

/// A call in words.
pub fn describe(key: &[u8], call: &Call) -> String {
    let key = text(key);
    match call {
        Call::Get => format!("get {key}"),
        Call::Put(value) => format!("put {key} {}", text(value)),
        Call::Delete => format!("delete {key}"),
        Call::CompareAndSwap { value, .. } => format!("compare and swap {key} {}", text(value)),
    }
}

/// The bytes to be ordered for a call: a tag that makes it unique, and the store's operation.
pub fn encode(tag: u64, key: &[u8], call: &Call) -> Vec<u8> {
    let key = key.to_vec();
    let operation: Operation = match call {
        Call::Get => RangeRequest { key, ..RangeRequest::default() }.into(),
        Call::Put(value) => {
            PutRequest { key, value: value.clone(), ..PutRequest::default() }.into()
        }
        Call::Delete => DeleteRangeRequest { key, ..DeleteRangeRequest::default() }.into(),
        Call::CompareAndSwap { expected, value } => {
            let target = match expected {
                Expected::Value(value) => CompareTarget::Value(value.clone()),
                Expected::ModRevision(revision) => {
                    CompareTarget::Mod(i64::try_from(*revision).unwrap_or(i64::MAX))
                }
            };
            let compare = Compare { key: key.clone(), result: CompareResult::Equal, target };
            let put = PutRequest { key, value: value.clone(), ..PutRequest::default() };
            TxnRequest { compare: vec![compare], success: vec![put.into()], failure: Vec::new() }
                .into()
        }
    };
    tagged(tag, &operation.encode())
}

/// The same read, at this revision.
///
/// # Panics
/// If it is no read that [`encode`] made.
pub(crate) fn read_at(read: &[u8], revision: u64) -> Vec<u8> {
    let Ok(Operation::Range(range)) = Operation::decode(untagged(read)) else {
        panic!("what is read again was a read")
    };
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    let again = Operation::Range(RangeRequest { revision, ..range });
    [tag(read), &again.encode()].concat()
}

/// What replicas agreed on without ordering it, as an answer of the store at this revision. What is
/// no content of the store stays as it is.
pub(crate) fn at_revision(content: &[u8], revision: u64) -> Vec<u8> {
    let reading = Reading { content: content.to_vec(), revision };
    Outcome::from_reading(&reading).map_or(reading.content, |outcome| outcome.encode())
}

/// What the store's answer means; `None` if it is no answer to any of our calls.
pub fn decode(result: &[u8]) -> Option<Answer> {
    let outcome = Outcome::decode(result)?;
    let response = match outcome.result.ok()? {
        StoreResponse::Range(range) => {
            let found = range.kvs.into_iter().next().map(|kv| {
                let mod_revision = u64::try_from(kv.mod_revision).unwrap_or(0);
                Found { value: kv.value, mod_revision }
            });
            Response::Got(found)
        }
        StoreResponse::Put(_) => Response::Put,
        StoreResponse::DeleteRange(deletion) => Response::Deleted(deletion.deleted > 0),
        StoreResponse::Txn(txn) => Response::Swapped(txn.succeeded),
        StoreResponse::Compact | StoreResponse::Status(_) => return None,
    };
    Some(Answer { revision: u64::try_from(outcome.revision).ok()?, response })
}

/// An answer in words.
pub fn describe_answer(result: &[u8]) -> String {
    let Some(Answer { revision, response }) = decode(result) else {
        return format!("{} bytes", result.len());
    };
    let what = match response {
        Response::Got(None) => "nothing there".to_owned(),
        Response::Got(Some(found)) => text(&found.value),
        Response::Put | Response::Deleted(true) | Response::Swapped(true) => "done".to_owned(),
        Response::Deleted(false) => "nothing was there".to_owned(),
        Response::Swapped(false) => "not done, since it was not as expected".to_owned(),
    };
    format!("{what}, at revision {revision}")
}

/// What the workload's operations are for.
pub const SERVICE: ServiceId = ServiceId(0);

const TAG_BYTES: usize = 8;

/// An operation with the tag in front of it.
pub(crate) fn tagged(tag: u64, operation: &[u8]) -> Vec<u8> {
    [tag.to_le_bytes().as_slice(), operation].concat()
}

/// The tag of an operation. What has one tag may be executed once.
pub(crate) fn tag(operation: &[u8]) -> &[u8] {
    operation.get(..TAG_BYTES).unwrap_or(operation)
}

/// An operation without its tag.
pub(crate) fn untagged(operation: &[u8]) -> &[u8] {
    operation.get(TAG_BYTES..).unwrap_or_default()
}
