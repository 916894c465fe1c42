//! What is replicated: the seam between the protocol and the application.

use crate::{ClientId, SeqNum, WallTime};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// What all replicas agree on about the operation being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The authenticated client that asked for the operation.
    pub client: ClientId,
    /// The sequence number of the batch that carries the operation.
    pub seq: SeqNum,
    /// Agreed time: proposed by the primary, bounded by the backups, never going backwards.
    pub time: WallTime,
    /// The primary's choice for this batch, from [`Service::choose`]. A faulty primary may have
    /// put any bytes here, so the service must make a deterministic sense of all of them.
    pub choice: &'a [u8],
}

/// The replicated state as an ordered map of keys to values, as a service sees it.
///
/// Keys have at most [`KEY_BYTES_MAX`] bytes; a write of a longer key is a bug in the service.
/// Each service sees only its own keys.
pub trait StateRead {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Visits, in ascending order of keys, every entry with `start <= key` and, when `end` is
    /// given, `key < end`, until `visit` returns `false`.
    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool);
}

/// The replicated state, writable.
pub trait State: StateRead {
    /// Sets `key` to `value`.
    fn put(&mut self, key: &[u8], value: Vec<u8>);

    /// Removes `key`; does nothing if it is absent.
    fn delete(&mut self, key: &[u8]);
}

/// The longest key of the replicated state, in bytes, a service's prefix not counted.
pub const KEY_BYTES_MAX: usize = 1024;

/// What one replica reads in its state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Reading {
    /// The result: what replicas must agree on.
    pub content: Vec<u8>,
    /// How far the state has come, as the service counts it; it never decreases. Replicas need not
    /// agree on it. A service that counts nothing says 0.
    pub revision: u64,
}

impl From<Vec<u8>> for Reading {
    /// Of a service that counts nothing.
    fn from(content: Vec<u8>) -> Self {
        Self { content, revision: 0 }
    }
}

/// An application to be replicated.
///
/// # What determinism demands
///
/// Every correct replica executes the same operations in the same order on the same state and
/// must end with the same state and the same results, bit for bit. So an implementation
///
/// - reads and writes its replicated state only through [`State`]; whatever else it keeps in
///   memory must be derivable from it, and is rebuilt in [`Service::restored`];
/// - takes time only from [`Context::time`] and any other choice only from [`Context::choice`]:
///   no clock, no random source, no iteration over a hash map, no floating point whose result
///   depends on the machine, no thread whose timing shows;
/// - turns every failure into a result. A panic on one input would stop every correct replica at
///   the same operation.
pub trait Service: Send {
    /// Executes one operation and returns its result.
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8>;

    /// Executes an operation that must not change anything: the type of `state` leaves no way to.
    /// Returns `None` if the operation would have to write. `context` names the last batch that was
    /// executed, and no choice.
    ///
    /// Replicas are not asked in agreement: some may have executed more than others. They agree if
    /// the content of their readings is the same.
    fn query(
        &self,
        context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading>;

    /// The primary's free choice for a batch (a random seed, for instance), at most
    /// [`CHOICE_BYTES_MAX`] bytes. It reaches every replica as [`Context::choice`]. This is the
    /// only method that may be nondeterministic.
    fn choose(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// The state was replaced (at start, or after a state transfer): rebuild whatever is derived
    /// from it. This is never in the middle of a batch, so what a service remembers of the batch at
    /// [`Context::seq`] need not be in the state; but it is forgotten now, since a batch with the
    /// same number may come again.
    fn restored(&mut self, state: &dyn StateRead);

    /// The batch with number `_seq`, the last one that was executed, was undone, and `state` is what
    /// it was before; the next batch has that number again. It may be called for a batch that had no
    /// operation of this service.
    ///
    /// It comes with a view change, in which many clients wait. So a service that keeps much in
    /// memory should take back what that one batch made of it, rather than rebuild all, as is done
    /// if this is not implemented.
    fn rolled_back(&mut self, _seq: SeqNum, state: &dyn StateRead) {
        self.restored(state);
    }
}

/// The longest [`Service::choose`] may return, in bytes; longer ones are cut.
pub const CHOICE_BYTES_MAX: usize = 1024;
