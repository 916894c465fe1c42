//! The bytes of a connection, before the HTTP/2 library sees them.

use crate::script::Script;
use quorate_gateway::AuthorityFilter;

/// What every HTTP/2 connection of a client begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The script: how long the pieces are in which it comes, then what is sent after the preface.
/// Returns whether anything of it was replaced.
///
/// Where the stream is cut makes no difference, and what was replaced once is acceptable.
pub(super) fn filtered(script: &mut Script<'_>) -> bool {
    let piece = usize::from(script.byte().unwrap_or(0)) + 1;
    let sent = [PREFACE, script.bytes(usize::MAX)].concat();
    let whole = passed_on(&sent, sent.len());
    assert_eq!(passed_on(&sent, piece), whole, "cut into pieces of {piece}");
    assert_eq!(passed_on(&whole, whole.len()), whole, "what was replaced is acceptable");
    whole != sent
}

fn passed_on(sent: &[u8], piece: usize) -> Vec<u8> {
    let mut filter = AuthorityFilter::default();
    let mut output = Vec::new();
    sent.chunks(piece).for_each(|piece| filter.filter(piece, &mut output));
    assert!(filter.has_begun(), "a whole preface was sent");
    filter.finish(&mut output);
    output
}
