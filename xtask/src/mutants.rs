//! Deliberate faults of the protocol: each is put into a copy of the project, and the swarm has to
//! find it. The project itself contains none of them.

use crate::rewrite::{cargo, run as execute};
use crate::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Where the faults are listed.
pub(crate) const LIST: &str = "crates/quorate-lab/mutants.toml";

/// So many worlds, and so many seconds, the swarm may take to find one.
const SEEDS_MAX: &str = "20000";
const SPAN_MAX: Duration = Duration::from_secs(300);

/// A text that replaces another one that stands once in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// The rule of the protocol that it breaks.
    pub(crate) rule: String,
    pub(crate) file: String,
    find: String,
    replace: String,
}

impl Mutant {
    /// All that a list contains.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>> {
        let table: toml::Table = text.parse()?;
        let list = table.get("mutant").and_then(toml::Value::as_array);
        let list = list.context("there is no [[mutant]]")?;
        list.iter().map(Self::from_entry).collect()
    }

    fn from_entry(entry: &toml::Value) -> Result<Self> {
        let field = |name: &str| {
            let value = entry.get(name).and_then(toml::Value::as_str);
            value.map(str::to_owned).with_context(|| format!("a mutant has no '{name}'"))
        };
        Ok(Self {
            name: field("name")?,
            rule: field("rule")?,
            file: field("file")?,
            find: field("find")?,
            replace: field("replace")?,
        })
    }

    /// The file with the fault in it.
    pub(crate) fn apply(&self, text: &str) -> Result<String> {
        let count = text.matches(&self.find).count();
        ensure!(count == 1, "what '{}' replaces stands {count} times in {}", self.name, self.file);
        Ok(text.replace(&self.find, &self.replace))
    }
}

/// Puts each fault whose name contains `part` into a copy, hunts it, and prints a table row for
/// each. Fails if one is not found.
pub(crate) fn run(root: &Path, part: &str) -> Result<()> {
    let tree = Tree::read(root)?;
    let list = tree.get(LIST).with_context(|| format!("{LIST} is missing"))?;
    let mutants = Mutant::parse(list)?;
    let folder = root.join("target/mutants");
    let copy = folder.join("copy");
    for (path, text) in tree.files() {
        write_if_other(&copy.join(path), text)?;
    }
    let mut missed = Vec::new();
    println!("| fault | rule | found as | seed | runs | seconds |\n|---|---|---|--:|--:|--:|");
    for mutant in mutants.iter().filter(|mutant| mutant.name.contains(part)) {
        let original = tree.get(&mutant.file).with_context(|| format!("no {}", mutant.file))?;
        let mutated = copy.join(&mutant.file);
        write_if_other(&mutated, &mutant.apply(original)?)?;
        let found = hunt(&copy, &folder)?;
        write_if_other(&mutated, original)?;
        println!("| {} | {} | {found} |", mutant.name, mutant.rule);
        if found.starts_with(NOTHING) {
            missed.push(mutant.name.as_str());
        }
    }
    if !missed.is_empty() {
        bail!("not found: {}", missed.join(", "));
    }
    Ok(())
}

/// What a table says of a fault that the swarm has not found.
const NOTHING: &str = "**nothing**";

/// Builds the copy and has its swarm hunt. Returns the last columns of the row.
fn hunt(copy: &Path, folder: &Path) -> Result<String> {
    let arguments = ["--quiet", "--locked", "--profile", "mutants", "--package", "quorate-lab"];
    let mut build = cargo(copy, &[&["build"], &arguments[..], &["--example", "hunt"]].concat());
    let target = folder.join("target");
    build.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "--cap-lints=allow");
    if let Err(error) = execute(&mut build) {
        return Ok(format!("{NOTHING}: {error} | | |"));
    }
    let begun = Instant::now();
    let mut hunt = Command::new(target.join("mutants/examples/hunt"));
    let mut hunt = hunt.args(["0", SEEDS_MAX]).stdout(Stdio::piped()).spawn()?;
    let said = last_line(hunt.stdout.take().context("its output is piped")?);
    let said = said.recv_timeout(SPAN_MAX);
    // Gone already, unless its time is over.
    hunt.kill()?;
    hunt.wait()?;
    let seconds = begun.elapsed().as_secs_f64();
    let Ok(said) = said else { return Ok(format!("{NOTHING} | | | {seconds:.0}")) };
    let found: Vec<&str> = said.strip_prefix("found: ").unwrap_or_default().split("; ").collect();
    match found[..] {
        [finding, seed, runs] => Ok(format!("{finding} | {seed} | {runs} | {seconds:.1}")),
        _ => Ok(format!("{NOTHING}: {said} | | | {seconds:.0}")),
    }
}

/// The last line that a process prints, once it has ended.
fn last_line(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(output).lines();
        let last = lines.map_while(Result::ok).last().unwrap_or_default();
        // Whoever asked may have stopped waiting.
        let _ = sender.send(last);
    });
    receiver
}

/// Files that stay as they are keep their age, so that nothing is compiled in vain.
fn write_if_other(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
