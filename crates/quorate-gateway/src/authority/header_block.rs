//! As much of HPACK (RFC 7541) as it takes to find the authority of a request and to put another
//! one of the same length in its place.

use tonic::codegen::http::uri::Authority;

/// The place of `:authority` in the table that every connection begins with (appendix A).
const AUTHORITY_INDEX: usize = 1;

/// The bit that says that a string is Huffman coded.
const HUFFMAN: u8 = 0x80;

/// What a malformed authority is replaced with, as often as it takes.
const REPLACEMENT: u8 = b'x';

/// No integer in a header block of ours needs more bytes after its first one.
const INTEGER_BYTES_MAX: usize = 4;

/// The characters with Huffman codes of up to 15 bits, by the length of their code. The code is
/// canonical (appendix B): codes of one length follow each other in the order of characters, and
/// the first of a longer length follows the last shorter one. All other characters have longer
/// codes, and none of them occurs in the name of a host.
const CODES: [(u32, &[u8]); 11] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (9, b""),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
];

/// The block with its malformed authority replaced; `None` if it has none, or cannot be
/// understood.
pub(super) fn with_acceptable_authority(block: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: block };
    let (value_start, value, value_end) = loop {
        let name_index = reader.field_name()?;
        let Some(name_index) = name_index else {
            continue;
        };
        let value_start = block.len() - reader.rest.len();
        let value = reader.string()?;
        if name_index == AUTHORITY_INDEX {
            break (value_start, value, block.len() - reader.rest.len());
        }
    };
    let authority = value.decode()?;
    if authority.is_empty() || Authority::try_from(authority.as_slice()).is_ok() {
        return None;
    }
    let mut changed = block[..value_start].to_vec();
    write_length(authority.len(), &mut changed);
    changed.resize(changed.len() + authority.len(), REPLACEMENT);
    changed.extend_from_slice(&block[value_end..]);
    Some(changed)
}

/// A string of a header block, as it is written there.
struct Coded<'a> {
    is_huffman: bool,
    bytes: &'a [u8],
}

impl Coded<'_> {
    fn decode(&self) -> Option<Vec<u8>> {
        if self.is_huffman { huffman_decoded(self.bytes) } else { Some(self.bytes.to_vec()) }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads a field up to its value (section 6). `Some(None)` if it has no value of its own,
    /// otherwise the index of its name, 0 for a name in characters.
    fn field_name(&mut self) -> Option<Option<usize>> {
        let first = *self.rest.first()?;
        let index = match first {
            0x80.. => {
                self.integer(7)?;
                return Some(None);
            }
            0x40.. => self.integer(6)?,
            0x20.. => {
                self.integer(5)?;
                return Some(None);
            }
            _ => self.integer(4)?,
        };
        if index == 0 {
            self.string()?;
        }
        Some(Some(index))
    }

    /// A string with its length before it (section 5.2).
    fn string(&mut self) -> Option<Coded<'a>> {
        let is_huffman = self.rest.first()? & HUFFMAN != 0;
        let length = self.integer(7)?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Coded { is_huffman, bytes })
    }

    /// An integer that begins in the low bits of a byte (section 5.1).
    fn integer(&mut self, prefix_bits: u32) -> Option<usize> {
        let (first, mut rest) = self.rest.split_first()?;
        let full = (1 << prefix_bits) - 1;
        let mut value = usize::from(*first) & full;
        if value == full {
            for shift in (0..).step_by(7).take(INTEGER_BYTES_MAX) {
                let (next, after) = rest.split_first()?;
                rest = after;
                value += usize::from(next & 0x7f) << shift;
                if next & 0x80 == 0 {
                    self.rest = rest;
                    return Some(value);
                }
            }
            return None;
        }
        self.rest = rest;
        Some(value)
    }
}

/// Writes the length of a string that is not Huffman coded.
fn write_length(mut length: usize, output: &mut Vec<u8>) {
    const FULL: usize = 0x7f;
    if length < FULL {
        output.push(length as u8);
        return;
    }
    output.push(FULL as u8);
    length -= FULL;
    while length >= 0x80 {
        output.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    output.push(length as u8);
}

/// The characters of a Huffman coded string; `None` if one of them has a code longer than 15 bits,
/// or if what is left at the end is no padding.
fn huffman_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let bits =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut decoded = Vec::new();
    let (mut code, mut code_bits) = (0, 0);
    for bit in bits {
        code = code << 1 | bit;
        code_bits += 1;
        if let Some(character) = character(code, code_bits) {
            decoded.push(character);
            (code, code_bits) = (0, 0);
        } else if code_bits > CODES[CODES.len() - 1].0 {
            return None;
        }
    }
    // Padding is the beginning of a code of ones, less than a byte of it.
    (code_bits < 8 && code == (1 << code_bits) - 1).then_some(decoded)
}

/// The character with this code of so many bits.
fn character(code: u32, code_bits: u32) -> Option<u8> {
    let mut first_code = 0;
    for (bits, characters) in CODES {
        if bits == code_bits {
            return characters.get(code.checked_sub(first_code)? as usize).copied();
        }
        first_code = (first_code + characters.len() as u32) << 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_decode() {
        // RFC 7541, C.4.1, C.4.2, C.6.1.
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(huffman_decoded(&www).unwrap(), b"www.example.com");
        assert_eq!(huffman_decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), b"no-cache");
        assert_eq!(huffman_decoded(&[0x64, 0x02]).unwrap(), b"302");
        assert_eq!(huffman_decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn codes_fit_into_the_canonical_order_without_a_gap() {
        // From the standard's table: the first and last characters of some lengths.
        let expected = [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'u', 0x2d, 6),
            (b':', 0x5c, 7),
            (b'z', 0x7b, 7),
            (b'&', 0xf8, 8),
            (b'Z', 0xfd, 8),
            (b'!', 0x3f8, 10),
            (b'|', 0x7fc, 11),
            (b'#', 0xffa, 12),
            (b'[', 0x1ffb, 13),
            (b'}', 0x3ffd, 14),
            (b'{', 0x7ffe, 15),
        ];
        for (expected, code, bits) in expected {
            assert_eq!(character(code, bits), Some(expected), "{code:x} of {bits} bits");
        }
        assert_eq!(character(0x7fff, 15), None);
    }

    #[test]
    fn bad_padding_and_unknown_characters_are_not_understood() {
        assert_eq!(huffman_decoded(&[0b0000_0000]), None, "zeros are no padding");
        assert_eq!(huffman_decoded(&[0xff, 0xff]), None, "more than a byte is no padding");
        assert_eq!(huffman_decoded(&[0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn a_huffman_coded_authority_is_replaced_by_as_many_plain_characters() {
        // "a/" as Huffman code: 00011 011000 and padding.
        let block = [0x83, 0x41, 0x82, 0b0001_1011, 0b0001_1111, 0x86];
        let changed = with_acceptable_authority(&block).unwrap();
        assert_eq!(changed, [0x83, 0x41, 2, b'x', b'x', 0x86]);
    }

    #[test]
    fn long_authorities_and_fields_before_them_are_skipped_over() {
        let name = b"name";
        for length in [126, 127, 128, 300] {
            let mut block = vec![0x3f, 0x01, 0x00, name.len() as u8];
            block.extend_from_slice(name);
            block.extend_from_slice(&[1, b'v', 0x01]);
            let mut expected = block.clone();
            for (block, character) in [(&mut block, b'/'), (&mut expected, b'x')] {
                write_length(length, block);
                block.resize(block.len() + length, character);
                block.push(0x86);
            }
            assert_eq!(with_acceptable_authority(&block).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn an_acceptable_authority_and_a_missing_one_stay() {
        for authority in ["127.0.0.1:2379", "[::1]:2379", "localhost", "etcd.example"] {
            let mut block = vec![0x83, 0x41];
            write_length(authority.len(), &mut block);
            block.extend_from_slice(authority.as_bytes());
            assert_eq!(with_acceptable_authority(&block), None, "{authority}");
        }
        assert_eq!(with_acceptable_authority(&[0x83, 0x86]), None);
        assert_eq!(with_acceptable_authority(&[0x83, 0x41, 0]), None);
    }
}
