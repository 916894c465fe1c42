//! The operations that callers ask for.

use crate::services::{NULL, STORE};
use anyhow::{Context, Result, bail, ensure};
use pbft::SeqNum;
use pbft::message::Operation;
use quorate_net::{Client, Queried};
use quorate_services::null;
use quorate_services::store::{Operation as StoreOperation, Outcome, PutRequest};
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
    /// Writes pairs of [`PAIR_BYTES`] into the store, all over so many keys.
    Put {
        /// How many.
        keys: u64,
    },
}

/// Whether operations are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Each is.
    Ordered,
    /// Replicas read it in what they have executed, if they do so.
    Read,
}

/// Bytes of a key and its value together.
pub(super) const PAIR_BYTES: usize = 256;

impl Work {
    /// Nothing at all, ordered.
    pub(super) const EMPTY: Self = Self::Nothing { argument: 0, result: 0, asked: Asked::Ordered };

    /// Asks for one operation: in which place the caller stands, and how many it has asked for
    /// before.
    ///
    /// # Errors
    /// If it failed, or its result is not what it should be.
    pub(super) async fn ask(
        self,
        client: &Client,
        (place, round): (u32, u32),
        deadline: Instant,
    ) -> Result<()> {
        match self {
            Self::Nothing { argument, result, asked } => {
                let body = null::operation(argument, result);
                let operation = Operation { service: NULL, body };
                let answer = match asked {
                    Asked::Read if client.reads_in_one_round() => {
                        read(client, operation, deadline).await?
                    }
                    Asked::Ordered | Asked::Read => client.submit(operation, deadline).await?,
                };
                ensure!(
                    answer.len() == result as usize,
                    "an operation of the service that does nothing was answered with {} bytes",
                    answer.len()
                );
                Ok(())
            }
            Self::Put { keys } => {
                let number = scattered(place, round) % keys;
                put(client, number, round, deadline).await
            }
        }
    }
}

/// A number that looks drawn at random (Knuth's multiplicative hash).
fn scattered(place: u32, round: u32) -> u64 {
    let both = (u64::from(place) << 32) | u64::from(round);
    both.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
}

async fn read(client: &Client, operation: Operation, deadline: Instant) -> Result<Vec<u8>> {
    match client.query(operation, SeqNum::ZERO, deadline).await? {
        Queried::Agreed(reading) => Ok(reading.content),
        Queried::NotAgreed(_) => bail!("replicas that change nothing did not agree"),
    }
}

/// Writes the pair of a number into the store; each round another value.
///
/// # Errors
/// If it was not written.
pub(super) async fn put(client: &Client, number: u64, round: u32, deadline: Instant) -> Result<()> {
    let key = format!("{number:016x}").into_bytes();
    let mut value = vec![0; PAIR_BYTES - key.len()];
    for (byte, salt) in value.iter_mut().zip(round.to_le_bytes().iter().chain(&key).cycle()) {
        *byte = *salt;
    }
    let request = PutRequest { key, value, lease: 0, prev_kv: false };
    let body = StoreOperation::Put(request).encode();
    let answer = client.submit(Operation { service: STORE, body }, deadline).await?;
    let outcome = Outcome::decode(&answer).context("the store answered something else")?;
    outcome.result.context("a put was refused")?;
    Ok(())
}
