//! Nodes from bytes that somebody else sent. What is returned here has the only form its content
//! allows, as far as one node can tell.

use super::key::{BIT_MAX, TREE_KEY_BYTES_MAX};
use super::node::InnerClaim;
use super::run::{DIGEST_BYTES, split_entry_header};
use super::totals::{ENCODED_PAGE_BYTES_MAX, Totals};
use super::value::{INLINE_VALUE_BYTES_MAX, VALUE_BYTES_MAX, chunk_count};
use pbft::Digest;

/// A page whose large values are known by their digests only.
#[derive(Debug)]
pub(super) struct PageClaim {
    /// The entries as they stand in a [`RunBuffer`](super::run::RunBuffer).
    pub(super) buffer: Vec<u8>,
    /// The large values, in the order of their keys.
    pub(super) large: Vec<LargeClaim>,
    pub(super) totals: Totals,
}

/// A large value, known by its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LargeClaim {
    /// The length of the value.
    pub(super) bytes: usize,
    /// One for each chunk.
    pub(super) digests: Vec<Digest>,
}

/// One entry of an encoded page.
pub(super) struct EntryClaim<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: ValueClaim<'a>,
}

/// The value of an entry of an encoded page.
pub(super) enum ValueClaim<'a> {
    Inline(&'a [u8]),
    Large(LargeClaim),
}

/// Reads an encoded inner node. `None` unless the bit is one of a key's, both children have
/// entries, and together they are too much for a page.
pub(super) fn inner(encoded: &[u8]) -> Option<InnerClaim> {
    let claim: InnerClaim = borsh::from_slice(encoded).ok()?;
    let [left, right] = claim.children.map(|child| child.totals);
    let fits_page = left.checked_plus(right)?.fit_page();
    let is_shaped = left.entries > 0 && right.entries > 0 && !fits_page;
    (is_shaped && claim.bit <= BIT_MAX).then_some(claim)
}

/// Reads an encoded page. `None` unless its keys ascend, no length is above its limit, there are
/// entries, and they fit a page.
pub(super) fn page(encoded: &[u8]) -> Option<PageClaim> {
    if encoded.is_empty() || encoded.len() > ENCODED_PAGE_BYTES_MAX {
        return None;
    }
    let mut page = PageClaim {
        buffer: Vec::with_capacity(encoded.len()),
        large: Vec::new(),
        totals: Totals::ZERO,
    };
    let mut rest = encoded;
    let mut previous: Option<&[u8]> = None;
    while !rest.is_empty() {
        let (claim, behind) = entry(rest)?;
        if previous.is_some_and(|previous| previous >= claim.key) {
            return None;
        }
        previous = Some(claim.key);
        let taken = &rest[..rest.len() - behind.len()];
        rest = behind;
        let value_bytes = match claim.value {
            ValueClaim::Inline(value) => {
                page.buffer.extend_from_slice(taken);
                value.len()
            }
            ValueClaim::Large(large) => {
                let digests = large.digests.len() * DIGEST_BYTES;
                page.buffer.extend_from_slice(&taken[..taken.len() - digests]);
                let bytes = large.bytes;
                page.large.push(large);
                bytes
            }
        };
        page.totals = page.totals.plus(Totals::of_entry(claim.key.len(), value_bytes));
    }
    page.totals.fit_page().then_some(page)
}

/// Reads the first entry of an encoded page; returns it and what follows it.
fn entry(encoded: &[u8]) -> Option<(EntryClaim<'_>, &[u8])> {
    let (key_bytes, value_bytes, rest) = split_entry_header(encoded)?;
    if key_bytes > TREE_KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
        return None;
    }
    let (key, rest) = rest.split_at_checked(key_bytes)?;
    if value_bytes <= INLINE_VALUE_BYTES_MAX {
        let (value, rest) = rest.split_at_checked(value_bytes)?;
        return Some((EntryClaim { key, value: ValueClaim::Inline(value) }, rest));
    }
    let (digests, rest) = rest.split_at_checked(chunk_count(value_bytes) * DIGEST_BYTES)?;
    let (digests, _) = digests.as_chunks::<DIGEST_BYTES>();
    let digests = digests.iter().map(|digest| Digest::from_bytes(*digest)).collect();
    let claim = LargeClaim { bytes: value_bytes, digests };
    Some((EntryClaim { key, value: ValueClaim::Large(claim) }, rest))
}

/// Looks for `key` in an encoded page that [`page`] accepts.
pub(super) fn find<'a>(encoded: &'a [u8], key: &[u8]) -> Option<ValueClaim<'a>> {
    let mut rest = encoded;
    while let Some((claim, behind)) = entry(rest) {
        if claim.key == key {
            return Some(claim.value);
        }
        rest = behind;
    }
    None
}

/// The keys of the large values in an encoded page that [`page`] accepts.
pub(super) fn large_keys(encoded: &[u8]) -> Vec<&[u8]> {
    let mut rest = encoded;
    let mut keys = Vec::new();
    while let Some((claim, behind)) = entry(rest) {
        if matches!(claim.value, ValueClaim::Large(_)) {
            keys.push(claim.key);
        }
        rest = behind;
    }
    keys
}
