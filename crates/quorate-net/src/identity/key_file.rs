//! Secret keys on disk: one small text file, readable by its owner alone.
//!
//! ```text
//! quorate secret keys, version 1
//! link <64 hexadecimal digits>
//! signing <64 hexadecimal digits>
//! ```
//!
//! Three lines, nothing else, so that no parser has to keep copies of secrets that are not wiped.

use super::{KEY_BYTES, SecretKeys, decode_hex};
use crate::random;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const FIRST_LINE: &[u8] = b"quorate secret keys, version 1";
const FILE_BYTES_MAX: u64 = 1024;
const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Why a key file could not be read or written. Each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading failed.
    #[error("cannot read the key file {path}: {source}; check the path and its owner")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Writing failed.
    #[error("cannot write the key file {path}: {source}; check the folder and the space on disk")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is there already; keys are never overwritten.
    #[error("{path} exists already, and keys are never overwritten; move it away first")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Group or others may read the file.
    #[error("others may read the key file {path} (mode {mode:04o}); run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a file of the format above.
    #[error("{path} is not a key file of version 1: {reason}; restore it from your copy")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operating system provides no randomness.
    #[error("the operating system provides no randomness, so no key can be made")]
    NoRandomness,
}

impl SecretKeys {
    /// Writes the keys to a new file with mode 0600. The file appears complete and durable or not
    /// at all.
    ///
    /// # Errors
    ///
    /// Refuses to replace an existing file; reports what the file system reports.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let write_error = |source| KeyFileError::Write { path: path.to_owned(), source };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut hidden_name = OsString::from(format!(".{:08x}-", random::jitter()));
        hidden_name.push(path.file_name().unwrap_or_default());
        let hidden = folder.join(hidden_name);

        let written = self.write_new(&hidden).and_then(|()| fs::hard_link(&hidden, path));
        // Whether it was linked or not, the hidden name has done its work.
        let removed = fs::remove_file(&hidden);
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists { path: path.to_owned() });
            }
            other => other.map_err(write_error)?,
        }
        removed.map_err(write_error)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(write_error)
    }

    /// Reads keys written by [`SecretKeys::save`].
    ///
    /// # Errors
    ///
    /// Refuses a file that group or others may read, and anything that is not such a file.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let read_error = |source| KeyFileError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        // The opened file is asked, not the path, so nothing can change in between.
        let metadata = file.metadata().map_err(read_error)?;
        let malformed = |reason| KeyFileError::Malformed { path: path.to_owned(), reason };
        if !metadata.is_file() {
            return Err(malformed("it is not a regular file"));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        // Room for everything at once: a growing vector would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(read_error)?;
        Self::parse(&text).map_err(malformed)
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
        file.write_all(&self.to_text())?;
        file.sync_all()
    }

    fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize));
        text.extend_from_slice(FIRST_LINE);
        for (name, seed) in [("\nlink ", &self.link), ("\nsigning ", &self.signing)] {
            text.extend_from_slice(name.as_bytes());
            for byte in seed.iter() {
                text.extend_from_slice(&hex_digits(*byte));
            }
        }
        text.push(b'\n');
        text
    }

    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let mut lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err("its first line is not the one of such a file");
        }
        let mut seed = |name: &[u8]| {
            let mut seed = Zeroizing::new([0; KEY_BYTES]);
            let digits = lines.next()?.strip_prefix(name)?;
            decode_hex(digits, &mut *seed)?;
            Some(seed)
        };
        let link = seed(b"link ").ok_or("its second line is not `link` and 64 digits")?;
        let signing = seed(b"signing ").ok_or("its third line is not `signing` and 64 digits")?;
        if lines.next().is_some() {
            return Err("it has more than three lines");
        }
        if link == signing {
            return Err("its two keys are the same");
        }
        Ok(Self { link, signing })
    }
}

fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}
