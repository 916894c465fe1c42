//! The `quorate` command: everything a person does with a cluster.
//!
//! `args.rs` declares what can be asked for, `commands/` does it, `render.rs` shows it. Data goes
//! to standard output, everything else to standard error. The exit code is 0 for success, 1 when a
//! property does not hold or a verdict is negative, 2 when the usage or the environment is wrong.

mod args;
mod commands;
mod demo;
mod failure;
mod logging;
mod processes;
mod recorder;
mod render;
mod services;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    logging::start(&args.command);
    match commands::run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
