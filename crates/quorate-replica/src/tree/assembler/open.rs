//! Nodes that arrived and wait for what is below them.

use super::index::{Index, Loose, Received};
use crate::tree::decode::{LargeClaim, PageClaim};
use crate::tree::key::first_difference;
use crate::tree::node::{InnerClaim, Node};
use crate::tree::part::ChunkPlace;
use crate::tree::run::RunBuffer;
use crate::tree::value::{LargeValue, chunk_bytes};
use pbft::Digest;
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Open {
    Inner(OpenInner),
    Page(OpenPage),
}

/// An inner node that waits for a child.
#[derive(Debug)]
pub(super) struct OpenInner {
    pub(super) claim: InnerClaim,
    pub(super) digest: Digest,
    pub(super) children: [Option<Arc<Node>>; 2],
}

impl OpenInner {
    /// The inner node, both of whose children are here; `None` if their keys do not first differ
    /// where it says. If they do, and it is so for every inner node below, then the subtree has
    /// the only shape its content allows.
    pub(super) fn close(self) -> Option<Node> {
        let [left, right] = self.children;
        let (left, right) = (left?, right?);
        let bit = Some(self.claim.bit);
        let differs = |low: &[u8], high: &[u8]| low < high && first_difference(low, high) == bit;
        let is_shaped = differs(left.first_key(), right.last_key())
            && differs(left.last_key(), right.first_key());
        let node = || Node::inner(self.claim.bit, left, right).with_verified_digest(self.digest);
        is_shaped.then(node)
    }
}

/// A page that waits for chunks of its large values.
#[derive(Debug)]
pub(super) struct OpenPage {
    /// The page as it came.
    encoded: Box<[u8]>,
    buffer: Vec<u8>,
    digest: Digest,
    large: Vec<OpenValue>,
    /// The number of chunks that are missing.
    missing: usize,
}

#[derive(Debug)]
enum OpenValue {
    /// Found whole in what this replica has.
    Found(Arc<LargeValue>),
    /// To be put together.
    Chunks(LargeClaim, Vec<Option<Box<[u8]>>>),
}

impl OpenPage {
    /// The page, with what the index has of its large values; and the chunks it has not.
    pub(super) fn new(
        encoded: Box<[u8]>,
        claim: PageClaim,
        digest: Digest,
        index: &Index,
    ) -> (Self, Vec<(ChunkPlace, Digest)>) {
        let mut missing = Vec::new();
        let mut large = Vec::with_capacity(claim.large.len());
        for (position, claim) in (0u16..).zip(claim.large) {
            if let Some(value) = index.value(&claim) {
                large.push(OpenValue::Found(value));
                continue;
            }
            let chunks: Vec<Option<Box<[u8]>>> = (0..)
                .zip(&claim.digests)
                .map(|(chunk, digest)| {
                    let known = index.chunk(*digest);
                    known
                        .filter(|known| known.len() == chunk_bytes(claim.bytes, chunk))
                        .map(Box::from)
                })
                .collect();
            let absent = (0u16..).zip(&chunks).zip(&claim.digests);
            missing.extend(
                absent
                    .filter(|((_, chunk), _)| chunk.is_none())
                    .map(|((chunk, _), digest)| (ChunkPlace { large: position, chunk }, *digest)),
            );
            large.push(OpenValue::Chunks(claim, chunks));
        }
        let missing_count = missing.len();
        (Self { encoded, buffer: claim.buffer, digest, large, missing: missing_count }, missing)
    }

    /// Takes a chunk whose digest is right; `None` if its length is not.
    pub(super) fn put_chunk(&mut self, place: ChunkPlace, content: &[u8]) -> Option<()> {
        let value = self.large.get_mut(usize::from(place.large))?;
        let OpenValue::Chunks(claim, chunks) = value else {
            return None;
        };
        let index = usize::from(place.chunk);
        let chunk = chunks.get_mut(index).filter(|chunk| chunk.is_none())?;
        if content.len() != chunk_bytes(claim.bytes, index) {
            return None;
        }
        *chunk = Some(content.into());
        self.missing -= 1;
        Some(())
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The page, all of whose chunks are here.
    pub(super) fn close(self) -> Node {
        let close = |value| match value {
            OpenValue::Found(value) => value,
            OpenValue::Chunks(claim, chunks) => {
                let mut bytes = Vec::with_capacity(claim.bytes);
                chunks.iter().flatten().for_each(|chunk| bytes.extend_from_slice(chunk));
                Arc::new(LargeValue::from_verified(bytes, claim.digests))
            }
        };
        let large = self.large.into_iter().map(close).collect();
        Node::of_run(RunBuffer { buffer: self.buffer, large }).with_verified_digest(self.digest)
    }

    /// Saves the page and the chunks that are here from being fetched again.
    pub(super) fn move_to(self, loose: &mut Loose) {
        for value in self.large {
            if let OpenValue::Chunks(claim, chunks) = value {
                let chunks = claim.digests.into_iter().zip(chunks);
                let chunks =
                    chunks.filter_map(|(digest, chunk)| Some((digest, Received::Chunk(chunk?))));
                loose.extend(chunks);
            }
        }
        loose.insert(self.digest, Received::Page(self.encoded));
    }
}
