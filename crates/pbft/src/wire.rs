//! Bytes on the wire: a version, an epoch and one message in borsh, a canonical encoding: what
//! decodes re-encodes to the same bytes. The formats are written down in `docs/wire.md` and pinned
//! by golden files.

use crate::message::{Message, encode as encode_value};
use crate::{Epoch, Reject};
use alloc::vec::Vec;
use borsh::BorshDeserialize;

/// The version of the protocol on the wire.
pub const WIRE_VERSION: u16 = 1;

/// The longest encoded message, in bytes; also the longest frame a link accepts.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Version and epoch come before the message.
pub(crate) const HEADER_BYTES: usize = 2 + 8;

/// The bytes of `message`, sent in `epoch`.
pub fn encode(epoch: Epoch, message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&WIRE_VERSION.to_le_bytes());
    bytes.extend_from_slice(&epoch.get().to_le_bytes());
    bytes.extend_from_slice(&encode_value(message));
    bytes
}

/// The message in `bytes`, if they are the canonical encoding of one of this version and epoch.
///
/// # Errors
/// A named reason; see [`Reject`]. Never panics and never allocates more than a small multiple of
/// the length of `bytes`.
pub fn decode(epoch: Epoch, bytes: &[u8]) -> Result<Message, Reject> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Reject::OverLimit);
    }
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or(Reject::Undecodable)?;
    let (version, sent_in) = header.split_at(2);
    if version != WIRE_VERSION.to_le_bytes() {
        return Err(Reject::UnknownVersion);
    }
    if sent_in != epoch.get().to_le_bytes() {
        return Err(Reject::WrongEpoch);
    }
    Message::try_from_slice(body).map_err(|_| Reject::Undecodable)
}
