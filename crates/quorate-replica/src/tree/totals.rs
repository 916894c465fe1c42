//! What a subtree amounts to.

use super::run::encoded_entry_bytes;
use super::{PAGE_BYTES_MAX, key::TREE_KEY_BYTES_MAX, value::VALUE_BYTES_MAX};
use borsh::{BorshDeserialize, BorshSerialize};

/// Sums over the entries of a subtree. They are part of an inner node's digest, for each of its
/// children: so whoever holds the digest of a root can trust the totals, and whoever receives
/// a node can see at once whether it has the only shape its content allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Totals {
    /// The number of entries.
    pub(super) entries: u64,
    /// The bytes the entries take when they are encoded in one page.
    pub(super) page_bytes: u64,
    /// The bytes of keys and values.
    pub(super) data_bytes: u64,
}

impl Totals {
    pub(super) const ZERO: Self = Self { entries: 0, page_bytes: 0, data_bytes: 0 };

    pub(super) const fn of_entry(key_bytes: usize, value_bytes: usize) -> Self {
        Self {
            entries: 1,
            page_bytes: encoded_entry_bytes(key_bytes, value_bytes) as u64,
            data_bytes: (key_bytes + value_bytes) as u64,
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            page_bytes: self.page_bytes + other.page_bytes,
            data_bytes: self.data_bytes + other.data_bytes,
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            entries: self.entries - other.entries,
            page_bytes: self.page_bytes - other.page_bytes,
            data_bytes: self.data_bytes - other.data_bytes,
        }
    }

    /// The sum of two totals that somebody else claims, which may be anything.
    pub(super) fn checked_plus(self, other: Self) -> Option<Self> {
        Some(Self {
            entries: self.entries.checked_add(other.entries)?,
            page_bytes: self.page_bytes.checked_add(other.page_bytes)?,
            data_bytes: self.data_bytes.checked_add(other.data_bytes)?,
        })
    }

    /// Whether entries of these totals are one page: this alone decides the shape of the tree.
    pub(super) const fn fit_page(self) -> bool {
        self.entries == 1 || self.page_bytes <= PAGE_BYTES_MAX as u64
    }
}

/// The longest encoded page, in bytes: an entry too long for a page is alone in its page.
pub(super) const ENCODED_PAGE_BYTES_MAX: usize = {
    let longest_entry = encoded_entry_bytes(TREE_KEY_BYTES_MAX, VALUE_BYTES_MAX);
    if longest_entry > PAGE_BYTES_MAX { longest_entry } else { PAGE_BYTES_MAX }
};
