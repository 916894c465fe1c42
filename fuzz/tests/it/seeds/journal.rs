//! Lives that end at every other place, one damage of each kind, and files of each oddity.

use super::Seed;

/// What a part of a segment file is, in `src/journal/image.rs`.
const FRAME: u8 = 0;
const FIRST_SECTOR: u8 = 1;
const FOLLOWING_SECTOR: u8 = 2;
const UNTOUCHED_SECTOR: u8 = 3;
const RAW_SECTOR: u8 = 4;

const GROUP: u8 = 0;
const BASE: u8 = 1;
const FLOOR: u8 = 2;

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for steps in 0..=14 {
        seeds.push((format!("life-{steps}"), vec![0, 0, steps]));
    }
    for crash_at in (1..60).step_by(4) {
        seeds.push((format!("crash-{crash_at}"), vec![0, crash_at, 14, 0]));
        let torn = vec![0, crash_at, 14, 6, 0, 1, 0, 1, 1, 0];
        seeds.push((format!("torn-{crash_at}"), torn));
    }
    for kind in 0..6 {
        seeds.push((format!("damage-{kind}"), vec![0, 0, 14, 0, kind, 0, 1, 0x80, 2, 3]));
    }
    for bit in 0..8 {
        let oddity = segment(1, 0, 1 << bit, &[frame(GROUP, &[b"a"])]);
        seeds.push((format!("files-odd-{bit}"), files(&[oddity])));
    }
    let named = named_files().into_iter();
    seeds.extend(named.map(|(name, segments)| (format!("files-{name}"), files(&segments))));
    seeds
}

fn named_files() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let one = &[7; 200][..];
    let torn = [&600_u32.to_le_bytes()[..], &[1, 0, 0, 0, GROUP], &596_u32.to_le_bytes()].concat();
    let first = part(FIRST_SECTOR, &[&torn[..], &[b'q'; 494]].concat());
    let floor = |segment: u64| frame(FLOOR, &[&segment.to_le_bytes()]);
    vec![
        ("empty", vec![segment(1, 0, 0, &[])]),
        (
            "one",
            vec![segment(
                1,
                0,
                0,
                &[frame(GROUP, &[b"a", b"bb"]), frame(GROUP, &[one, one, one]), frame(GROUP, &[])],
            )],
        ),
        (
            "two",
            vec![
                segment(1, 0, 0, &[frame(GROUP, &[b"a"])]),
                segment(2, 2, 0, &[frame(BASE, &[b"b", b"c"]), frame(GROUP, &[b"d"]), floor(2)]),
            ],
        ),
        (
            "later-ones",
            vec![
                segment(2, 9, 0, &[frame(BASE, &[b"b"]), floor(2)]),
                segment(3, 3, 0, &[frame(GROUP, &[b"x"])]),
            ],
        ),
        ("torn", vec![segment(1, 0, 0, &[frame(GROUP, &[b"a"]), first.clone()])]),
        (
            "by-sector",
            vec![segment(
                1,
                0,
                0,
                &[
                    first,
                    part(FOLLOWING_SECTOR, &[b'z'; 103]),
                    part(UNTOUCHED_SECTOR, b""),
                    part(RAW_SECTOR, b"neither"),
                ],
            )],
        ),
    ]
}

fn files(segments: &[Vec<u8>]) -> Vec<u8> {
    [&[1][..], &segments.concat()].concat()
}

fn segment(number: u8, previous_end: u8, oddity: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    [&[number, 16, previous_end, oddity][..], &parts.concat()].concat()
}

fn part(what: u8, bytes: &[u8]) -> Vec<u8> {
    [&[what][..], &(bytes.len() as u16).to_le_bytes(), bytes].concat()
}

fn frame(kind: u8, records: &[&[u8]]) -> Vec<u8> {
    let records = records.iter().flat_map(|record| [&[record.len() as u8], *record].concat());
    part(FRAME, &[kind].into_iter().chain(records).collect::<Vec<u8>>())
}
