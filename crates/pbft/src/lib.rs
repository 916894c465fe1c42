//! Practical Byzantine Fault Tolerance as a value.
#![no_std]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

extern crate alloc;

mod digest;
mod service;
mod types;

pub use digest::Digest;
pub use service::{CHOICE_BYTES_MAX, Context, KEY_BYTES_MAX, Service, State, StateRead};
pub use types::{
    ClientId, Epoch, Incarnation, Now, Position, ReplicaId, SeqNum, Session, Time, Timestamp, View,
    WallTime,
};
