//! The `quorate` command: everything a person does with a cluster.
//!
//! `args.rs` declares what can be asked for, `commands/` does it, `render.rs` shows it. Data goes
//! to standard output, everything else to standard error. The exit code is 0 for success, 1 when a
//! property does not hold or a verdict is negative, 2 when the usage or the environment is wrong.
//!
//! Without the feature `cluster` it is the simulator alone, `quorate lab`.

mod args;
#[cfg(feature = "cluster")]
mod bench;
mod commands;
#[cfg(feature = "cluster")]
mod demo;
#[cfg(feature = "cluster")]
mod descriptors;
mod failure;
#[cfg(feature = "cluster")]
mod logging;
#[cfg(feature = "cluster")]
mod processes;
#[cfg(feature = "cluster")]
mod recorder;
mod render;
#[cfg(feature = "cluster")]
mod services;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    #[cfg(feature = "cluster")]
    logging::start(&args.command);
    match commands::run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
