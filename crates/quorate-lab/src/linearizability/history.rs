//! What clients saw: calls, answers, and the order in which they happened.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// The calls of any number of clients, in the order in which they were invoked and answered.
///
/// Whoever records must call [`invoke`](Self::invoke) before the call leaves and
/// [`complete`](Self::complete) after the answer has arrived; then an operation recorded as
/// answered before another was invoked really was.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(super) operations: Vec<Operation>,
    /// The reads that were not ordered, by their places.
    unordered: BTreeSet<usize>,
    /// Counts invocations and answers; the time axis of the history.
    instant: u64,
}

/// Names an operation of one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(pub(crate) usize);

/// One operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called; only for explanations.
    pub client: u32,
    /// The key the operation is about.
    pub key: Vec<u8>,
    /// What was asked.
    pub call: Call,
    /// The instant of the call.
    pub invoked: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Read the key.
    Get,
    /// Set the key.
    Put(Vec<u8>),
    /// Remove the key.
    Delete,
    /// Set the key if it holds what is expected: etcd's transaction with one comparison.
    CompareAndSwap {
        /// The condition.
        expected: Expected,
        /// The new value.
        value: Vec<u8>,
    },
}

/// The condition of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The key exists and has this value.
    Value(Vec<u8>),
    /// The key was last modified at this revision; 0 means that it is absent.
    ModRevision(u64),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer came: it may have been executed, may still be, or never.
    Unknown,
    /// It was answered.
    Answered {
        /// The instant of the answer.
        at: u64,
        /// The answer.
        answer: Answer,
    },
}

/// An answer as etcd gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The revision in the answer's header: that of the store just after the operation.
    pub revision: u64,
    /// What the operation did or found.
    pub response: Response,
}

/// What an operation did or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To a get: what was there, if anything.
    Got(Option<Found>),
    /// To a put.
    Put,
    /// To a delete: whether there was anything to remove.
    Deleted(bool),
    /// To a compare-and-swap: whether the condition held and the key was set.
    Swapped(bool),
}

/// A key's content as a get shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Vec<u8>,
    /// The revision at which the key was last modified.
    pub mod_revision: u64,
}

impl History {
    /// Records that `client` calls now.
    pub fn invoke(&mut self, client: u32, key: &[u8], call: Call) -> OperationId {
        let invoked = self.next_instant();
        let outcome = Outcome::Unknown;
        self.operations.push(Operation { client, key: key.to_vec(), call, invoked, outcome });
        OperationId(self.operations.len() - 1)
    }

    /// Records that the answer to `operation` has arrived. A second answer is ignored: a client
    /// acts on the first. An operation that is never completed counts as of unknown outcome.
    pub fn complete(&mut self, operation: OperationId, answer: Answer) {
        let at = self.next_instant();
        if let Some(operation) = self.operations.get_mut(operation.0)
            && operation.outcome == Outcome::Unknown
        {
            operation.outcome = Outcome::Answered { at, answer };
        }
    }

    /// Records that `operation`, a get, was answered with what a quorum of replicas showed, each at a
    /// revision of its own. The revision in the answer is one at which the key was so; it need not
    /// be the store's latest, so answers for other keys say nothing about it. Its place among the
    /// operations on its own key is not before any that was answered before it was invoked.
    pub fn complete_unordered(&mut self, operation: OperationId, mut answer: Answer) {
        let Some(read) = self.operations.get(operation.0) else { return };
        let earlier = self.operations.iter().filter(|o| o.key == read.key);
        let earlier = earlier.filter(|o| o.answered() < read.invoked);
        let known = earlier.filter_map(|o| o.answer()).map(|answer| answer.revision).max();
        answer.revision = answer.revision.max(known.unwrap_or(0));
        self.unordered.insert(operation.0);
        self.complete(operation, answer);
    }

    /// Whether the operation at this place was not ordered.
    pub(super) fn is_unordered(&self, place: usize) -> bool {
        self.unordered.contains(&place)
    }

    /// The operations in order of invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How many operations were answered.
    pub fn answered_count(&self) -> usize {
        self.operations.iter().filter(|operation| operation.answer().is_some()).count()
    }

    pub(super) fn by_key(&self) -> BTreeMap<&[u8], Vec<&Operation>> {
        let mut keys: BTreeMap<&[u8], Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            keys.entry(&operation.key).or_default().push(operation);
        }
        keys
    }

    fn next_instant(&mut self) -> u64 {
        self.instant += 1;
        self.instant
    }
}

impl Operation {
    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Unknown => None,
            Outcome::Answered { answer, .. } => Some(answer),
        }
    }

    /// The instant of the answer; the end of time if there was none.
    pub(super) fn answered(&self) -> u64 {
        match self.outcome {
            Outcome::Unknown => u64::MAX,
            Outcome::Answered { at, .. } => at,
        }
    }

    /// The content this operation gave the key, if its answer says that it did: outer `None` for
    /// no modification, inner `None` for a removal.
    pub(super) fn modification(&self) -> Option<Option<&[u8]>> {
        match (&self.call, &self.answer()?.response) {
            (Call::Put(value), Response::Put)
            | (Call::CompareAndSwap { value, .. }, Response::Swapped(true)) => Some(Some(value)),
            (Call::Delete, Response::Deleted(true)) => Some(None),
            _ => None,
        }
    }

    pub(super) fn is_well_formed(&self) -> bool {
        let Some(answer) = self.answer() else {
            return true;
        };
        matches!(
            (&self.call, &answer.response),
            (Call::Get, Response::Got(_))
                | (Call::Put(_), Response::Put)
                | (Call::Delete, Response::Deleted(_))
                | (Call::CompareAndSwap { .. }, Response::Swapped(_))
        )
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.invoked < other.answered() && other.invoked < self.answered()
    }
}

impl fmt::Display for Operation {
    /// One line: `client 3: put k = v -> done, revision 7 [12..15]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = Bytes(&self.key);
        write!(f, "client {}: ", self.client)?;
        match &self.call {
            Call::Get => write!(f, "get {key}")?,
            Call::Put(value) => write!(f, "put {key} = {}", Bytes(value))?,
            Call::Delete => write!(f, "delete {key}")?,
            Call::CompareAndSwap { expected: Expected::Value(expected), value } => {
                write!(f, "set {key} = {} if it is {}", Bytes(value), Bytes(expected))?;
            }
            Call::CompareAndSwap { expected: Expected::ModRevision(revision), value } => {
                write!(f, "set {key} = {} if modified at {revision}", Bytes(value))?;
            }
        }
        let Outcome::Answered { at, answer } = &self.outcome else {
            return write!(f, " -> unknown [{}..]", self.invoked);
        };
        match &answer.response {
            Response::Got(None) => write!(f, " -> absent")?,
            Response::Got(Some(found)) => {
                write!(f, " -> {} modified at {}", Bytes(&found.value), found.mod_revision)?;
            }
            Response::Put => write!(f, " -> done")?,
            Response::Deleted(true) | Response::Swapped(true) => write!(f, " -> yes")?,
            Response::Deleted(false) | Response::Swapped(false) => write!(f, " -> no")?,
        }
        write!(f, ", revision {} [{}..{at}]", answer.revision, self.invoked)
    }
}

/// Bytes as a person can read them, cut when they are many.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// So many bytes of a key or value are shown.
const SHOWN_BYTES_MAX: usize = 40;

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN_BYTES_MAX).unwrap_or(self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.0.len() { write!(f, "...") } else { Ok(()) }
    }
}
