//! The operations that callers ask for.

use crate::services::NULL;
use anyhow::{Result, bail, ensure};
use pbft::SeqNum;
use pbft::message::Operation;
use quorate_net::{Client, Queried};
use quorate_services::null;
use tokio::time::Instant;

/// What is asked for again and again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Nothing, with so many bytes in each direction.
    Nothing {
        /// Bytes of each operation.
        argument: usize,
        /// Bytes of each result.
        result: u32,
        asked: Asked,
    },
}

/// Whether operations are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Each is.
    Ordered,
    /// Replicas read it in what they have executed.
    Read,
}

impl Work {
    /// Nothing at all, ordered.
    pub(super) const EMPTY: Self = Self::Nothing { argument: 0, result: 0, asked: Asked::Ordered };

    /// Asks for one operation: in which place the caller stands, and how many it has asked for
    /// before.
    ///
    /// # Errors
    /// If it failed, or its result is not what it should be.
    pub(super) async fn ask(self, client: &Client, _: (u32, u32), deadline: Instant) -> Result<()> {
        match self {
            Self::Nothing { argument, result, asked } => {
                let body = null::operation(argument, result);
                let operation = Operation { service: NULL, body };
                let answer = match asked {
                    Asked::Ordered => client.submit(operation, deadline).await?,
                    Asked::Read => read(client, operation, deadline).await?,
                };
                ensure!(
                    answer.len() == result as usize,
                    "an operation of the service that does nothing was answered with {} bytes",
                    answer.len()
                );
                Ok(())
            }
        }
    }
}

async fn read(client: &Client, operation: Operation, deadline: Instant) -> Result<Vec<u8>> {
    match client.query(operation, SeqNum::ZERO, deadline).await? {
        Queried::Agreed(reading) => Ok(reading.content),
        Queried::NotAgreed(_) => bail!("replicas that change nothing did not agree"),
    }
}
