//! The digest of a map by the book, `docs/storage.md`: everything at once, bits as booleans, and
//! none of the tree's own code.

use super::Map;
use pbft::Digest;

pub(super) fn naive_digest(map: &Map) -> Digest {
    let entries: Vec<_> = map.iter().map(|(key, value)| (bits(key), key, value)).collect();
    if entries.is_empty() {
        return Digest::of("quorate state tree v1 empty", &[]);
    }
    subtree(&entries, 0).0
}

type Entry<'a> = (Vec<bool>, &'a Vec<u8>, &'a Vec<u8>);

/// Digest, entries, page bytes and data bytes of entries that share the first `from` bits.
fn subtree(entries: &[Entry<'_>], mut from: usize) -> (Digest, [u64; 3]) {
    let encoded: Vec<_> = entries.iter().map(|(_, key, value)| encode(key, value)).collect();
    let page = encoded.concat();
    let data: usize = entries.iter().map(|(_, key, value)| key.len() + value.len()).sum();
    let totals = [entries.len() as u64, page.len() as u64, data as u64];
    if page.len() <= 4096 || entries.len() == 1 {
        return (Digest::of("quorate state tree v1 page", &[&page]), totals);
    }
    let is_one = |entry: &Entry<'_>, bit: usize| entry.0.get(bit).copied().unwrap_or(false);
    while entries.iter().all(|entry| is_one(entry, from) == is_one(&entries[0], from)) {
        from += 1;
    }
    let split = entries.iter().filter(|entry| !is_one(entry, from)).count();
    let mut encoded = (from as u16).to_le_bytes().to_vec();
    for half in [&entries[..split], &entries[split..]] {
        let (digest, totals) = subtree(half, from + 1);
        encoded.extend_from_slice(digest.as_bytes());
        totals.iter().for_each(|total| encoded.extend_from_slice(&total.to_le_bytes()));
    }
    (Digest::of("quorate state tree v1 inner node", &[&encoded]), totals)
}

fn encode(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut entry = (key.len() as u16).to_le_bytes().to_vec();
    entry.extend_from_slice(&(value.len() as u32).to_le_bytes());
    entry.extend_from_slice(key);
    if value.len() <= 1024 {
        entry.extend_from_slice(value);
    } else {
        for chunk in value.chunks(65_536) {
            let digest = Digest::of("quorate state tree v1 chunk", &[chunk]);
            entry.extend_from_slice(digest.as_bytes());
        }
    }
    entry
}

fn bits(key: &[u8]) -> Vec<bool> {
    let of_byte = |byte: &u8| {
        let byte = *byte;
        std::iter::once(true).chain((0..8).rev().map(move |bit| byte >> bit & 1 == 1))
    };
    key.iter().flat_map(of_byte).collect()
}
