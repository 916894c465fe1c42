//! The project's own checks, one entry for whoever changes the code and for CI.
//!
//! `cargo xtask ci` runs everything in order of cost and changes nothing; `fix` and `bless` are the
//! only commands that write, and each writes what its name says.
#![expect(clippy::print_stdout, reason = "printing is what these commands are for")]

mod ci;
mod examples;
mod mutants;
mod rewrite;
mod rust_source;
mod tidy;
mod tree;

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  ci      format, tidy, clippy, tests, examples, documentation, licences; changes nothing
  tidy    the rules of the house that no other tool knows
  mutants [PART]  put deliberate faults (whose name contains PART) into a copy, and have the
          swarm find them
  rules   the protocol's rules with the code and the tests that cite each
  bless   rewrite golden files and scenario traces from what the code does now
  fix     format, and apply what clippy can apply by itself";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ci"] => ci::run(&root),
        ["tidy"] => tidy::run(&root),
        ["mutants"] => mutants::run(&root, ""),
        ["mutants", part] => mutants::run(&root, part),
        ["rules"] => tidy::print_rules(&root),
        ["bless"] => rewrite::bless(&root),
        ["fix"] => rewrite::fix(&root),
        _ => bail!("{USAGE}"),
    }
}

/// The root of the workspace. Cargo names the package it runs; what was compiled in is only right
/// while no other work tree builds into the same target folder.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let mut root = package.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.pop();
    root
}
