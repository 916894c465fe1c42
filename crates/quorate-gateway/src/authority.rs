//! Makes requests acceptable whose `:authority` is none.
//!
//! etcd's own clients send such: `etcdctl endpoint status` with an endpoint written as
//! `http://HOST:PORT` (etcdctl 3.4) sends the whole of it, and the Go client of 3.5.0 sends
//! `#initially=[...]` with every request. The HTTP/2 library here refuses them with a protocol
//! error, as the standard allows, while etcd's takes no notice. Nothing in the gateway reads the
//! authority, so this module replaces a malformed one in the bytes of the connection before the
//! library sees them.
//!
//! The replacement has as many characters as what it replaces. Headers are compressed against a
//! table that both ends keep in step (RFC 7541), entries are found by their place and evicted by
//! their decoded size, and so the two tables remain in step. Whatever is not understood passes
//! unchanged, for the library to judge.

mod header_block;

use header_block::with_acceptable_authority;

/// What every HTTP/2 connection of a client begins with (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEADER_BYTES: usize = 9;

/// The longest frame a client may send to us, since we ask for no longer ones.
const FRAME_BYTES_MAX: usize = 16 * 1024;

const HEADERS_FRAME: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// The bytes of one connection, on their way from the client to the HTTP/2 library, with every
/// malformed `:authority` replaced by an acceptable one of the same length.
///
/// How the bytes are cut into pieces makes no difference. What is not HTTP/2, or not understood,
/// passes unchanged.
#[derive(Debug, Default)]
pub struct AuthorityFilter {
    state: State,
    /// The beginning of what `state` waits for.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Preface,
    FrameHeader,
    /// The rest of a frame that holds no request, with so many bytes to come.
    OtherFrame(usize),
    /// A frame that begins a request, with so many bytes in all, its header included.
    HeadersFrame(usize),
    /// This is not HTTP/2.
    Unknown,
}

impl AuthorityFilter {
    /// Whether the client has sent all of the preface, or something else.
    pub fn has_begun(&self) -> bool {
        self.state != State::Preface
    }

    /// Takes the next bytes of the client and appends to `output` what is ready to be passed on.
    pub fn filter(&mut self, mut input: &[u8], output: &mut Vec<u8>) {
        while !input.is_empty() {
            let wanted = match self.state {
                State::Preface => PREFACE.len() - self.held.len(),
                State::FrameHeader => FRAME_HEADER_BYTES - self.held.len(),
                State::OtherFrame(left) => left,
                State::HeadersFrame(bytes) => bytes - self.held.len(),
                State::Unknown => input.len(),
            };
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            input = rest;
            match self.state {
                State::Unknown => output.extend_from_slice(taken),
                State::OtherFrame(left) => {
                    output.extend_from_slice(taken);
                    self.state = other_frame(left - taken.len());
                }
                State::Preface | State::FrameHeader | State::HeadersFrame(_) => {
                    self.held.extend_from_slice(taken);
                    if taken.len() == wanted {
                        self.complete(output);
                    }
                }
            }
        }
    }

    /// The client will send nothing more: passes on what is held.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.held);
        self.state = State::Unknown;
    }

    /// What `state` waited for is all there.
    fn complete(&mut self, output: &mut Vec<u8>) {
        self.state = match self.state {
            State::Preface if self.held == PREFACE => State::FrameHeader,
            State::FrameHeader => {
                let bytes = payload_bytes(&self.held);
                if self.held[3] == HEADERS_FRAME && (1..=FRAME_BYTES_MAX).contains(&bytes) {
                    // Stays held until the rest has come.
                    self.state = State::HeadersFrame(FRAME_HEADER_BYTES + bytes);
                    return;
                }
                other_frame(bytes)
            }
            State::HeadersFrame(_) => {
                if let Some(frame) = rewritten(&self.held) {
                    self.held = frame;
                }
                State::FrameHeader
            }
            State::Preface | State::OtherFrame(_) | State::Unknown => State::Unknown,
        };
        output.append(&mut self.held);
    }
}

fn other_frame(left: usize) -> State {
    if left == 0 { State::FrameHeader } else { State::OtherFrame(left) }
}

fn payload_bytes(frame: &[u8]) -> usize {
    usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2])
}

/// The HEADERS frame with an acceptable authority (RFC 9113 section 6.2); `None` if it may stay as
/// it is, or cannot be understood.
fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = frame.split_at_checked(FRAME_HEADER_BYTES)?;
    let flags = header[4];
    let (padding, prefix) = match flags & PADDED {
        0 => (0, 0),
        _ => (usize::from(*payload.first()?), 1),
    };
    let prefix = prefix + if flags & PRIORITY == 0 { 0 } else { 5 };
    let block = payload.get(prefix..payload.len().checked_sub(padding)?)?;
    let new_block = with_acceptable_authority(block)?;
    let bytes = payload.len() - block.len() + new_block.len();
    if bytes > FRAME_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(bytes).ok()?.to_be_bytes();
    let mut new_frame = Vec::with_capacity(FRAME_HEADER_BYTES + bytes);
    new_frame.extend_from_slice(&length[1..]);
    new_frame.extend_from_slice(&header[3..]);
    new_frame.extend_from_slice(&payload[..prefix]);
    new_frame.extend_from_slice(&new_block);
    new_frame.extend_from_slice(&payload[payload.len() - padding..]);
    Some(new_frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// `:method: POST`, then `:authority` with this value in plain characters, then
    /// `:scheme: http`.
    fn block(authority: &[u8]) -> Vec<u8> {
        [&[0x83, 0x41, authority.len() as u8][..], authority, &[0x86]].concat()
    }

    fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
        let mut filter = AuthorityFilter::default();
        let mut output = Vec::new();
        pieces.iter().for_each(|piece| filter.filter(piece, &mut output));
        filter.finish(&mut output);
        output
    }

    #[test]
    fn a_malformed_authority_is_replaced_wherever_the_stream_is_cut() {
        let connection = |authority: &[u8]| {
            [
                PREFACE.to_vec(),
                frame(4, 0, &[]),
                frame(HEADERS_FRAME, 4, &block(authority)),
                frame(0, 1, b"http://data stays"),
                frame(HEADERS_FRAME, 5, &block(b"127.0.0.1:2379")),
            ]
            .concat()
        };
        let sent = connection(b"http://127.0.0.1:2379");
        let expected = connection(&[b'x'; 21]);
        for cut in 0..=sent.len() {
            let (first, second) = sent.split_at(cut);
            assert_eq!(filtered(&[first, second]), expected, "cut at {cut}");
        }
        let bytes: Vec<_> = sent.chunks(1).collect();
        assert_eq!(filtered(&bytes), expected);
    }

    #[test]
    fn padding_and_priority_stay_where_they_are() {
        let payload =
            |authority: &[u8]| [&[3, 0, 0, 0, 0, 16][..], &block(authority), &[0, 0, 0]].concat();
        let frame =
            |authority: &[u8]| frame(HEADERS_FRAME, PADDED | PRIORITY | 4, &payload(authority));
        assert_eq!(rewritten(&frame(b"http://a")), Some(frame(b"xxxxxxxx")));
        assert_eq!(rewritten(&frame(b"a")), None);
    }

    #[test]
    fn what_is_not_http_2_passes_unchanged() {
        for bytes in [&b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"[..], b"PRI", b"", &[0xff; 100]] {
            assert_eq!(filtered(&[bytes]), bytes);
        }
    }

    #[test]
    fn a_frame_that_makes_no_sense_passes_unchanged() {
        let odd = [
            frame(HEADERS_FRAME, PADDED, &[200, 0x41, 1, b'/']),
            frame(HEADERS_FRAME, PADDED | PRIORITY, &[0]),
            frame(HEADERS_FRAME, 0, &[0x41]),
            frame(HEADERS_FRAME, 0, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            frame(HEADERS_FRAME, 0, &[]),
            vec![0xff, 0xff, 0xff, HEADERS_FRAME, 0, 0, 0, 0, 1, 0x41, 1, b'/'],
        ];
        for frame in odd {
            let sent = [&PREFACE[..], &frame].concat();
            assert_eq!(filtered(&[&sent]), sent, "{frame:?}");
        }
    }

    #[test]
    fn a_client_has_begun_once_its_preface_is_complete() {
        let mut filter = AuthorityFilter::default();
        let mut output = Vec::new();
        filter.filter(&PREFACE[..23], &mut output);
        assert!(!filter.has_begun());
        assert!(output.is_empty());
        filter.filter(&PREFACE[23..], &mut output);
        assert!(filter.has_begun());
        assert_eq!(output, PREFACE);
    }
}
