//! One key of the store as the search imagines it, and what each operation does to it.

use super::history::{Answer, Bytes, Call, Expected, Operation, Response};
use core::fmt;

/// What a key holds at one point of an imagined order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Register {
    /// The value; `None` when the key is absent.
    value: Option<Vec<u8>>,
    /// The revision of the last modification. `None` if that was an operation of unknown outcome
    /// whose revision nobody mentions, so that no comparison with a mentioned one can succeed.
    mod_revision: Option<u64>,
    /// The highest revision the store is known to have reached.
    revision: u64,
    /// The last operation was one of unknown outcome: the next has to notice it.
    unnoticed: bool,
}

impl Register {
    /// The key before the history begins.
    pub(super) const ABSENT: Self =
        Self { value: None, mod_revision: Some(0), revision: 0, unnoticed: false };

    /// The highest revision the store is known to have reached.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The register after an operation that was answered; `None` if at this point it would have
    /// been answered otherwise.
    pub(super) fn answered(&self, call: &Call, answer: &Answer) -> Option<Self> {
        let modified = match (call, &answer.response) {
            (Call::Get, Response::Got(found)) => {
                let expected = found.as_ref().map(|f| (f.value.as_slice(), Some(f.mod_revision)));
                (self.content() == expected).then_some(None)?
            }
            (Call::Put(value), Response::Put) => {
                (!self.unnoticed).then(|| Some(Some(value.clone())))?
            }
            (Call::Delete, Response::Deleted(existed)) => {
                (self.value.is_some() == *existed).then(|| existed.then_some(None))?
            }
            (Call::CompareAndSwap { expected, value }, Response::Swapped(swapped)) => {
                (self.holds(expected) == *swapped).then(|| swapped.then(|| Some(value.clone())))?
            }
            _ => return None,
        };
        let revision = answer.revision;
        let Some(value) = modified else {
            let known = Self { revision, unnoticed: false, ..self.clone() };
            return (revision >= self.revision).then_some(known);
        };
        let mod_revision = Some(if value.is_some() { revision } else { 0 });
        let written = Self { value, mod_revision, revision, unnoticed: false };
        (revision > self.revision).then_some(written)
    }

    /// The value an operation of unknown outcome would give the key here (`None` inside: it would
    /// remove it). `None` if it would change nothing, or nothing that anybody could notice:
    /// then it need not be placed here.
    pub(super) fn unknown<'a>(&self, operation: &'a Operation) -> Option<Option<&'a [u8]>> {
        match &operation.call {
            Call::Get => None,
            Call::Put(value) => (!self.unnoticed).then_some(Some(value)),
            Call::Delete => (!self.unnoticed && self.value.is_some()).then_some(None),
            Call::CompareAndSwap { expected, value } => self.holds(expected).then_some(Some(value)),
        }
    }

    /// The register after an operation of unknown outcome that set `value` at `revision`, which
    /// is mentioned by some answer or by none.
    pub(super) fn modified(value: Option<&[u8]>, revision: u64, mentioned: bool) -> Self {
        let mod_revision = match value {
            None => Some(0),
            Some(_) => mentioned.then_some(revision),
        };
        Self { value: value.map(<[u8]>::to_vec), mod_revision, revision, unnoticed: true }
    }

    fn content(&self) -> Option<(&[u8], Option<u64>)> {
        self.value.as_ref().map(|value| (value.as_slice(), self.mod_revision))
    }

    fn holds(&self, expected: &Expected) -> bool {
        match expected {
            Expected::Value(value) => self.value.as_ref() == Some(value),
            Expected::ModRevision(revision) => self.mod_revision == Some(*revision),
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.mod_revision) {
            (None, _) => write!(f, "nothing")?,
            (Some(value), None) => write!(f, "{} modified at some revision", Bytes(value))?,
            (Some(value), Some(revision)) => {
                write!(f, "{} modified at {revision}", Bytes(value))?;
            }
        }
        write!(f, ", the store being at revision {} or later", self.revision)
    }
}
