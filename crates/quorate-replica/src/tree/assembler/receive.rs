//! Checking parts: what is returned here has the digest that it was asked for with.

use super::BadPart;
use super::index::Received;
use crate::tree::decode;
use crate::tree::node::{ENCODED_INNER_BYTES, InnerClaim, inner_digest};
use crate::tree::part::{INNER_LEVELS, PART_BYTES_MAX, PartKind};
use pbft::Digest;

/// What is in a part, the node or chunk with this digest first.
pub(super) fn check(digest: Digest, part: &[u8]) -> Result<Vec<(Digest, Received)>, BadPart> {
    // The length first: hashing must not cost more than an honest part does.
    if part.len() > PART_BYTES_MAX {
        return Err(BadPart::WrongDigest);
    }
    let (kind, content) = PartKind::split(part).ok_or(BadPart::WrongDigest)?;
    if kind == PartKind::Inner {
        let nodes = inner_nodes(digest, content)?.into_iter();
        return Ok(nodes.map(|(digest, claim)| (digest, Received::Inner(claim))).collect());
    }
    if kind.digest(content) != digest {
        return Err(BadPart::WrongDigest);
    }
    let received = match kind {
        PartKind::Chunk => Received::Chunk(content.into()),
        PartKind::Inner | PartKind::Page => Received::Page(content.into()),
    };
    Ok(vec![(digest, received)])
}

/// The inner nodes of a part: the one with this digest and those below it, as many levels as belong
/// into one part. What the nodes claim of their children says which of them are inner nodes.
fn inner_nodes(digest: Digest, content: &[u8]) -> Result<Vec<(Digest, InnerClaim)>, BadPart> {
    let (mut nodes, mut rest) = (Vec::new(), content);
    let mut stack = vec![(digest, 1)];
    while let Some((digest, level)) = stack.pop() {
        let (encoded, behind) =
            rest.split_at_checked(ENCODED_INNER_BYTES).ok_or(BadPart::WrongDigest)?;
        rest = behind;
        if inner_digest(encoded) != digest {
            return Err(BadPart::WrongDigest);
        }
        let claim = decode::inner(encoded).ok_or(BadPart::NoState)?;
        if level < INNER_LEVELS {
            let inner = claim.children.iter().rev().filter(|child| !child.totals.fit_page());
            stack.extend(inner.map(|child| (child.digest, level + 1)));
        }
        nodes.push((digest, claim));
    }
    if rest.is_empty() { Ok(nodes) } else { Err(BadPart::WrongDigest) }
}
