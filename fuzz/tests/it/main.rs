//! What holds of the corpus, on a stable compiler: `replay` runs it, `reached` says what it gets
//! to, and `seeds` writes what it began with.

mod reached;
mod replay;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the corpus of a target.
fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The contents of the files in a folder; none if there is no folder.
fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    paths.map(|path| fs::read(path).expect("an input can be read")).collect()
}
