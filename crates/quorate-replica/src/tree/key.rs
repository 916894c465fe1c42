//! Keys as strings of bits.
//!
//! The trie branches on bits, and one key may be the beginning of another, so a byte counts for
//! nine bits: a one, which says that there is a byte, and then its eight bits, the highest first.
//! A key is followed by zeroes. The order of these bit strings is the order of the keys, and no
//! key is the beginning of another any more.

use pbft::KEY_BYTES_MAX;

/// The longest prefix that gives a service its own part of the tree, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 16;

/// The longest key of the tree, in bytes, namespace included.
pub const TREE_KEY_BYTES_MAX: usize = NAMESPACE_BYTES_MAX + KEY_BYTES_MAX;

/// The bits that stand for one byte of a key.
const BITS_PER_BYTE: usize = 9;

/// The highest bit at which two keys can differ: the one after the last byte of the longest key
/// would have to be a byte of a longer one.
pub(super) const BIT_MAX: u16 = (BITS_PER_BYTE * TREE_KEY_BYTES_MAX) as u16 - 1;

/// The depth no tree exceeds: inner nodes on one path have growing bits.
pub(super) const DEPTH_MAX: usize = BIT_MAX as usize + 1;

/// The way to take at an inner node: the value of the key's bit there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// The bit is zero: the lower keys.
    Left = 0,
    /// The bit is one: the higher keys.
    Right = 1,
}

impl Side {
    /// The other one.
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// The bit of `key` at `bit`.
pub(super) fn side(key: &[u8], bit: u16) -> Side {
    let (byte, within) = (usize::from(bit) / BITS_PER_BYTE, usize::from(bit) % BITS_PER_BYTE);
    match key.get(byte) {
        None => Side::Left,
        Some(_) if within == 0 => Side::Right,
        Some(byte) if byte >> (BITS_PER_BYTE - 1 - within) & 1 == 0 => Side::Left,
        Some(_) => Side::Right,
    }
}

/// The first bit at which `a` and `b` differ, or `None` if they are equal. Keys are at most
/// [`TREE_KEY_BYTES_MAX`] long.
pub(super) fn first_difference(a: &[u8], b: &[u8]) -> Option<u16> {
    let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let within = match (a.get(shared), b.get(shared)) {
        (None, None) => return None,
        (Some(a), Some(b)) => 1 + (a ^ b).leading_zeros() as usize,
        (None, Some(_)) | (Some(_), None) => 0,
    };
    let bit = shared * BITS_PER_BYTE + within;
    Some(u16::try_from(bit).expect("keys are bounded by TREE_KEY_BYTES_MAX"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_order_as_keys_do() {
        let keys: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\x01", b"a", b"a\0", b"ab", b"\xff\xff\xff"];
        for (i, low) in keys.iter().enumerate() {
            assert_eq!(first_difference(low, low), None);
            for high in &keys[i + 1..] {
                let bit = first_difference(low, high).unwrap();
                assert_eq!(first_difference(high, low), Some(bit));
                assert_eq!((side(low, bit), side(high, bit)), (Side::Left, Side::Right));
                for before in 0..bit {
                    assert_eq!(side(low, before), side(high, before));
                }
            }
        }
    }

    #[test]
    fn longest_keys_differ_within_the_bound() {
        let (low, high) = ([0; TREE_KEY_BYTES_MAX], {
            let mut key = [0; TREE_KEY_BYTES_MAX];
            key[TREE_KEY_BYTES_MAX - 1] = 1;
            key
        });
        assert_eq!(first_difference(&low, &high), Some(BIT_MAX));
        assert_eq!(first_difference(&low[1..], &low), Some(BIT_MAX - 8));
    }
}
