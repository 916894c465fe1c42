//! A running replica: threads, clock, sockets, configuration and the admin endpoint.
//!
//! Everything that decides anything lives in the inner rings; here it is given a machine to run
//! on. Read [`cluster`] for the public file all members share, [`home`] for the folder of one
//! process, [`setup`] for how both come to be, and [`node`] for the threads.
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

pub mod admin;
pub mod cluster;
pub mod home;
pub mod node;
pub mod setup;

mod durable_file;
mod work_queue;
