//! Rebuilding a tree from parts that others send: the requester's side of a state transfer, as a
//! state machine without I/O.
//!
//! It starts from the digest of a root that a certificate vouches for, so nobody who answers needs
//! to be trusted: a part is looked into only after its digest was found right. What this replica
//! already has, in its own older state or from an abandoned transfer, is used wherever a digest
//! says that it is the same.

mod index;
mod open;

use super::decode;
use super::key::Side;
use super::node::{Claim, Node};
use super::part::{ChunkPlace, PART_BYTES_MAX, PartId, PartKind, Path, Place};
use super::{Tree, empty_digest};
use index::Index;
use open::{Open, OpenInner, OpenPage};
use pbft::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Rebuilds the tree with a given root digest. Ask [`wanted`](Self::wanted) what to fetch, hand
/// what arrives to [`accept`](Self::accept), until [`finish`](Self::finish) has the tree.
#[derive(Debug)]
pub struct Assembler {
    /// The digest of the root of the tree to rebuild.
    target: Digest,
    /// The state this replica has, whose subtrees are used where they are the same.
    base: Tree,
    /// Subtrees completed for the target before this one.
    kept: Vec<Arc<Node>>,
    /// Subtrees completed for the target before that; older ones are forgotten, lest a target
    /// that moves on for ever fill the memory.
    kept_before: Vec<Arc<Node>>,
    /// Everything in `base`, `kept` and `kept_before`, by digest.
    index: Index,
    /// What is missing of the nodes above. **Invariant:** its nodes are the children of those
    /// in `open` that are missing, or the root.
    wanted: BTreeMap<Place, Digest>,
    /// The nodes that arrived and are not complete below.
    open: BTreeMap<Path, Open>,
    /// The tree, once it is whole.
    finished: Option<Tree>,
}

/// Why a part was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPart {
    /// Nobody asked for it, or no longer: it was late or came twice. No sign of a fault.
    #[error("the part is not wanted, or no longer")]
    NotWanted,
    /// It is not what its name says. Who sent it is faulty.
    #[error("the part does not have the digest that was asked for")]
    WrongDigest,
    /// It is what its name says, and yet cannot be part of any state: more replicas than the
    /// fault bound vouched for a digest that is no state's. Nothing more is wanted, and only
    /// another target helps.
    #[error("the digest that was asked for is no state's")]
    NoState,
}

impl Assembler {
    /// Starts to rebuild the tree with root digest `target`, using what `base` has of it. Takes
    /// time for the size of `base`.
    pub fn new(target: Digest, base: Tree) -> Self {
        let mut assembler = Self {
            target,
            base,
            kept: Vec::new(),
            kept_before: Vec::new(),
            index: Index::default(),
            wanted: BTreeMap::new(),
            open: BTreeMap::new(),
            finished: None,
        };
        assembler.start();
        assembler
    }

    /// The digest of the root of the tree being rebuilt.
    pub const fn target(&self) -> Digest {
        self.target
    }

    /// The first `limit` missing parts. Asking for them in this order keeps the number of missing
    /// parts small; they may come in any order. Empty if the tree is whole, and if the target
    /// turned out to be no state's digest.
    pub fn wanted(&self, limit: usize) -> Vec<PartId> {
        let parts = self.wanted.iter().take(limit);
        parts.map(|(place, digest)| PartId { place: place.clone(), digest: *digest }).collect()
    }

    /// Takes the part named `id`, as [`Tree::part`] of another replica returned it, or an arbitrary
    /// one from a liar.
    ///
    /// # Errors
    ///
    /// If the part is of no use; see [`BadPart`]. The part stays wanted.
    pub fn accept(&mut self, id: &PartId, part: &[u8]) -> Result<(), BadPart> {
        if self.wanted.get(&id.place) != Some(&id.digest) {
            return Err(BadPart::NotWanted);
        }
        // The length first: hashing must not cost more than an honest part does.
        if part.len() > PART_BYTES_MAX {
            return Err(BadPart::WrongDigest);
        }
        let (kind, content) = PartKind::split(part).ok_or(BadPart::WrongDigest)?;
        if kind.digest(content) != id.digest {
            return Err(BadPart::WrongDigest);
        }
        self.wanted.remove(&id.place);
        let path = id.place.path.clone();
        let taken = match (kind, id.place.chunk) {
            (PartKind::Inner, None) => self.on_inner(path, id.digest, content),
            (PartKind::Page, None) => self.on_page(path, id.digest, content),
            (PartKind::Chunk, Some(chunk)) => self.on_chunk(path, chunk, content),
            _ => None,
        };
        taken.ok_or_else(|| {
            self.wanted.clear();
            self.open.clear();
            BadPart::NoState
        })
    }

    /// The tree, once it is whole. Its root digest is the target, and known.
    pub fn finish(&self) -> Option<Tree> {
        self.finished.clone()
    }

    /// Rebuilds the tree with another root digest instead, because the others went on and no
    /// longer have the old one. What was fetched is used wherever it is still the same.
    pub fn retarget(&mut self, target: Digest) {
        if target == self.target {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let finished = self.finished.take().and_then(|tree| tree.root);
        let mut completed = Vec::from_iter(finished);
        let mut chunks = BTreeMap::new();
        for node in open.into_values() {
            match node {
                Open::Inner(inner) => completed.extend(inner.children.into_iter().flatten()),
                Open::Page(page) => page.move_chunks_to(&mut chunks),
            }
        }
        self.kept_before = std::mem::replace(&mut self.kept, completed);
        self.target = target;
        self.wanted.clear();
        self.start();
        self.index.add_chunks(chunks);
    }

    fn start(&mut self) {
        // Digests below the root are known only once that of the root was asked for.
        self.base.root_digest();
        let sources = self.base.root.iter().chain(&self.kept).chain(&self.kept_before);
        self.index = Index::of(sources);
        if self.target == empty_digest() {
            self.finished = Some(Tree::new());
        } else if let Some(root) = self.index.node(self.target) {
            self.finished = Some(Tree { root: Some(root) });
        } else {
            self.wanted.insert(Place { path: Path::default(), chunk: None }, self.target);
        }
    }

    /// What the node above says of the node at `path`; nothing is said of the root.
    fn claimed(&self, path: &Path) -> Option<(u16, Claim)> {
        let mut above = path.clone();
        let side = above.pop()?;
        match self.open.get(&above) {
            Some(Open::Inner(inner)) => {
                Some((inner.claim.bit, inner.claim.children[side as usize]))
            }
            Some(Open::Page(_)) | None => None,
        }
    }

    /// Takes an inner node; `None` if it cannot be part of a state.
    fn on_inner(&mut self, path: Path, digest: Digest, content: &[u8]) -> Option<()> {
        let claim = decode::inner(content)?;
        let [left, right] = claim.children;
        if let Some((bit_above, claimed)) = self.claimed(&path) {
            let totals = left.totals.plus(right.totals);
            if bit_above >= claim.bit || claimed.totals != totals {
                return None;
            }
        }
        let children = [(Side::Left, left), (Side::Right, right)];
        let paths = children.map(|(side, claim)| (path.child(side), claim));
        self.open.insert(path, Open::Inner(OpenInner { claim, digest, children: [None, None] }));
        for (path, claim) in paths {
            match self.index.node(claim.digest) {
                Some(node) => self.complete(path, node)?,
                None => {
                    self.wanted.insert(Place { path, chunk: None }, claim.digest);
                }
            }
        }
        Some(())
    }

    /// Takes a page; `None` if it cannot be part of a state.
    fn on_page(&mut self, path: Path, digest: Digest, content: &[u8]) -> Option<()> {
        let claim = decode::page(content)?;
        let (page, missing) = OpenPage::new(claim, digest, &self.index);
        if missing.is_empty() {
            return self.complete(path, Arc::new(page.close()));
        }
        for (chunk, digest) in missing {
            self.wanted.insert(Place { path: path.clone(), chunk: Some(chunk) }, digest);
        }
        self.open.insert(path, Open::Page(page));
        Some(())
    }

    /// Takes a chunk of a large value; `None` if it cannot be part of a state.
    fn on_chunk(&mut self, path: Path, place: ChunkPlace, content: &[u8]) -> Option<()> {
        let Some(Open::Page(page)) = self.open.get_mut(&path) else {
            return None;
        };
        page.put_chunk(place, content)?;
        if !page.is_complete() {
            return Some(());
        }
        let Some(Open::Page(page)) = self.open.remove(&path) else {
            return None;
        };
        self.complete(path, Arc::new(page.close()))
    }

    /// Puts a complete subtree in its place, and completes the nodes above as far as that goes.
    fn complete(&mut self, mut path: Path, mut node: Arc<Node>) -> Option<()> {
        loop {
            if self.claimed(&path).is_some_and(|(_, claim)| claim.totals != node.totals()) {
                return None;
            }
            let Some(side) = path.pop() else {
                self.finished = Some(Tree { root: Some(node) });
                return Some(());
            };
            let Some(Open::Inner(above)) = self.open.get_mut(&path) else {
                return None;
            };
            above.children[side as usize] = Some(node);
            if above.children.iter().any(Option::is_none) {
                return Some(());
            }
            let Some(Open::Inner(above)) = self.open.remove(&path) else {
                return None;
            };
            node = Arc::new(above.close()?);
        }
    }

    /// The number of parts known to be missing.
    #[cfg(test)]
    pub(super) fn frontier_len(&self) -> usize {
        self.wanted.len()
    }
}
