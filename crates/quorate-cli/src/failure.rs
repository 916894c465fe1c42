//! How commands fail: one line on standard error, and an exit code that says of what kind it is.

use std::io::{self, Write};
use std::process::ExitCode;

/// A property does not hold, there is no progress, or the verdict is negative: exit code 1.
/// Every other failure is one of the usage or the environment: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Negative(pub(crate) String);

/// The verdict was shown already; only the exit code is left to give.
#[derive(Debug, thiserror::Error)]
#[error("the verdict is negative")]
pub(crate) struct Shown;

/// Tells why a command failed.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads the output has seen enough, for instance `head`.
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Shown>() {
        return ExitCode::from(1);
    }
    // Where even this cannot be written there is nobody to tell.
    let _ = writeln!(io::stderr(), "quorate: {}", in_one_line(error));
    ExitCode::from(if error.is::<Negative>() { 1 } else { 2 })
}

/// An error and its causes. Most of ours name their cause in their own words, and then it is not
/// said again.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it: {source}; look there")]
    struct Named {
        source: io::Error,
    }

    #[test]
    fn cause_is_said_once() {
        let named = Named { source: io::Error::other("no disk") };
        let error = anyhow::Error::new(named).context("cannot start");
        assert_eq!(in_one_line(&error), "cannot start: cannot read it: no disk; look there");
        let unnamed = Err::<(), _>(io::Error::other("no disk")).context("cannot start");
        assert_eq!(in_one_line(&unnamed.unwrap_err()), "cannot start: no disk");
    }
}
