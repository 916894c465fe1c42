//! A seeded simulated world, adversaries and checkers for the unchanged replica.
//!
//! One seed decides everything that happens in a run, so a run is replayed by its seed alone.
#![warn(missing_docs)]

pub mod linearizability;
pub mod rng;
