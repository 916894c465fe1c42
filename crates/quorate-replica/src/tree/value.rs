//! Large values: kept whole, but entering a page as the digests of their chunks only, so that
//! pages stay small and a transfer can fetch a value piece by piece.

use pbft::Digest;
use std::fmt;
use std::sync::OnceLock;

/// The longest value of the tree, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The longest value that lies in its page, in bytes; longer ones are in chunks.
pub const INLINE_VALUE_BYTES_MAX: usize = 1024;

/// The size of every chunk of a large value but the last, in bytes.
pub const CHUNK_BYTES_MAX: usize = 64 << 10;

const CHUNK_CONTEXT: &str = "quorate state tree v1 chunk";

/// The digest of one chunk of a large value.
pub(super) fn chunk_digest(chunk: &[u8]) -> Digest {
    Digest::of(CHUNK_CONTEXT, &[chunk])
}

/// The number of chunks of a value of this length; none if it lies in its page.
pub(super) const fn chunk_count(value_bytes: usize) -> usize {
    if value_bytes <= INLINE_VALUE_BYTES_MAX { 0 } else { value_bytes.div_ceil(CHUNK_BYTES_MAX) }
}

/// The length of chunk `index` of a large value of this length, in bytes.
pub(super) fn chunk_bytes(value_bytes: usize, index: usize) -> usize {
    value_bytes.saturating_sub(index * CHUNK_BYTES_MAX).min(CHUNK_BYTES_MAX)
}

/// A value longer than [`INLINE_VALUE_BYTES_MAX`].
pub(super) struct LargeValue {
    bytes: Box<[u8]>,
    /// The digest of each chunk, once somebody asked for them.
    digests: OnceLock<Box<[Digest]>>,
}

impl LargeValue {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_boxed_slice(), digests: OnceLock::new() }
    }

    /// A value put together from chunks whose digests were checked.
    pub(super) fn from_verified(bytes: Vec<u8>, digests: Vec<Digest>) -> Self {
        Self {
            bytes: bytes.into_boxed_slice(),
            digests: OnceLock::from(digests.into_boxed_slice()),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn chunk_digests(&self) -> &[Digest] {
        self.digests.get_or_init(|| self.bytes.chunks(CHUNK_BYTES_MAX).map(chunk_digest).collect())
    }

    pub(super) fn chunk(&self, index: usize) -> Option<&[u8]> {
        self.bytes.chunks(CHUNK_BYTES_MAX).nth(index)
    }
}

impl fmt::Debug for LargeValue {
    /// Without the content, which is large and may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeValue").field("byte_count", &self.bytes.len()).finish_non_exhaustive()
    }
}
