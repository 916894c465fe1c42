//! Rebuilding a tree from its rows: the pages in the order of their keys, and the large values.

use super::Tree;
use super::decode;
use super::key::first_difference;
use super::node::{Node, page_digest};
use super::run::RunBuffer;
use super::value::{CHUNK_BYTES_MAX, LargeValue, chunk_digest};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Takes pages one after the other and keeps the tree they make.
#[derive(Debug)]
pub(crate) struct Rebuilder {
    /// The large values, by key; those of the pages taken so far are gone from here.
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The subtrees to the left of the next page, the lowest first. With each but the first, the
    /// bit at which it first differs from what is before it. **Invariant:** these bits grow.
    subtrees: Vec<(u16, Arc<Node>)>,
}

/// Why rows are not those of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRows {
    /// The bytes are not those of a page.
    #[error("a row is not an encoded page")]
    Page,
    /// The pages do not follow one another.
    #[error("the pages are not in the order of their keys")]
    Order,
    /// A large value is missing, or not what its page says.
    #[error("a large value is not the one its page names")]
    Value,
    /// Large values that are in no page.
    #[error("large values that no page names")]
    StrayValue,
}

impl Rebuilder {
    /// Starts with these large values, by key.
    pub(crate) const fn new(values: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self { values, subtrees: Vec::new() }
    }

    /// Takes the next page, encoded, which must start with `first_key`.
    pub(crate) fn push(&mut self, first_key: &[u8], encoded: &[u8]) -> Result<(), BadRows> {
        let claim = decode::page(encoded).ok_or(BadRows::Page)?;
        let large = decode::large_keys(encoded).into_iter().zip(claim.large).map(|(key, claim)| {
            let bytes = self.values.remove(key)?;
            let digests = bytes.chunks(CHUNK_BYTES_MAX).map(chunk_digest);
            let is_same = bytes.len() == claim.bytes && digests.eq(claim.digests.iter().copied());
            is_same.then(|| Arc::new(LargeValue::from_verified(bytes, claim.digests)))
        });
        let large = large.collect::<Option<Vec<_>>>().ok_or(BadRows::Value)?;
        let run = RunBuffer { buffer: claim.buffer, large };
        if run.as_run().first_key() != Some(first_key) {
            return Err(BadRows::Page);
        }
        let page = Node::of_run(run).with_verified_digest(page_digest(encoded));
        self.push_page(Arc::new(page))
    }

    fn push_page(&mut self, page: Arc<Node>) -> Result<(), BadRows> {
        let Some((_, last)) = self.subtrees.last() else {
            self.subtrees.push((0, page));
            return Ok(());
        };
        let (low, high) = (last.last_key(), page.first_key());
        let bit = first_difference(low, high).filter(|_| low < high).ok_or(BadRows::Order)?;
        self.close_down_to(bit);
        self.subtrees.push((bit, page));
        Ok(())
    }

    /// Joins the subtrees that branch at `bit` or later.
    fn close_down_to(&mut self, bit: u16) {
        while let [.., (before, _), (last, _)] = self.subtrees.as_slice()
            && *last >= bit
        {
            let (before, last) = (*before, *last);
            let right = self.subtrees.pop();
            let left = self.subtrees.pop();
            if let (Some((_, left)), Some((_, right))) = (left, right) {
                self.subtrees.push((before, Arc::new(Node::inner(last, left, right))));
            }
        }
    }

    /// The tree of the pages taken. Its root digest says whether they were the right ones: pages
    /// that are not cut where the content demands it make another digest.
    pub(crate) fn finish(mut self) -> Result<Tree, BadRows> {
        if !self.values.is_empty() {
            return Err(BadRows::StrayValue);
        }
        self.close_down_to(0);
        Ok(Tree { root: self.subtrees.pop().map(|(_, root)| root) })
    }
}
