//! A seeded simulated world, adversaries and checkers for the unchanged replica.
//!
//! One seed decides everything that happens in a run, so a run is replayed by its seed alone.
#![warn(missing_docs)]

pub mod answers;
pub mod calibrate;
pub mod corner;
pub mod counts;
pub mod culprits;
pub mod linearizability;
pub mod network;
pub mod pace;
pub mod processes;
pub mod record;
pub mod replay;
pub mod report;
pub mod rng;
pub mod scenario;
pub mod shrink;
pub mod small_scope;
pub mod swarm;
pub mod trace;
pub mod twins;
pub mod watched;
pub mod workload;
pub mod world;

mod checker;
mod restated;
mod subject;

pub use checker::Violation;
pub use workload::forge_store_outcome;
