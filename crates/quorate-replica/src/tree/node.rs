//! Nodes: pages and the inner nodes above them, their encodings and their digests.

use super::PAGE_BYTES_MAX;
use super::key::{Side, first_difference, side};
use super::pages::Pages;
use super::run::{DIGEST_BYTES, ENTRY_HEADER_BYTES, Run, RunBuffer, Value};
use super::totals::Totals;
use super::value::LargeValue;
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::Digest;
use std::fmt;
use std::sync::{Arc, OnceLock};

const PAGE_CONTEXT: &str = "quorate state tree v1 page";
const INNER_CONTEXT: &str = "quorate state tree v1 inner node";

/// The bytes of an encoded inner node: the bit, and for each child its digest and totals.
pub(super) const ENCODED_INNER_BYTES: usize = 2 + 2 * (DIGEST_BYTES + 3 * 8);

/// A subtree. Immutable once it is shared.
#[derive(Clone)]
pub(super) struct Node {
    body: Body,
    /// The digest of the encoded body, once somebody asked for it.
    digest: OnceLock<Digest>,
}

#[derive(Clone)]
pub(super) enum Body {
    Page(Page),
    Inner(Inner),
}

/// The entries of a subtree small enough to be one page.
#[derive(Clone)]
pub(crate) struct Page {
    buffer: Box<[u8]>,
    large: Box<[Arc<LargeValue>]>,
    /// **Invariant:** the totals of the run, and they fit a page.
    totals: Totals,
}

/// The point where the keys of a subtree too large for a page first differ.
#[derive(Clone)]
pub(super) struct Inner {
    /// The first bit at which keys of this subtree differ. **Invariant:** below that of every
    /// inner node in the subtree.
    bit: u16,
    /// The keys whose bit is zero and those whose bit is one. **Invariant:** both are there until
    /// the node is dropped.
    children: [Option<Arc<Node>>; 2],
    /// **Invariant:** the sum of the children's, and too much for a page.
    totals: Totals,
}

impl Node {
    pub(super) const fn body(&self) -> &Body {
        &self.body
    }

    pub(super) const fn totals(&self) -> Totals {
        match &self.body {
            Body::Page(page) => page.totals,
            Body::Inner(inner) => inner.totals,
        }
    }

    /// The subtree of these entries, which must not be none. The recursion is as deep as there
    /// are entries at most, so a run handed in here is a page or a little more.
    pub(super) fn of_run(run: RunBuffer) -> Self {
        let totals = run.as_run().totals();
        if totals.fit_page() {
            let RunBuffer { buffer, large } = run;
            return Body::Page(Page { buffer: buffer.into(), large: large.into(), totals }).into();
        }
        let (first, last) = (run.as_run().first_key(), run.as_run().last_key());
        let bit = first
            .zip(last)
            .and_then(|(first, last)| first_difference(first, last))
            .expect("what does not fit a page has two entries, whose keys differ");
        let (left, right) = run.as_run().split_at_bit(bit);
        let subtree = |run: Run<'_>| {
            let mut copy = RunBuffer::default();
            copy.append(run);
            Arc::new(Self::of_run(copy))
        };
        Self::inner(bit, subtree(left), subtree(right))
    }

    pub(super) fn inner(bit: u16, left: Arc<Self>, right: Arc<Self>) -> Self {
        let totals = left.totals().plus(right.totals());
        Body::Inner(Inner { bit, children: [Some(left), Some(right)], totals }).into()
    }

    /// This node, whose digest the caller has checked.
    pub(super) fn with_verified_digest(self, digest: Digest) -> Self {
        Self { body: self.body, digest: OnceLock::from(digest) }
    }

    /// The inner node behind `link` to be changed in place: copied first if a snapshot shares
    /// it, and without its digest.
    pub(super) fn inner_mut(link: &mut Arc<Self>) -> Option<&mut Inner> {
        let node = Arc::make_mut(link);
        node.digest.take();
        match &mut node.body {
            Body::Inner(inner) => Some(inner),
            Body::Page(_) => None,
        }
    }

    /// The digest, of this node and of all below it. Cheap where nothing changed since it was
    /// last asked for. Keeps its own stack, because a client may make the tree deep.
    pub(super) fn digest(&self) -> Digest {
        if let Some(digest) = self.digest.get() {
            return *digest;
        }
        let mut stack = vec![self];
        while let Some(node) = stack.last().copied() {
            let below = stack.len();
            if let (None, Body::Inner(inner)) = (node.digest.get(), &node.body) {
                let unknown = |child: &&Self| child.digest.get().is_none();
                stack.extend(inner.children().map(|child| &**child).into_iter().filter(unknown));
            }
            if stack.len() == below {
                node.digest_above_known();
                stack.pop();
            }
        }
        self.digest_above_known()
    }

    /// The digest of a node whose children know theirs.
    fn digest_above_known(&self) -> Digest {
        *self.digest.get_or_init(|| match &self.body {
            Body::Page(page) if page.large.is_empty() => page_digest(&page.buffer),
            Body::Page(page) => page_digest(&page.encode()),
            Body::Inner(inner) => inner_digest(&inner.claim().encode()),
        })
    }

    /// The encoding that the digest is of.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(PAGE_BYTES_MAX);
        self.encode_to(&mut encoded);
        encoded
    }

    /// Appends the encoding that the digest is of.
    pub(super) fn encode_to(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::Page(page) => page.encode_to(out),
            Body::Inner(inner) => out.extend(inner.claim().encode()),
        }
    }

    /// Every entry of the subtree as one run. For subtrees of about a page.
    pub(super) fn flatten(&self) -> RunBuffer {
        let mut run = RunBuffer::default();
        Pages::all(self).for_each(|page| run.append(page.run()));
        run
    }

    /// The lowest key of the subtree.
    pub(super) fn first_key(&self) -> &[u8] {
        self.page_at_end(Side::Left).run().first_key().expect("a page has an entry")
    }

    /// The highest key of the subtree.
    pub(super) fn last_key(&self) -> &[u8] {
        self.page_at_end(Side::Right).run().last_key().expect("a page has an entry")
    }

    fn page_at_end(&self, end: Side) -> &Page {
        self.descend(|_| end)
    }

    /// The only page that may hold `key`.
    pub(super) fn page_for(&self, key: &[u8]) -> &Page {
        self.descend(|bit| side(key, bit))
    }

    fn descend(&self, turn: impl Fn(u16) -> Side) -> &Page {
        let mut node = self;
        loop {
            match &node.body {
                Body::Page(page) => return page,
                Body::Inner(inner) => node = inner.child(turn(inner.bit)),
            }
        }
    }
}

impl fmt::Debug for Node {
    /// Without the content, which is large and may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl From<Body> for Node {
    fn from(body: Body) -> Self {
        Self { body, digest: OnceLock::new() }
    }
}

/// The digest of a page encoded like this.
pub(super) fn page_digest(encoded: &[u8]) -> Digest {
    Digest::of(PAGE_CONTEXT, &[encoded])
}

/// The digest of an inner node encoded like this.
pub(super) fn inner_digest(encoded: &[u8]) -> Digest {
    Digest::of(INNER_CONTEXT, &[encoded])
}

impl Page {
    pub(super) const fn run(&self) -> Run<'_> {
        Run { buffer: &self.buffer, large: &self.large }
    }

    /// The encoding that the page's digest is of.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(PAGE_BYTES_MAX);
        self.encode_to(&mut encoded);
        encoded
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        if self.large.is_empty() {
            return out.extend_from_slice(&self.buffer);
        }
        let mut rest = &*self.buffer;
        for entry in self.run().entries() {
            let in_buffer = match entry.value {
                Value::Inline(value) => ENTRY_HEADER_BYTES + entry.key.len() + value.len(),
                Value::Large(_) => ENTRY_HEADER_BYTES + entry.key.len(),
            };
            let (bytes, behind) = rest.split_at(in_buffer);
            out.extend_from_slice(bytes);
            if let Value::Large(value) = entry.value {
                value.chunk_digests().iter().for_each(|d| out.extend_from_slice(d.as_bytes()));
            }
            rest = behind;
        }
    }
}

impl Inner {
    pub(super) const fn bit(&self) -> u16 {
        self.bit
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) const fn set_totals(&mut self, totals: Totals) {
        self.totals = totals;
    }

    pub(super) fn children(&self) -> [&Arc<Node>; 2] {
        [self.child(Side::Left), self.child(Side::Right)]
    }

    pub(super) fn child(&self, side: Side) -> &Arc<Node> {
        self.children[side as usize].as_ref().expect("children stay until the node is dropped")
    }

    pub(super) fn child_mut(&mut self, side: Side) -> &mut Arc<Node> {
        self.children[side as usize].as_mut().expect("children stay until the node is dropped")
    }

    fn claim(&self) -> InnerClaim {
        let claim = |child: &Arc<Node>| Claim { digest: child.digest(), totals: child.totals() };
        InnerClaim { bit: self.bit, children: self.children().map(claim) }
    }
}

/// What an inner node says of one of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Claim {
    pub(super) digest: Digest,
    pub(super) totals: Totals,
}

/// An inner node without its children: what is encoded, and what its digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct InnerClaim {
    pub(super) bit: u16,
    pub(super) children: [Claim; 2],
}

impl InnerClaim {
    pub(super) fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory cannot fail")
    }
}

impl Drop for Inner {
    /// Drops the subtree without recursion: a client may make the tree deeper than a stack.
    fn drop(&mut self) {
        let mut stack: Vec<Arc<Node>> = self.children.iter_mut().filter_map(Option::take).collect();
        while let Some(node) = stack.pop() {
            if let Some(Node { body: Body::Inner(mut inner), .. }) = Arc::into_inner(node) {
                stack.extend(inner.children.iter_mut().filter_map(Option::take));
            }
        }
    }
}
