//! What a replica already has, by digest.

use crate::tree::decode::LargeClaim;
use crate::tree::node::{Body, Node};
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
    /// Chunks of values that are not complete.
    loose_chunks: BTreeMap<Digest, Box<[u8]>>,
}

impl Index {
    /// Everything in these subtrees, whose digests must be known.
    pub(super) fn of<'a>(subtrees: impl Iterator<Item = &'a Arc<Node>>) -> Self {
        let mut index = Self::default();
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

    pub(super) fn add_chunks(&mut self, chunks: BTreeMap<Digest, Box<[u8]>>) {
        self.loose_chunks.extend(chunks);
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
            Err(_) => self.loose_chunks.get(&digest).map(|chunk| &**chunk),
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
