//! The golden files of the core, as the bytes they are.

use super::Seed;

pub(super) const MESSAGES: &str = include_str!("../../../../crates/pbft/tests/golden/wire-1.hex");
pub(super) const RECORDS: &str = include_str!("../../../../crates/pbft/tests/golden/record-1.hex");
pub(super) const EVIDENCE: &str =
    include_str!("../../../../crates/pbft/tests/golden/evidence-1.hex");

/// Each entry of a file, named by its title.
pub(super) fn entries(file: &str) -> Vec<Seed> {
    let mut lines = file.lines();
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        let Some((title, _)) = line.split_once(':').filter(|_| line.ends_with(" bytes")) else {
            continue;
        };
        let name = title.trim_start_matches("# ").to_lowercase();
        let hex = lines.by_ref().take_while(|line| !line.is_empty());
        entries.push((name.replace(", ", "-").replace(' ', "-"), hex.flat_map(decoded).collect()));
    }
    entries
}

fn decoded(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    hex.trim().as_bytes().chunks(2).map(byte).collect()
}
