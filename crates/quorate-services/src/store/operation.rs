//! What a client can ask of the store, and the encoding in which it is ordered.
//!
//! The types mirror the requests of etcd's KV service field by field, so that translating
//! protobuf to them and back is mechanical; a revision, a limit or a lease is the client's `i64`
//! unchanged, because etcd gives negative ones a meaning. Fields that only say how to reach
//! agreement (`serializable`, `physical`) are not here: they concern who answers, not what.
//!
//! The encoding is one version byte, then borsh: every operation has exactly one encoding.

use borsh::io::{Error as IoError, ErrorKind, Read};
use borsh::{BorshDeserialize, BorshSerialize};

use super::StoreError;

/// The longest request, in bytes of its protobuf form: etcd's default `--max-request-bytes`. To
/// be held against that form by whoever has it, which is the gateway.
pub const REQUEST_BYTES_MAX: usize = 3 << 19;

/// The longest encoded [`Operation`], in bytes. It leaves room for what this encoding spends on
/// lengths, so that no request within [`REQUEST_BYTES_MAX`] is refused for its size.
///
/// There is no other limit on a key or a value, as there is none in etcd: a key of the store is
/// content of a record, never a key of the replicated state.
pub const OPERATION_BYTES_MAX: usize = REQUEST_BYTES_MAX + (64 << 10);

/// The most compares, and the most operations in each branch, of one transaction: etcd's default
/// `--max-txn-ops`.
pub const TXN_OPERATIONS_MAX: usize = 128;

/// The first byte of every encoded operation.
const OPERATION_VERSION: u8 = 1;

/// One request to the store.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Operation {
    /// Reads keys.
    Range(RangeRequest),
    /// Writes one key.
    Put(PutRequest),
    /// Removes keys.
    DeleteRange(DeleteRangeRequest),
    /// Compares, then does one of two lists of operations, atomically.
    Txn(TxnRequest),
    /// Forgets history.
    Compact(CompactRequest),
    /// Reads the store's own counters.
    Status,
}

impl Operation {
    /// The operation as bytes to be ordered.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![OPERATION_VERSION];
        self.serialize(&mut bytes).expect("writing to a vector fails only above 4 GiB");
        bytes
    }

    /// Reads the only encoding of an operation.
    ///
    /// # Errors
    ///
    /// - [`StoreError::RequestTooLarge`]: `bytes` are longer than [`OPERATION_BYTES_MAX`].
    /// - [`StoreError::TooManyOperations`]: a list of a transaction is too long; it is refused
    ///   before memory is spent on it.
    /// - [`StoreError::Malformed`]: anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.len() > OPERATION_BYTES_MAX {
            return Err(StoreError::RequestTooLarge);
        }
        let Some((&OPERATION_VERSION, body)) = bytes.split_first() else {
            return Err(StoreError::Malformed);
        };
        borsh::from_slice(body).map_err(|error| match error.kind() {
            TOO_MANY => StoreError::TooManyOperations,
            _ => StoreError::Malformed,
        })
    }

    /// Checks what can be checked without the store, in etcd's order, so that a gateway can
    /// refuse before it has anything ordered. The store checks again: gateways may lie.
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptyKey`], [`StoreError::KeyNotFound`], [`StoreError::TooManyOperations`]
    /// or [`StoreError::DuplicateKey`].
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Range(range) => check_key(&range.key),
            Self::Put(put) => check_key(&put.key),
            Self::DeleteRange(delete) => check_key(&delete.key),
            Self::Txn(txn) => txn.check(),
            Self::Compact(_) | Self::Status => Ok(()),
        }
    }

    /// Whether the operation can be answered without writing, whatever the state.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Range(_) | Self::Status => true,
            Self::Txn(txn) => txn.is_read_only(),
            Self::Put(_) | Self::DeleteRange(_) | Self::Compact(_) => false,
        }
    }
}

macro_rules! wrap {
    ($($request:ident => $($whole:ident::$variant:ident),+;)+) => {$($(
        impl From<$request> for $whole {
            fn from(request: $request) -> Self {
                Self::$variant(request)
            }
        }
    )+)+};
}

wrap! {
    RangeRequest => Operation::Range, TxnOperation::Range;
    PutRequest => Operation::Put, TxnOperation::Put;
    DeleteRangeRequest => Operation::DeleteRange, TxnOperation::DeleteRange;
    TxnRequest => Operation::Txn;
    CompactRequest => Operation::Compact;
}

/// Reads the keys of a range, in ascending order of keys.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct RangeRequest {
    /// The first key; must not be empty.
    pub key: Vec<u8>,
    /// Empty: `key` alone. One zero byte: every key from `key` on. Otherwise the first key after
    /// the range.
    pub range_end: Vec<u8>,
    /// The most keys to return; zero or less: all.
    pub limit: i64,
    /// The revision to read at; zero or less: the current one (in a transaction only zero).
    pub revision: i64,
    /// Leave the values out.
    pub keys_only: bool,
    /// Return the number of keys and no key.
    pub count_only: bool,
}

/// Writes one key.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct PutRequest {
    /// The key; must not be empty.
    pub key: Vec<u8>,
    /// Its new value; may be empty.
    pub value: Vec<u8>,
    /// The lease to attach the key to, 0 for none. Until the store grants leases every other
    /// number is answered by [`StoreError::LeaseNotFound`].
    pub lease: i64,
    /// Return what the key held before.
    pub prev_kv: bool,
}

/// Removes the keys of a range.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct DeleteRangeRequest {
    /// The first key; must not be empty.
    pub key: Vec<u8>,
    /// As in [`RangeRequest::range_end`].
    pub range_end: Vec<u8>,
    /// Return what the keys held before.
    pub prev_kv: bool,
}

/// Does `success` if every compare holds, else `failure`; an empty list of compares holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct TxnRequest {
    /// The conditions, judged before anything is done.
    #[borsh(deserialize_with = "read_list")]
    pub compare: Vec<Compare>,
    /// Done in order if all conditions hold.
    #[borsh(deserialize_with = "read_list")]
    pub success: Vec<TxnOperation>,
    /// Done in order otherwise.
    #[borsh(deserialize_with = "read_list")]
    pub failure: Vec<TxnOperation>,
}

/// One step of a transaction's branch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum TxnOperation {
    /// A message that says nothing; refused with [`StoreError::KeyNotFound`], in its turn among
    /// the other checks, as etcd does.
    Unset,
    /// Reads keys, seeing what the steps before it wrote.
    Range(RangeRequest),
    /// Writes one key.
    Put(PutRequest),
    /// Removes keys.
    DeleteRange(DeleteRangeRequest),
}

/// A condition on one key. An absent key has version, revisions and lease 0; a compare of its
/// value fails whatever the result asked for.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Compare {
    /// The key; must not be empty.
    pub key: Vec<u8>,
    /// How what the key has must relate to what `target` names.
    pub result: CompareResult,
    /// What of the key is compared, and with what.
    pub target: CompareTarget,
}

/// The relation a [`Compare`] asks for: *what the key has*, this, *what the target names*.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum CompareResult {
    /// Equal.
    Equal,
    /// Greater.
    Greater,
    /// Less.
    Less,
    /// Not equal.
    NotEqual,
}

/// What a [`Compare`] looks at. A protobuf target whose operand is missing has operand 0 or empty.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum CompareTarget {
    /// The number of puts since the key was created.
    Version(i64),
    /// The revision that created the key.
    Create(i64),
    /// The revision of the key's last put.
    Mod(i64),
    /// The value, as bytes.
    Value(Vec<u8>),
    /// The lease the key is attached to.
    Lease(i64),
}

/// Forgets every version that is not needed to read at `revision` or later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct CompactRequest {
    /// The oldest revision that stays readable.
    pub revision: i64,
}

impl TxnRequest {
    fn check(&self) -> Result<(), StoreError> {
        let longest = self.compare.len().max(self.success.len()).max(self.failure.len());
        if longest > TXN_OPERATIONS_MAX {
            return Err(StoreError::TooManyOperations);
        }
        for compare in &self.compare {
            check_key(&compare.key)?;
        }
        for operation in self.success.iter().chain(&self.failure) {
            operation.check()?;
        }
        check_overlaps(&self.success)?;
        check_overlaps(&self.failure)
    }

    pub(super) fn is_read_only(&self) -> bool {
        let mut operations = self.success.iter().chain(&self.failure);
        operations.all(|operation| matches!(operation, TxnOperation::Range(_)))
    }
}

impl TxnOperation {
    fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Unset => Err(StoreError::KeyNotFound),
            Self::Range(range) => check_key(&range.key),
            Self::Put(put) => check_key(&put.key),
            Self::DeleteRange(delete) => check_key(&delete.key),
        }
    }
}

impl PutRequest {
    /// No lease has been granted yet, so none can be attached to.
    pub(super) fn check_lease(&self) -> Result<(), StoreError> {
        if self.lease == 0 { Ok(()) } else { Err(StoreError::LeaseNotFound) }
    }
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() { Err(StoreError::EmptyKey) } else { Ok(()) }
}

/// No key may be put twice, or be put and deleted, in one branch, in whichever order.
///
/// The end of a deleted range is taken literally here, as in etcd: a range that goes on for ever
/// (its end is one zero byte) reads as one that ends before it begins, and so covers no put.
fn check_overlaps(operations: &[TxnOperation]) -> Result<(), StoreError> {
    let covers = |delete: &DeleteRangeRequest, key: &[u8]| {
        if delete.range_end.is_empty() {
            delete.key == key
        } else {
            delete.key.as_slice() <= key && key < delete.range_end.as_slice()
        }
    };
    let mut puts = std::collections::BTreeSet::new();
    for operation in operations {
        let TxnOperation::Put(put) = operation else {
            continue;
        };
        let deleted = operations.iter().any(|other| match other {
            TxnOperation::DeleteRange(delete) => covers(delete, &put.key),
            _ => false,
        });
        if deleted || !puts.insert(put.key.as_slice()) {
            return Err(StoreError::DuplicateKey);
        }
    }
    Ok(())
}

/// Marks, among the errors of decoding, the one that has a name of its own in etcd.
const TOO_MANY: ErrorKind = ErrorKind::InvalidInput;

/// Reads a list of a transaction, at most [`TXN_OPERATIONS_MAX`] long: an element can be far
/// smaller on the wire than in memory.
fn read_list<T: BorshDeserialize, R: Read>(reader: &mut R) -> Result<Vec<T>, IoError> {
    let count = u32::deserialize_reader(reader)? as usize;
    if count > TXN_OPERATIONS_MAX {
        return Err(IoError::new(TOO_MANY, "too many operations"));
    }
    (0..count).map(|_| T::deserialize_reader(reader)).collect()
}
