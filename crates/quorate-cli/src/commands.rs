//! One module for each command.

#[cfg(feature = "cluster")]
pub(crate) mod cluster;
mod lab;

use crate::args::Command;
use anyhow::Result;

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        #[cfg(feature = "cluster")]
        Command::Cluster(command) => cluster::run(command),
        #[cfg(feature = "cluster")]
        Command::Bench(args) => crate::bench::run(&args),
        Command::Lab(args) => lab::run(&args),
    }
}
