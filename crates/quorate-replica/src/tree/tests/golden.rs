//! The formats of `docs/storage.md`, section *State tree*, pinned: a change of one of these bytes
//! is a change of every replica's digest, and needs a new version of the format.

use super::*;
use crate::tree::assembler::Assembler;
use crate::tree::part::PartId;
use std::fmt::Write;

const GOLDEN: &str = include_str!("../../../tests/golden/state_tree.txt");

/// Three pages below two inner nodes; one page is a single empty entry, one has a large value.
fn small_tree() -> Tree {
    let mut tree = Tree::new();
    for (key, byte, length) in [
        (&b""[..], 0xa0, 0),
        (b"key", 0xa1, 20),
        (b"key of a long value", 0xa2, 1024),
        (b"key of a large value", 0xa3, 70_000),
        (b"\xf0", 0xa4, 1000),
        (b"\xf0\0", 0xa5, 1024),
        (b"\xff", 0xa6, 1000),
    ] {
        tree.put(key, vec![byte; length]);
    }
    tree
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Every part of the tree but long runs of equal bytes, its name, its digest, and a proof.
fn describe(tree: &Tree) -> String {
    let mut text = String::new();
    let root = tree.root_digest();
    writeln!(text, "root {root:#}").unwrap();
    let mut assembler = Assembler::new(root, Tree::new());
    while let Some(id) = assembler.wanted(1).pop() {
        let PartId { digest, .. } = &id;
        let part = tree.part(&id).unwrap();
        writeln!(text, "name {}", hex(&borsh::to_vec(&id).unwrap())).unwrap();
        writeln!(text, "digest {digest:#}").unwrap();
        writeln!(text, "part {}", shortened(&part)).unwrap();
        assembler.accept(&id, &part).unwrap();
    }
    for key in [&b"key"[..], b"absent"] {
        writeln!(text, "proof {}", shortened(&tree.prove(key).encode())).unwrap();
    }
    text
}

/// Hexadecimal digits, with every run of twenty or more equal bytes as `(byte x count)`.
fn shortened(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| match run {
        [byte, ..] if run.len() >= 20 => format!("({byte:02x} x {})", run.len()),
        _ => hex(run),
    });
    runs.collect()
}

#[test]
fn formats_are_those_that_were_published() {
    let mut described = format!("empty {:#}\n", Tree::new().root_digest());
    described += &describe(&small_tree());
    assert_eq!(described, GOLDEN, "\n{described}");
}
