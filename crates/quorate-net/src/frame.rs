//! Frames: a length of four bytes, little-endian, and that many bytes.
//!
//! A frame of length 0 says only that its sender is alive; it is never passed on.

use crate::limits::READ_AHEAD_BYTES;
use bytes::{Buf, Bytes, BytesMut};

/// Length of the length field.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Less room than this is not worth a read.
const SPACE_BYTES_MIN: usize = READ_AHEAD_BYTES / 8;

/// The bytes before a frame of this length.
pub(crate) fn length_field(frame_bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(frame_bytes).expect("frame limits are far below 4 GiB").to_le_bytes()
}

/// The other side announced a frame longer than the link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {announced} bytes was announced where {allowed} are allowed")]
pub(crate) struct Oversize {
    pub(crate) announced: usize,
    pub(crate) allowed: usize,
}

/// Cuts what arrives into frames.
///
/// Memory follows the bytes that really arrived: an announced length alone reserves nothing.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

impl FrameDecoder {
    pub(crate) fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max }
    }

    /// The next whole frame, if it has arrived. Keep-alives come out as empty frames.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Oversize> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        // A u32 fits into a usize on every platform with sockets.
        let length = u32::from_le_bytes(*length) as usize;
        if length > self.frame_bytes_max {
            return Err(Oversize { announced: length, allowed: self.frame_bytes_max });
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Where the next bytes go: always with some room, never with much.
    pub(crate) fn space(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < SPACE_BYTES_MIN {
            self.buffer.reserve(READ_AHEAD_BYTES);
        }
        &mut self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(frames: &[&[u8]]) -> Vec<u8> {
        frames.iter().flat_map(|f| [&length_field(f.len())[..], f].concat()).collect()
    }

    fn feed(decoder: &mut FrameDecoder, bytes: &[u8]) {
        decoder.space().extend_from_slice(bytes);
    }

    #[test]
    fn frames_come_out_whole_and_in_order_however_they_were_cut() {
        let frames: [&[u8]; 4] = [b"one", b"", b"three", &[7; 300]];
        let wire = encode(&frames);
        for piece in 1..wire.len() {
            let mut decoder = FrameDecoder::new(300);
            let mut seen = Vec::new();
            for bytes in wire.chunks(piece) {
                feed(&mut decoder, bytes);
                while let Some(frame) = decoder.next().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn longest_frame_is_accepted_and_one_byte_more_is_refused_by_its_length_alone() {
        let mut decoder = FrameDecoder::new(8);
        feed(&mut decoder, &encode(&[&[1; 8]]));
        assert_eq!(decoder.next().unwrap().unwrap().len(), 8);
        feed(&mut decoder, &9_u32.to_le_bytes());
        assert_eq!(decoder.next(), Err(Oversize { announced: 9, allowed: 8 }));
    }

    #[test]
    fn announced_length_reserves_nothing() {
        let mut decoder = FrameDecoder::new(1 << 30);
        feed(&mut decoder, &(1_u32 << 30).to_le_bytes());
        for _ in 0..4 {
            assert_eq!(decoder.next(), Ok(None));
            decoder.space();
        }
        assert!(decoder.buffer.capacity() <= 2 * READ_AHEAD_BYTES);
    }

    #[test]
    fn buffer_is_used_again_once_its_frames_are_gone() {
        let mut decoder = FrameDecoder::new(1 << 20);
        for _ in 0..1000 {
            feed(&mut decoder, &encode(&[&[5; 1000]]));
            assert_eq!(decoder.next().unwrap().unwrap().len(), 1000);
        }
        assert!(decoder.buffer.capacity() <= 4 * READ_AHEAD_BYTES);
    }
}
