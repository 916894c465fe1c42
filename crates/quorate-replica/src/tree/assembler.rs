//! Rebuilding a tree from parts that others send: the requester's side of a state transfer, as a
//! state machine without I/O.
//!
//! It starts from the digest of a root that a certificate vouches for, so nobody who answers needs
//! to be trusted: a part is looked into only after its digest was found right. What this replica
//! already has, in its own older state or from an abandoned transfer, is used wherever a digest
//! says that it is the same.

mod index;
mod open;
mod receive;

use super::decode;
use super::key::Side;
use super::node::{Claim, InnerClaim, Node};
use super::part::{ChunkPlace, PartId, Path, Place};
use super::{Tree, empty_digest};
use index::{Index, Loose, Received};
use open::{Open, OpenInner, OpenPage};
use pbft::Digest;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use thiserror::Error;

/// What was fetched for targets that were given up is kept up to so many times the size of the
/// state: a target that moves on for ever must not fill the memory.
const KEPT_STATES_MAX: u64 = 2;

/// Nodes without what is below them, and chunks, of targets that were given up are kept up to so
/// many bytes.
const LOOSE_BYTES_MAX: usize = 16 << 20;

/// Rebuilds the tree with a given root digest. Ask [`wanted`](Self::wanted) what to fetch, hand
/// what arrives to [`accept`](Self::accept), until [`finish`](Self::finish) has the tree.
#[derive(Debug)]
pub struct Assembler {
    /// The digest of the root of the tree to rebuild.
    target: Digest,
    /// The state this replica has, or the last one that was rebuilt here, whose subtrees are used
    /// where they are the same.
    base: Tree,
    /// Subtrees completed for the targets before this one, the latest first.
    kept: VecDeque<Kept>,
    /// The bytes of the parts taken for this target.
    taken_bytes: u64,
    /// The bytes of the largest state aimed at, as far as is known.
    state_bytes: u64,
    /// Everything in `base` and `kept`, by digest, and what is loose.
    index: Index,
    /// What is missing of the nodes above. **Invariant:** its nodes are the children of those
    /// in `open` that are missing, or the root.
    wanted: BTreeMap<Place, Digest>,
    /// The nodes that arrived and are not complete below.
    open: BTreeMap<Path, Open>,
    /// The tree, once it is whole.
    finished: Option<Tree>,
}

/// What is kept of a target that was given up.
#[derive(Debug)]
struct Kept {
    /// The largest complete subtrees.
    subtrees: Vec<Arc<Node>>,
    /// The bytes of the parts that came for it, hence at most what it takes beyond the others.
    bytes: u64,
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
            kept: VecDeque::new(),
            taken_bytes: 0,
            state_bytes: 0,
            index: Index::default(),
            wanted: BTreeMap::new(),
            open: BTreeMap::new(),
            finished: None,
        };
        assembler.start(Loose::new());
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
        self.missing().take(limit).collect()
    }

    /// All missing parts, in the order of [`wanted`](Self::wanted).
    pub(crate) fn missing(&self) -> impl Iterator<Item = PartId> {
        self.wanted.iter().map(|(place, digest)| PartId { place: place.clone(), digest: *digest })
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
        let received = receive::check(id.digest, part).inspect_err(|bad| self.note(*bad))?;
        let digests: Vec<Digest> = received.iter().map(|(digest, _)| *digest).collect();
        received.into_iter().for_each(|(digest, one)| self.index.add_loose(digest, one));
        self.taken_bytes += part.len() as u64;
        self.wanted.remove(&id.place);
        let taken = self.want(id.place.clone(), id.digest).ok_or(BadPart::NoState);
        // Nodes that are here already with all that is below them.
        digests.into_iter().for_each(|digest| drop(self.index.take_loose(digest)));
        taken.inspect_err(|bad| self.note(*bad))
    }

    /// Keeps a part that was asked for and is not wanted any more, because the target moved on: it
    /// may turn out to be part of the new one, too.
    pub(crate) fn keep(&mut self, id: &PartId, part: &[u8]) -> Result<(), BadPart> {
        for (digest, received) in receive::check(id.digest, part)? {
            if self.index.node(digest).is_none() {
                self.index.add_loose(digest, received);
            }
        }
        if self.index.loose_byte_count() > LOOSE_BYTES_MAX {
            self.index.take_all_loose();
        }
        Ok(())
    }

    /// Nothing more is wanted for a target that is no state.
    fn note(&mut self, bad: BadPart) {
        if bad == BadPart::NoState {
            self.wanted.clear();
            self.open.clear();
        }
    }

    /// The tree, once it is whole. Its root digest is the target, and known.
    pub fn finish(&self) -> Option<Tree> {
        self.finished.clone()
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Rebuilds the tree with another root digest instead, because the others went on. What was
    /// fetched is used wherever it is still the same.
    pub fn retarget(&mut self, target: Digest) {
        if target == self.target {
            return;
        }
        let mut loose = self.index.take_all_loose();
        let loose_bytes: usize = loose.values().map(Received::byte_count).sum();
        if loose_bytes > LOOSE_BYTES_MAX {
            loose.clear();
        }
        let mut subtrees = Vec::new();
        for node in std::mem::take(&mut self.open).into_values() {
            match node {
                Open::Inner(inner) => {
                    loose.insert(inner.digest, Received::Inner(inner.claim));
                    subtrees.extend(inner.children.into_iter().flatten());
                }
                Open::Page(page) => page.move_to(&mut loose),
            }
        }
        let bytes = std::mem::take(&mut self.taken_bytes);
        match self.finished.take() {
            Some(tree) => {
                self.base = tree;
                self.kept.clear();
            }
            None => self.kept.push_front(Kept { subtrees, bytes }),
        }
        self.forget_old();
        self.target = target;
        self.wanted.clear();
        self.start(loose);
    }

    /// Forgets what was completed for the targets that are longest given up.
    fn forget_old(&mut self) {
        let bytes_max = KEPT_STATES_MAX * self.state_bytes;
        let mut bytes = 0;
        self.kept.retain(|kept| {
            let is_latest = bytes == 0;
            bytes += kept.bytes;
            is_latest || bytes <= bytes_max
        });
    }

    fn start(&mut self, loose: Loose) {
        // Digests below the root are known only once that of the root was asked for.
        self.base.root_digest();
        let base = self.base.root.iter();
        let base_bytes = base.clone().map(|root| root.totals().data_bytes).sum();
        self.state_bytes = self.state_bytes.max(base_bytes);
        let kept = self.kept.iter().flat_map(|kept| &kept.subtrees);
        self.index = Index::of(base.chain(kept), loose);
        if self.target == empty_digest() {
            self.finished = Some(Tree::new());
        } else if self.want(Place { path: Path::default(), chunk: None }, self.target).is_none() {
            self.note(BadPart::NoState);
        }
    }

    /// Puts what is missing at a place there if it is here, with all below it that is, and notes
    /// what is not; `None` if something here cannot be part of a state.
    fn want(&mut self, place: Place, digest: Digest) -> Option<()> {
        let mut missing = vec![(place, digest)];
        while let Some((place, digest)) = missing.pop() {
            let node = self.index.node(digest).filter(|_| place.chunk.is_none());
            if let Some(node) = node {
                self.complete(place.path, node)?;
                continue;
            }
            match (self.index.take_loose(digest), place.chunk) {
                (None, _) => drop(self.wanted.insert(place, digest)),
                (Some(Received::Inner(claim)), None) => {
                    missing.extend(self.on_inner(place.path, digest, claim)?);
                }
                (Some(Received::Page(encoded)), None) => {
                    missing.extend(self.on_page(place.path, digest, encoded)?);
                }
                (Some(Received::Chunk(content)), Some(chunk)) => {
                    self.on_chunk(place.path, chunk, &content)?;
                }
                (Some(_), _) => return None,
            }
        }
        Some(())
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

    /// Takes an inner node; `None` if it cannot be part of a state. Returns what is below it, the
    /// left side last.
    fn on_inner(
        &mut self,
        path: Path,
        digest: Digest,
        claim: InnerClaim,
    ) -> Option<Vec<(Place, Digest)>> {
        let [left, right] = claim.children;
        let totals = left.totals.plus(right.totals);
        match self.claimed(&path) {
            Some((bit_above, claimed)) if bit_above >= claim.bit || claimed.totals != totals => {
                return None;
            }
            Some(_) => {}
            None => self.state_bytes = self.state_bytes.max(totals.data_bytes),
        }
        let children = [(Side::Right, right), (Side::Left, left)];
        let children = children
            .map(|(side, claim)| (Place { path: path.child(side), chunk: None }, claim.digest));
        self.open.insert(path, Open::Inner(OpenInner { claim, digest, children: [None, None] }));
        Some(children.into())
    }

    /// Takes a page; `None` if it cannot be part of a state. Returns the chunks that are missing.
    fn on_page(
        &mut self,
        path: Path,
        digest: Digest,
        encoded: Box<[u8]>,
    ) -> Option<Vec<(Place, Digest)>> {
        let claim = decode::page(&encoded)?;
        let (page, missing) = OpenPage::new(encoded, claim, digest, &self.index);
        if missing.is_empty() {
            self.complete(path, Arc::new(page.close()))?;
            return Some(Vec::new());
        }
        let place = |chunk| Place { path: path.clone(), chunk: Some(chunk) };
        let missing = missing.into_iter().map(|(chunk, digest)| (place(chunk), digest)).collect();
        self.open.insert(path, Open::Page(page));
        Some(missing)
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
