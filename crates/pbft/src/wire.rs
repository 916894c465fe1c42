//! Bytes on the wire: a version, an epoch and one message in borsh, a canonical encoding: what
//! decodes re-encodes to the same bytes. The formats are written down in `docs/wire.md` and pinned
//! by golden files.

use crate::message::{Certainty, Message, encode as encode_value};
use crate::{Epoch, Reject, ReplicaId, Session, Timestamp, View};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, io};

/// The version of the protocol on the wire.
pub const WIRE_VERSION: u16 = 1;

/// The longest encoded message, in bytes; also the longest frame a link accepts.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The longest encoded outcome that travels. A replica whose service returned more sends
/// [`Outcome::ExecutedBefore`](crate::message::Outcome::ExecutedBefore) instead. In bytes.
pub const OUTCOME_BYTES_MAX: usize = 12 << 20;

/// The longest encoded REPLY: an outcome and what comes before it. In bytes.
pub const REPLY_BYTES_MAX: usize = OUTCOME_BYTES_MAX + 64;

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
    Message::try_from_slice(content(epoch, bytes)?).map_err(|_| Reject::Undecodable)
}

/// What the first bytes of a REPLY say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyHead {
    /// The client's session.
    pub session: Session,
    /// Which request.
    pub timestamp: Timestamp,
    /// Whether the outcome comes whole, and not by its digest.
    pub is_whole: bool,
    /// How many results it announces.
    pub result_count: u32,
}

/// What a message to a client begins with: enough to tell whether the rest is worth decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// Of a REPLY.
    Reply(ReplyHead),
    /// Of an answer to READ.
    ReadReply(ReadReplyHead),
}

/// The tag of [`Message::Reply`].
const REPLY_TAG: u8 = 3;
/// The tag of [`ReplyBody::Full`](crate::message::ReplyBody::Full).
const WHOLE_TAG: u8 = 0;
/// The tag of [`Outcome::Executed`](crate::message::Outcome::Executed).
const EXECUTED_TAG: u8 = 1;

/// What the first bytes of an answer to READ say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadReplyHead {
    /// The client's session.
    pub session: Session,
    /// Which READ.
    pub number: u64,
}

/// The head of the message in `bytes`, if it is one of those that a client is sent. The rest of it
/// need not be decodable.
///
/// # Errors
/// A named reason; see [`Reject`]. Never panics and never allocates.
pub fn head(epoch: Epoch, bytes: &[u8]) -> Result<Head, Reject> {
    let mut rest = content(epoch, bytes)?;
    let head = match u8::deserialize(&mut rest) {
        Ok(REPLY_TAG) => read_reply_head(&mut rest).map(Head::Reply),
        Ok(READ_REPLY_TAG) => read_read_reply_head(&mut rest).map(Head::ReadReply),
        Ok(_) | Err(_) => return Err(Reject::Undecodable),
    };
    head.map_err(|_| Reject::Undecodable)
}

/// The tag of [`Message::ReadReply`].
const READ_REPLY_TAG: u8 = 21;

fn read_read_reply_head(rest: &mut &[u8]) -> io::Result<ReadReplyHead> {
    Ok(ReadReplyHead { session: Session::deserialize(rest)?, number: u64::deserialize(rest)? })
}

fn read_reply_head(rest: &mut &[u8]) -> io::Result<ReplyHead> {
    View::deserialize(rest)?;
    let session = Session::deserialize(rest)?;
    let timestamp = Timestamp::deserialize(rest)?;
    <(Certainty, ReplicaId)>::deserialize(rest)?;
    let is_whole = u8::deserialize(rest)? == WHOLE_TAG;
    let result_count = match is_whole && u8::deserialize(rest)? == EXECUTED_TAG {
        true => u32::deserialize(rest)?,
        false => 0,
    };
    Ok(ReplyHead { session, timestamp, is_whole, result_count })
}

/// The encoded message, once length, version and epoch are as they must be.
fn content(epoch: Epoch, bytes: &[u8]) -> Result<&[u8], Reject> {
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
    Ok(body)
}
