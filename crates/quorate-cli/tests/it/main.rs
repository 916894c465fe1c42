//! The command as people run it: real processes on loopback, on ports the system chose.

#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod bench;
mod cards;
mod cluster;
mod demo;
mod errors;
mod faults;
mod from_python;
mod lab;
mod processes;
mod recordings;
mod rejoin;
mod strangers;
mod syscalls;
mod vices;
