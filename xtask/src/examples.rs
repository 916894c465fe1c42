//! The examples, compiled and run: those inside the workspace, then the package outside it that
//! depends on the facade alone, as an embedder's would.

use crate::rewrite::{cargo, output, run as execute, shown};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const OWN_SERVICE: &str = "examples/own-service/Cargo.toml";

/// Runs them all, and holds them to what they say.
pub(crate) fn run(root: &Path) -> Result<()> {
    execute(&mut cargo(root, &["build", "--locked", "--workspace", "--examples"]))?;
    let counted = output(&mut example(root, "counter"))?;
    print!("{counted}");
    if !counted.contains("count 3") {
        bail!("the counter did not count to three");
    }
    client_adds_up(root)?;
    own_service(root)
}

fn example(root: &Path, name: &str) -> std::process::Command {
    cargo(root, &["run", "--quiet", "--locked", "--package", "quorate", "--example", name])
}

/// A client in a process of its own adds to the counter of another process.
fn client_adds_up(root: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let counter = Served::start(root, folder.path())?;
    let mut sums = Vec::new();
    for number in ["5", "6"] {
        let mut command = example(root, "client");
        command.arg("--").arg(folder.path().join("client-1")).arg(number);
        sums.push(output(&mut command)?.trim().to_owned());
    }
    drop(counter);
    println!("the client added 5 and 6: {}", sums.join(", "));
    if sums != ["5", "11"] {
        bail!("the sums should be 5 and 11");
    }
    Ok(())
}

/// The counter, serving from a folder until this is dropped.
struct Served(Child);

impl Served {
    fn start(root: &Path, folder: &Path) -> Result<Self> {
        let mut command = example(root, "counter");
        command.arg("--").arg(folder).stdout(Stdio::piped());
        let mut child = Self(command.spawn()?);
        let stdout = child.0.stdout.take().context("its output is piped")?;
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready)?;
        if ready.is_empty() {
            bail!("{} did not start", shown(&command));
        }
        Ok(child)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own_service(root: &Path) -> Result<()> {
    // One folder for everything that is built, so that what both need is built once.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let command = |arguments: &[&str]| {
        let mut command = cargo(root, arguments);
        command.args(["--manifest-path", OWN_SERVICE]).env("CARGO_TARGET_DIR", &target);
        command
    };
    execute(&mut command(&["fmt", "--check"]))?;
    execute(command(&["clippy", "--locked", "--all-targets"]).args(["--", "-D", "warnings"]))?;
    execute(&mut command(&["test", "--locked"]))?;
    let folder = tempfile::tempdir()?;
    let mut demo = command(&["run", "--quiet", "--locked"]);
    execute(demo.args(["--", "demo"]).arg(folder.path()))
}
