//! Why an operation has no result, in sentences that name the next step.

use pbft::{Session, SubmitError};
use std::fmt;

/// What may have become of an operation without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not executed and never will be.
    NotExecuted,
    /// It may have been executed, or may yet be.
    Unknown,
    /// It was executed.
    Executed,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotExecuted => "the operation was not executed and will not be",
            Self::Unknown => "whether the operation was executed is unknown",
            Self::Executed => "the operation was executed",
        })
    }
}

/// Why an operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// At the deadline there were too few connections for any agreement.
    #[error(
        "only {reachable} replicas can be reached and {needed} must agree; {fate}; \
         start the others or look at the network"
    )]
    NoQuorum {
        /// Replicas with a connection.
        reachable: usize,
        /// Replicas that must agree.
        needed: usize,
        /// What may have become of the operation.
        fate: Fate,
    },
    /// At the deadline too few replicas had agreed on a result, though enough could be reached.
    #[error(
        "the replicas did not agree on a result in time; {fate}; \
         try again later, or ask the cluster for its status"
    )]
    Timeout {
        /// What may have become of the operation.
        fate: Fate,
    },
    /// The same identity is in use elsewhere.
    #[error(
        "another process has opened session {current} with this client's identity; \
         the operation was not executed and will not be; \
         give each process an identity of its own and start this one again"
    )]
    Fenced {
        /// The session that is open now.
        current: Session,
    },
    /// The operation is longer than a request may be.
    #[error("the operation is too large; the most is {bytes_max} bytes")]
    TooLarge {
        /// The most bytes an operation may have.
        bytes_max: usize,
    },
    /// Too many operations wait already.
    #[error("too many operations wait already; try again when some of them are done")]
    Overloaded,
    /// Executed, and no replica has the result any more.
    #[error("the operation was executed, but its result was not kept; read the state instead")]
    ResultLost,
    /// The session ended while the operation was under way.
    #[error(
        "whether the operation was executed is unknown, because the session ended; \
         read the state before trying again"
    )]
    Unknown,
    /// This client was closed.
    #[error("the client was closed; {fate}")]
    Closed {
        /// What may have become of the operation.
        fate: Fate,
    },
}

impl ClientError {
    /// What may have become of the operation.
    pub const fn fate(&self) -> Fate {
        match self {
            Self::NoQuorum { fate, .. } | Self::Timeout { fate } | Self::Closed { fate } => *fate,
            Self::Fenced { .. } | Self::TooLarge { .. } | Self::Overloaded => Fate::NotExecuted,
            Self::ResultLost => Fate::Executed,
            Self::Unknown => Fate::Unknown,
        }
    }
}

impl From<SubmitError> for ClientError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::TooLarge { bytes_max } => Self::TooLarge { bytes_max },
            SubmitError::Overloaded => Self::Overloaded,
            SubmitError::Fenced { current } => Self::Fenced { current },
        }
    }
}
