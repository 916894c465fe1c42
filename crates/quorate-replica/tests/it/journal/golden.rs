//! The bytes on disk, pinned: a change here is a new format and needs a new version number.

use super::*;
use std::fmt::Write as _;

const GOLDEN_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal-1.hex");
const GOLDEN: &str = include_str!("../../golden/journal-1.hex");

/// A journal with every kind of frame, within a sector and across sectors.
fn journal() -> MemoryBackend {
    let backend = MemoryBackend::new();
    let mut journal = create(&backend).unwrap();
    write(&mut journal, &[b"PREPARE", b"", b"COMMIT"]).unwrap();
    write(&mut journal, &[&[0xaa; 520]]).unwrap();
    let base = journal.rotate(&[b"view 3"]).unwrap();
    write(&mut journal, &[b"end"]).unwrap();
    let before = files_of(&backend);
    journal.delete_before(base).unwrap();
    // The first segment once more, as if a crash had come before its removal was durable.
    disk_with(&[before[0].clone(), files_of(&backend).remove(0)])
}

/// 32 bytes a line, lines of zeros left out.
fn dump(backend: &MemoryBackend) -> String {
    let mut text = String::new();
    for (name, bytes) in files_of(backend) {
        writeln!(text, "{name} {} bytes", bytes.len()).unwrap();
        for (index, line) in bytes.chunks(32).enumerate() {
            if line.iter().any(|byte| *byte != 0) {
                write!(text, "{:06x}:", index * 32).unwrap();
                line.iter().for_each(|byte| write!(text, " {byte:02x}").unwrap());
                writeln!(text).unwrap();
            }
        }
    }
    text
}

fn parse(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        match line.split_once(':') {
            None => {
                let words: Vec<_> = line.split(' ').collect();
                files.push((words[0].to_owned(), vec![0; words[1].parse().unwrap()]));
            }
            Some((offset, bytes)) => {
                let offset = usize::from_str_radix(offset, 16).unwrap();
                let (_, file) = files.last_mut().unwrap();
                for (index, byte) in bytes.split_whitespace().enumerate() {
                    file[offset + index] = u8::from_str_radix(byte, 16).unwrap();
                }
            }
        }
    }
    files
}

#[test]
fn bytes_on_disk_are_those_of_format_1() {
    let text = dump(&journal());
    if std::env::var_os("QUORATE_BLESS").is_some() {
        std::fs::write(GOLDEN_PATH, text).unwrap();
        return;
    }
    assert_eq!(text, GOLDEN);
}

#[test]
fn journal_of_format_1_can_be_read() {
    let backend = disk_with(&parse(GOLDEN));
    let (_, records) = open(&backend).unwrap();
    assert_eq!(bytes_of(&records), [b"view 3".as_slice(), b"end"]);
    let backend = disk_with(&parse(GOLDEN)[..1]);
    let (_, records) = open(&backend).unwrap();
    assert_eq!(bytes_of(&records), [b"PREPARE".as_slice(), b"", b"COMMIT", &[0xaa; 520]]);
}
