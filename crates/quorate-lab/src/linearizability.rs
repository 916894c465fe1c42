//! Is a history of key-value operations linearizable, revisions included?
//!
//! A history is what clients saw: when each operation was invoked, when it was answered and with
//! what, or that its outcome stayed unknown. It is linearizable when every answered operation can
//! be given one instant between its invocation and its answer, and every unknown one such an
//! instant after its invocation or none at all, so that a single store executing them at those
//! instants would have given just these answers (Herlihy and Wing). The store meant here is etcd:
//! each modification gets a revision above all earlier ones, and each answer names the store's
//! revision at its instant.
//!
//! The check is the search of Wing and Gong with the memory of Lowe, one key at a time, which is
//! sound because linearizability is local. Two things keep it near linear where the plain search
//! is exponential. First, the revisions in the answers leave only one possible order of the
//! answered operations, so that only the unknown ones remain to be placed. Second, an unknown
//! operation is placed only directly before an operation that can tell the difference: anywhere
//! else a history with it is possible exactly when one without it is.
//!
//! It errs in one corner, and then by accepting: two operations of unknown outcome on *different*
//! keys, of which nobody saw the revision but somebody saw the effect, may be given the same one.

mod history;
mod register;
mod revisions;
mod search;

pub use history::{
    Answer, Call, Expected, Found, History, Operation, OperationId, Outcome, Response,
};
pub use register::Register;
pub use search::CONFIGURATIONS_COUNT_MAX;

use core::fmt;
use revisions::Revisions;

/// What the check of a history came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order exists that explains every answer.
    Linearizable,
    /// None exists; this is the smallest explanation of why.
    Violation(Box<Violation>),
}

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// `earlier` was answered before `later` was invoked, and yet `later` does not come after it
    /// in the order of revisions.
    RevisionWentBack {
        /// The operation that was answered first.
        earlier: Operation,
        /// The operation that was invoked afterwards.
        later: Operation,
    },
    /// Two operations name different modifications with the same revision.
    RevisionNamedTwice {
        /// The revision.
        revision: u64,
        /// One witness.
        first: Operation,
        /// The other.
        second: Operation,
    },
    /// Whatever the order of the operations before it, `operation` could not have been answered
    /// as it was.
    Impossible {
        /// The operation that cannot be explained.
        operation: Operation,
        /// What its key may have held at that point; at most [`Violation::POSSIBLE_COUNT_MAX`].
        possible: Vec<Register>,
        /// The operations on the same key that overlap it in time.
        concurrent: Vec<Operation>,
    },
}

impl Violation {
    /// An explanation lists no more than so many contents the key may have had.
    pub const POSSIBLE_COUNT_MAX: usize = 4;
}

/// Why a history cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The answer is not one of this kind of operation: a fault of whoever recorded it.
    #[error("the answer does not belong to the operation: {0}")]
    AnswerOfAnotherKind(Box<Operation>),
    /// Too many operations of unknown outcome on one key for the search.
    #[error(
        "the search on key {} gave up after {CONFIGURATIONS_COUNT_MAX} configurations",
        history::Bytes(key)
    )]
    SearchTooLarge {
        /// The key.
        key: Vec<u8>,
    },
}

/// Judges a history in which every key was absent at the start.
///
/// # Errors
///
/// When the history is malformed, or has so many operations of unknown outcome on one key that
/// the search exceeds its limit.
pub fn check(history: &History) -> Result<Verdict, CheckError> {
    if let Some(odd) = history.operations().iter().find(|operation| !operation.is_well_formed()) {
        return Err(CheckError::AnswerOfAnotherKind(Box::new(odd.clone())));
    }
    let revisions = match Revisions::of(history) {
        Ok(revisions) => revisions,
        Err(violation) => return Ok(Verdict::Violation(violation)),
    };
    for (key, operations) in history.by_key() {
        if let Some(violation) = search::search(key, &operations, &revisions)? {
            return Ok(Verdict::Violation(Box::new(violation)));
        }
    }
    Ok(Verdict::Linearizable)
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RevisionWentBack { earlier, later } => {
                writeln!(f, "the revision went back: after the answer to")?;
                writeln!(f, "  {earlier}")?;
                writeln!(f, "was received, a later call was answered")?;
                write!(f, "  {later}")
            }
            Self::RevisionNamedTwice { revision, first, second } => {
                writeln!(f, "revision {revision} names two different modifications:")?;
                writeln!(f, "  {first}")?;
                write!(f, "  {second}")
            }
            Self::Impossible { operation, possible, concurrent } => {
                writeln!(f, "no order of the operations explains")?;
                writeln!(f, "  {operation}")?;
                for register in possible {
                    writeln!(f, "the key may then have held {register}")?;
                }
                write!(f, "operations on this key at the same time: {}", concurrent.len())?;
                concurrent.iter().try_for_each(|other| write!(f, "\n  {other}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
