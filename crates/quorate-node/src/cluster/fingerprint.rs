//! What people compare to know that they have the same file.

use pbft::Digest;
use std::fmt;
use std::str::FromStr;

/// The BLAKE3 digest of a file's bytes, as `b3sum` prints it, in groups that can be read aloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(blake3::Hash);

/// Not the text of a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits, in groups or not, and this is something else")]
pub struct NotAFingerprint;

/// Digits in one group.
const GROUP: usize = 4;

impl Fingerprint {
    pub(super) fn of(text: &str) -> Self {
        Self(blake3::hash(text.as_bytes()))
    }

    pub(super) fn digest(self) -> Digest {
        Digest::from_bytes(*self.0.as_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digit) in self.0.to_hex().chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                f.write_str("-")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads it with or without separators, in either case.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits: String =
            text.chars().filter(|c| !matches!(c, '-' | ':' | ' ' | '\n')).collect();
        let hash = blake3::Hash::from_hex(digits.to_ascii_lowercase());
        hash.map(Self).map_err(|_| NotAFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_read_as_it_is_printed_and_as_other_tools_print_it() {
        let fingerprint = Fingerprint::of("text");
        let printed = fingerprint.to_string();
        assert_eq!(printed.len(), 64 + 15);
        assert_eq!(printed.parse(), Ok(fingerprint));
        assert_eq!(printed.replace('-', "").to_uppercase().parse(), Ok(fingerprint));
        assert_eq!(printed.get(1..).unwrap().parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
