//! Parts: what a tree is cut into to be transferred. A part is a page, a chunk of a large value, or
//! an inner node with some levels of those below it, and its digest is known to whoever holds the
//! part above it.

use super::key::{DEPTH_MAX, Side};
use super::node::{Body, ENCODED_INNER_BYTES, Node, inner_digest, page_digest};
use super::totals::ENCODED_PAGE_BYTES_MAX;
use super::value::{CHUNK_BYTES_MAX, chunk_digest};
use super::{PAGE_BYTES_MAX, Tree};
use borsh::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::Digest;

/// The longest part, in bytes: the byte that tells its kind, and a chunk.
pub const PART_BYTES_MAX: usize = 1 + CHUNK_BYTES_MAX;
const _: () = assert!(ENCODED_PAGE_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(ENCODED_INNER_BYTES <= CHUNK_BYTES_MAX);

/// An inner node travels with those below it, so many levels together: a part for each of them would
/// cost a round trip for each level.
pub(super) const INNER_LEVELS: usize = 6;
const _: () = assert!(((1 << INNER_LEVELS) - 1) * ENCODED_INNER_BYTES <= CHUNK_BYTES_MAX);

/// The longest encoded [`PartId`], in bytes.
pub const PART_ID_BYTES_MAX: usize = 2 + DEPTH_MAX.div_ceil(8) + 5 + 32;

/// Names a part: where in the tree it is, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct PartId {
    pub(super) place: Place,
    pub(super) digest: Digest,
}

/// Where a part is. In the order of places a node comes before its chunks, and the parts of two
/// subtrees next to each other do not mix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Place {
    pub(super) path: Path,
    /// The chunk of a large value in the page at `path`; without it the node itself is meant.
    pub(super) chunk: Option<ChunkPlace>,
}

/// Where a chunk is in its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct ChunkPlace {
    /// Counts the page's large values.
    pub(super) large: u16,
    /// Counts the value's chunks.
    pub(super) chunk: u16,
}

/// The turns from the root to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    /// One bit a turn, one for right, the first in the highest bit of the first byte. **Invariant:**
    /// as many bytes as the turns need, and zeroes behind the last turn.
    turns: Vec<u8>,
    /// The number of turns. **Invariant:** at most [`DEPTH_MAX`].
    depth: u16,
}

impl Path {
    pub(super) fn push(&mut self, side: Side) {
        let (byte, bit) = (usize::from(self.depth / 8), self.depth % 8);
        if bit == 0 {
            self.turns.push(0);
        }
        self.turns[byte] |= (side as u8) << (7 - bit);
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Side> {
        self.depth = self.depth.checked_sub(1)?;
        let side = self.turn(self.depth);
        if self.depth.is_multiple_of(8) {
            self.turns.pop();
        } else if let Some(last) = self.turns.last_mut() {
            *last &= !(0x80 >> (self.depth % 8));
        }
        Some(side)
    }

    pub(super) fn child(&self, side: Side) -> Self {
        let mut path = self.clone();
        path.push(side);
        path
    }

    fn turn(&self, index: u16) -> Side {
        let byte = self.turns[usize::from(index / 8)];
        if byte << (index % 8) & 0x80 == 0 { Side::Left } else { Side::Right }
    }

    fn turns(&self) -> impl Iterator<Item = Side> {
        (0..self.depth).map(|index| self.turn(index))
    }
}

impl BorshSerialize for Path {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.depth.serialize(writer)?;
        writer.write_all(&self.turns)
    }
}

impl BorshDeserialize for Path {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let refuse = |why| Err(Error::new(ErrorKind::InvalidData, why));
        let depth = u16::deserialize_reader(reader)?;
        if usize::from(depth) > DEPTH_MAX {
            return refuse("a path is deeper than a tree");
        }
        let mut turns = vec![0; usize::from(depth).div_ceil(8)];
        reader.read_exact(&mut turns)?;
        let used_of_last = depth % 8;
        if used_of_last != 0 && turns.last().is_some_and(|last| last << used_of_last != 0) {
            return refuse("a path has bits behind its last turn");
        }
        Ok(Self { turns, depth })
    }
}

/// What the first byte of a part says it is. A chunk has no children, a page none but chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    Inner = 1,
    Page = 2,
    Chunk = 3,
}

impl PartKind {
    /// The part of this kind with this content.
    pub(super) fn part(self, content: &[u8]) -> Vec<u8> {
        let mut part = Vec::with_capacity(1 + content.len());
        part.push(self as u8);
        part.extend_from_slice(content);
        part
    }

    /// The kind of a part and its content, or `None` if there is no such kind.
    pub(super) fn split(part: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, content) = part.split_first()?;
        [Self::Inner, Self::Page, Self::Chunk]
            .into_iter()
            .find(|candidate| *candidate as u8 == *kind)
            .map(|kind| (kind, content))
    }

    /// The digest of the node or chunk of this kind that is encoded like this.
    pub(super) fn digest(self, content: &[u8]) -> Digest {
        match self {
            Self::Inner => inner_digest(content),
            Self::Page => page_digest(content),
            Self::Chunk => chunk_digest(content),
        }
    }
}

impl Tree {
    /// The part with this name, at most [`PART_BYTES_MAX`] bytes, or `None` if this tree does not
    /// have it. Asked of a tree whose root digest is known, this takes time for the depth only.
    pub fn part(&self, id: &PartId) -> Option<Vec<u8>> {
        let mut node = self.root.as_deref()?;
        for turn in id.place.path.turns() {
            let Body::Inner(inner) = node.body() else {
                return None;
            };
            node = inner.child(turn);
        }
        match id.place.chunk {
            None => (node.digest() == id.digest).then(|| node.part()),
            Some(place) => node.chunk_part(place, id.digest),
        }
    }
}

impl Node {
    /// This node as a part.
    pub(super) fn part(&self) -> Vec<u8> {
        let kind = match self.body() {
            Body::Page(_) => PartKind::Page,
            Body::Inner(_) => PartKind::Inner,
        };
        let mut part = Vec::with_capacity(1 + PAGE_BYTES_MAX);
        part.push(kind as u8);
        match kind {
            PartKind::Inner => self.encode_levels_to(&mut part),
            PartKind::Page | PartKind::Chunk => self.encode_to(&mut part),
        }
        part
    }

    /// Appends the inner nodes of the topmost levels, each before those below it and the left ones
    /// first.
    fn encode_levels_to(&self, out: &mut Vec<u8>) {
        let mut stack = vec![(self, 1)];
        while let Some((node, level)) = stack.pop() {
            let Body::Inner(inner) = node.body() else { continue };
            node.encode_to(out);
            if level < INNER_LEVELS {
                let [left, right] = inner.children();
                stack.extend([(&**right, level + 1), (&**left, level + 1)]);
            }
        }
    }

    fn chunk_part(&self, place: ChunkPlace, digest: Digest) -> Option<Vec<u8>> {
        let Body::Page(page) = self.body() else {
            return None;
        };
        let value = page.run().large.get(usize::from(place.large))?;
        let index = usize::from(place.chunk);
        if *value.chunk_digests().get(index)? != digest {
            return None;
        }
        value.chunk(index).map(|chunk| PartKind::Chunk.part(chunk))
    }
}
