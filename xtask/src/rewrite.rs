//! The commands that write: golden files and traces, formatting, clippy's own corrections.

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// Tests that compare with a file rewrite the file instead when this is set.
const BLESS_VARIABLE: &str = "QUORATE_BLESS";

/// Rewrites every golden file and scenario trace from what the code does now. A changed file is
/// committed only with a sentence that explains the change.
pub(crate) fn bless(root: &Path) -> Result<()> {
    let mut command = cargo(root, &["test", "--workspace", "--quiet"]);
    run(command.env(BLESS_VARIABLE, "1"))?;
    println!("blessed; read the difference before you commit it");
    Ok(())
}

/// Formats, and applies what clippy can apply by itself.
pub(crate) fn fix(root: &Path) -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty"];
    run(&mut cargo(root, &clippy))?;
    run(&mut cargo(root, &["fmt", "--all"]))
}

/// Cargo with `arguments`, at the root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    command
}

/// Runs `command` to its end and fails unless it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` to its end and returns what it printed; fails unless it succeeded.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {complaint}", shown(command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
