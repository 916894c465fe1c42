//! Practical Byzantine Fault Tolerance (Castro and Liskov, OSDI '99 and TOCS 2002) as a value.
//!
//! This crate is the protocol and nothing else: no socket, no file, no clock, no thread, no random
//! source. A [`Replica`] and a [`Client`] are state machines that are told what happened and say
//! what to do.
//!
//! # The contract with the host of a replica
//!
//! ```text
//! replica.step(now, input, &mut outputs)      infallible, never blocks
//! replica.next_deadline()                     when to call it with Input::Tick at the latest
//! ```
//!
//! 1. Bytes from others are decoded ([`wire::decode`]) and pass the door ([`Config::admit`]); only
//!    then are they an [`Input`].
//! 2. The host carries the [`Output`]s out in their order. A message leaves only when every record
//!    up to the position it names is durable. This is the one duty on which safety rests.
//! 3. Questions among the outputs are answered by an input, in the order asked.
//! 4. After a crash the replica is rebuilt by [`Replica::recover`] from the last durable
//!    snapshot's position and every record behind it, in their order.
//! 5. After [`Output::Halt`] the host stops: the replica doubts its own state.
//!
//! The rules are numbered in `docs/protocol.md`, and cited like this: [PP3].
#![no_std]
#![warn(missing_docs)]
#![cfg_attr(
    doc,
    expect(rustdoc::broken_intra_doc_links, reason = "[PP3] cites a rule, it is no link")
)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

extern crate alloc;

mod auth;
mod client;
mod config;
mod decision;
mod digest;
mod event;
mod fault;
mod input;
pub mod message;
mod output;
mod quorum;
mod record;
mod rejoin;
mod replica;
mod service;
mod slot;
mod types;
pub mod wire;

pub use auth::{
    Claim, Domain, Sender, Signature, Signed, SignedRequest, SigningKey, VerificationKey, Verified,
};
pub use client::{
    Client, ClientOutput, ClientParameters, Completion, OperationId, ReadAgain, ReplyRule,
    SubmitError,
};
pub use config::{
    BATCH_BYTES_MAX, CLIENT_COUNT_MAX, CLOCK_SKEW_MAX, Config, ConfigError, LOG_WINDOW_MAX,
    Parameters, REPLICA_COUNT_MAX,
};
pub use digest::Digest;
pub use event::{Event, ViewChangeCause};
pub use fault::{Conviction, Evidence, HaltReason, Reject};
pub use input::{ClientWindow, Execution, Input, StateMirror};
pub use message::Message;
pub use output::{Output, Recipients};
pub use quorum::Quorums;
pub use record::Record;
pub use rejoin::{Rejoined, Rejoins};
pub use replica::{
    Boot, Held, REJOIN_GAP, REJOIN_GAP_TOLERANCE, Recovered, Replica, ReplicaStatus,
};
pub use service::{CHOICE_BYTES_MAX, Context, KEY_BYTES_MAX, Reading, Service, State, StateRead};
pub use types::{
    ClientId, Epoch, Incarnation, Now, Position, ReplicaId, SeqNum, Session, Time, Timestamp, View,
    WallTime,
};
