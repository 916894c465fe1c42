//! What a service does while it executes one operation, step by step, and what it is told.

use core::fmt;
use pbft::{Context, State, StateRead, WallTime};
use std::cell::RefCell;

/// One step of an execution: something the service was given, or something it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was given what the replicas agreed on: the time and the primary's choice.
    Given(WallTime, Vec<u8>),
    /// It asked for the value of a key.
    Gets(Vec<u8>),
    /// It was given the value, or told that there is none.
    Got(Option<Vec<u8>>),
    /// It asked for the entries from one key on, up to another if there is one.
    Scans(Vec<u8>, Option<Vec<u8>>),
    /// It was shown an entry.
    Shown(Vec<u8>, Vec<u8>),
    /// There were no more entries.
    Exhausted,
    /// It wanted no more entries.
    Stops,
    /// It set a key to a value.
    Puts(Vec<u8>, Vec<u8>),
    /// It removed a key.
    Deletes(Vec<u8>),
    /// It returned a result.
    Returns(Vec<u8>),
}

impl Step {
    /// Whether the service was given this, so that another one in its place is none of its doing.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given(..) | Self::Got(_) | Self::Shown(..) | Self::Exhausted)
    }
}

/// The state, with notes of every step.
pub(super) struct Witness<'a> {
    state: &'a mut dyn State,
    steps: RefCell<Vec<Step>>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(context: &Context<'_>, state: &'a mut dyn State) -> Self {
        let given = Step::Given(context.time, context.choice.to_vec());
        Self { state, steps: RefCell::new(vec![given]) }
    }

    pub(super) fn into_steps(self, result: &[u8]) -> Vec<Step> {
        self.note(Step::Returns(result.to_vec()));
        self.steps.into_inner()
    }

    fn note(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }
}

impl StateRead for Witness<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.note(Step::Gets(key.to_vec()));
        let value = self.state.get(key);
        self.note(Step::Got(value.clone()));
        value
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        self.note(Step::Scans(start.to_vec(), end.map(<[u8]>::to_vec)));
        let mut goes_on = true;
        self.state.scan(start, end, &mut |key, value| {
            self.note(Step::Shown(key.to_vec(), value.to_vec()));
            goes_on = visit(key, value);
            goes_on
        });
        self.note(if goes_on { Step::Exhausted } else { Step::Stops });
    }
}

impl State for Witness<'_> {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.note(Step::Puts(key.to_vec(), value.clone()));
        self.state.put(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.note(Step::Deletes(key.to_vec()));
        self.state.delete(key);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(time, choice) => {
                write!(f, "was given time {} ms and choice {}", time.as_millis(), Readable(choice))
            }
            Self::Gets(key) => write!(f, "asked for {}", Readable(key)),
            Self::Got(Some(value)) => write!(f, "got {}", Readable(value)),
            Self::Got(None) => f.write_str("got nothing"),
            Self::Scans(start, Some(end)) => {
                write!(f, "asked for all from {} up to {}", Readable(start), Readable(end))
            }
            Self::Scans(start, None) => write!(f, "asked for all from {}", Readable(start)),
            Self::Shown(key, value) => {
                write!(f, "was shown {} = {}", Readable(key), Readable(value))
            }
            Self::Exhausted => f.write_str("was shown no more"),
            Self::Stops => f.write_str("wanted to see no more"),
            Self::Puts(key, value) => write!(f, "set {} to {}", Readable(key), Readable(value)),
            Self::Deletes(key) => write!(f, "removed {}", Readable(key)),
            Self::Returns(result) => write!(f, "returned {}", Readable(result)),
        }
    }
}

/// Bytes as a person reads them: text as it is, the rest escaped, and not too much of it.
pub(crate) struct Readable<'a>(pub(crate) &'a [u8]);

/// How many bytes are shown of a key, a value or an operation.
const BYTES_SHOWN_MAX: usize = 100;

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..BYTES_SHOWN_MAX).unwrap_or(self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            left => write!(f, " and {left} bytes more"),
        }
    }
}
