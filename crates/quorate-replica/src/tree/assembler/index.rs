//! What a replica already has, by digest.

use crate::tree::decode::LargeClaim;
use crate::tree::node::{Body, InnerClaim, Node};
use crate::tree::value::LargeValue;
use pbft::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes and chunks by digest. Lists in the order of digests, because they take half the memory
/// of a map and are built at once.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: Vec<(Digest, Arc<Node>)>,
    chunks: Vec<(Digest, Arc<LargeValue>, u16)>,
    loose: Loose,
}

/// What arrived, was found right, and is not in a complete subtree.
pub(super) type Loose = BTreeMap<Digest, Received>;

/// A node without what is below it, or a chunk without its value.
#[derive(Clone, Debug)]
pub(super) enum Received {
    Inner(InnerClaim),
    /// As it is encoded.
    Page(Box<[u8]>),
    Chunk(Box<[u8]>),
}

impl Received {
    pub(super) fn byte_count(&self) -> usize {
        match self {
            Self::Inner(_) => size_of::<InnerClaim>(),
            Self::Page(bytes) | Self::Chunk(bytes) => bytes.len(),
        }
    }
}

impl Index {
    /// Everything in these subtrees, whose digests must be known, and these loose ones.
    pub(super) fn of<'a>(subtrees: impl Iterator<Item = &'a Arc<Node>>, loose: Loose) -> Self {
        let mut index = Self { loose, ..Self::default() };
        let mut stack: Vec<&Arc<Node>> = subtrees.collect();
        while let Some(node) = stack.pop() {
            index.nodes.push((node.digest(), Arc::clone(node)));
            match node.body() {
                Body::Inner(inner) => stack.extend(inner.children()),
                Body::Page(page) => {
                    page.run().large.iter().for_each(|value| index.add_value(value))
                }
            }
        }
        index.nodes.sort_unstable_by_key(|(digest, _)| *digest);
        index.nodes.dedup_by_key(|(digest, _)| *digest);
        index.chunks.sort_unstable_by_key(|(digest, ..)| *digest);
        index.chunks.dedup_by_key(|(digest, ..)| *digest);
        index
    }

    fn add_value(&mut self, value: &Arc<LargeValue>) {
        let digests = (0u16..).zip(value.chunk_digests());
        self.chunks.extend(digests.map(|(chunk, digest)| (*digest, Arc::clone(value), chunk)));
    }

    pub(super) fn add_loose(&mut self, digest: Digest, received: Received) {
        self.loose.insert(digest, received);
    }

    pub(super) fn take_loose(&mut self, digest: Digest) -> Option<Received> {
        self.loose.remove(&digest)
    }

    pub(super) fn take_all_loose(&mut self) -> Loose {
        std::mem::take(&mut self.loose)
    }

    pub(super) fn loose_byte_count(&self) -> usize {
        self.loose.values().map(Received::byte_count).sum()
    }

    pub(super) fn node(&self, digest: Digest) -> Option<Arc<Node>> {
        let found = self.nodes.binary_search_by_key(&digest, |(digest, _)| *digest).ok()?;
        Some(Arc::clone(&self.nodes[found].1))
    }

    /// The chunk with this digest.
    pub(super) fn chunk(&self, digest: Digest) -> Option<&[u8]> {
        match self.chunks.binary_search_by_key(&digest, |(digest, ..)| *digest) {
            Ok(found) => {
                let (_, value, chunk) = &self.chunks[found];
                value.chunk(usize::from(*chunk))
            }
            Err(_) => match self.loose.get(&digest)? {
                Received::Chunk(chunk) => Some(chunk),
                Received::Inner(_) | Received::Page(_) => None,
            },
        }
    }

    /// The whole value with these digests.
    pub(super) fn value(&self, claim: &LargeClaim) -> Option<Arc<LargeValue>> {
        let first = claim.digests.first()?;
        let found = self.chunks.binary_search_by_key(first, |(digest, ..)| *digest).ok()?;
        let (_, value, _) = &self.chunks[found];
        (value.bytes().len() == claim.bytes && value.chunk_digests() == claim.digests)
            .then(|| Arc::clone(value))
    }
}
