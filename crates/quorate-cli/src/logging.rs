//! What the program says about its work: lines on standard error, for replicas and gateways.

use crate::args::Command;
use crate::args::cluster::ClusterCommand;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as in `QUORATE_LOG=debug`.
const VARIABLE: &str = "QUORATE_LOG";

/// Starts logging. What runs for long says what it does, what a person waits for only what is
/// wrong.
pub(crate) fn start(command: &Command) {
    let default = match command {
        Command::Cluster(ClusterCommand::Replica(_) | ClusterCommand::Gateway(_)) => "info",
        _ => "error",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(is_coloured)
        .init();
}
