//! The replicated state as one authenticated, ordered map.
//!
//! A binary trie over the bits of the keys. A subtree whose entries fit [`PAGE_BYTES_MAX`] is one
//! sorted page; a larger one is an inner node that branches at the first bit at which its keys
//! differ. So the content alone decides the shape, and the digest of the root depends on nothing
//! but the content: not on the order of the operations that led to it. Nor can a client make the
//! tree deeper than its keys have bits.
//!
//! Nodes are shared between a tree and its clones: cloning takes a snapshot in constant time, and
//! a later change copies the one path it touches, once. Digests are computed when they are asked
//! for, on whichever thread asks, and stay with the node, so a checkpoint costs what changed since
//! the last one.
//!
//! The formats are written down in `docs/storage.md`, section *State tree*.

pub(crate) mod assembler;
pub(crate) mod changes;
mod decode;
pub(crate) mod key;
pub(crate) mod namespace;
mod node;
mod pages;
pub(crate) mod part;
pub(crate) mod proof;
pub(crate) mod rebuild;
mod run;
mod totals;
pub(crate) mod value;

#[cfg(test)]
mod tests;

use key::{Side, TREE_KEY_BYTES_MAX, first_difference, side};
use node::{Body, Node};
use pages::Pages;
use pbft::Digest;
use run::{Entry, RunBuffer, Value};
use std::sync::Arc;
use totals::Totals;
use value::{INLINE_VALUE_BYTES_MAX, LargeValue, VALUE_BYTES_MAX};

/// A subtree whose entries take at most so many bytes is one page. Small enough that a change
/// hashes little, large enough that the inner nodes are few next to the data.
pub const PAGE_BYTES_MAX: usize = 4096;

const EMPTY_CONTEXT: &str = "quorate state tree v1 empty";

/// An authenticated ordered map from keys to values. `clone` takes a snapshot in constant time.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `None` if there are no entries.
    root: Option<Arc<Node>>,
}

impl Tree {
    /// The tree without entries.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let page = self.root.as_ref()?.page_for(key);
        page.run().find(key).map(|entry| entry.value.bytes())
    }

    /// Visits, in ascending order of keys, every entry with `start <= key` and, when `end` is
    /// given, `key < end`, until `visit` returns `false`.
    pub fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) {
        let Some(root) = &self.root else { return };
        let entries = Pages::from(root, start).flat_map(|page| page.run().entries());
        for entry in entries.skip_while(|entry| entry.key < start) {
            let is_behind = end.is_some_and(|end| entry.key >= end);
            if is_behind || !visit(entry.key, entry.value.bytes()) {
                return;
            }
        }
    }

    /// Sets `key` to `value`.
    ///
    /// # Panics
    ///
    /// If the key is longer than [`TREE_KEY_BYTES_MAX`] or the value longer than
    /// [`VALUE_BYTES_MAX`]: who writes here has checked what clients asked for.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) {
        assert!(key.len() <= TREE_KEY_BYTES_MAX, "a key of {} bytes is too long", key.len());
        assert!(value.len() <= VALUE_BYTES_MAX, "a value of {} bytes is too long", value.len());
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            return self.put_entry(Entry { key, value: Value::Inline(&value) });
        }
        let value = Arc::new(LargeValue::new(value));
        self.put_entry(Entry { key, value: Value::Large(&value) });
    }

    /// Removes `key`; does nothing if it is absent.
    pub fn delete(&mut self, key: &[u8]) {
        let Some(root) = &mut self.root else { return };
        let Some(entry) = root.page_for(key).run().find(key) else {
            return;
        };
        let removed = entry.totals();
        if root.totals() == removed {
            self.root = None;
        } else {
            delete_below(root, key, removed);
        }
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.totals().entries
    }

    /// Whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.totals().data_bytes
    }

    /// The digest of the whole content. Takes time for what changed since it was last asked for,
    /// here or on a clone; so ask on a clone, on another thread.
    pub fn root_digest(&self) -> Digest {
        self.root.as_ref().map_or_else(empty_digest, |root| root.digest())
    }

    fn totals(&self) -> Totals {
        self.root.as_ref().map_or(Totals::ZERO, |root| root.totals())
    }

    fn put_entry(&mut self, entry: Entry<'_>) {
        match &mut self.root {
            Some(root) => put_below(root, entry),
            None => {
                self.root = Some(Arc::new(Node::of_run(RunBuffer::default().as_run().with(entry))));
            }
        }
    }
}

/// The digest of the tree without entries.
fn empty_digest() -> Digest {
    Digest::of(EMPTY_CONTEXT, &[])
}

/// Puts `entry` into the tree at `link`: one descent to learn what changes, one to change it.
fn put_below(mut link: &mut Arc<Node>, entry: Entry<'_>) {
    let run = link.page_for(entry.key).run();
    let (removed, differs) = match run.find(entry.key) {
        Some(old) => (old.totals(), None),
        None => {
            let resident = run.first_key().expect("a page has an entry");
            (Totals::ZERO, first_difference(entry.key, resident))
        }
    };
    while let Body::Inner(inner) = link.body() {
        if let Some(bit) = differs
            && bit < inner.bit()
        {
            return put_beside(link, bit, entry);
        }
        let totals = inner.totals().minus(removed).plus(entry.totals());
        if totals.fit_page() {
            break;
        }
        let turn = side(entry.key, inner.bit());
        let inner = Node::inner_mut(link).expect("an inner node was just matched");
        inner.set_totals(totals);
        link = inner.child_mut(turn);
    }
    let run = match link.body() {
        Body::Page(page) => page.run().with(entry),
        Body::Inner(_) => link.flatten().as_run().with(entry),
    };
    *link = Arc::new(Node::of_run(run));
}

/// Makes room for `entry`, whose key differs from every key at `link` for the first time at `bit`.
fn put_beside(link: &mut Arc<Node>, bit: u16, entry: Entry<'_>) {
    let old = Arc::clone(link);
    let new = Arc::new(Node::of_run(RunBuffer::default().as_run().with(entry)));
    *link = Arc::new(match side(entry.key, bit) {
        Side::Left => Node::inner(bit, new, old),
        Side::Right => Node::inner(bit, old, new),
    });
}

/// Removes `key`, which is in the tree at `link` and not its only one, and amounts to `removed`.
fn delete_below(mut link: &mut Arc<Node>, key: &[u8], removed: Totals) {
    while let Body::Inner(inner) = link.body() {
        let totals = inner.totals().minus(removed);
        if totals.fit_page() {
            break;
        }
        let turn = side(key, inner.bit());
        if inner.child(turn).totals() == removed {
            let sibling = Arc::clone(inner.child(turn.opposite()));
            *link = sibling;
            return;
        }
        let inner = Node::inner_mut(link).expect("an inner node was just matched");
        inner.set_totals(totals);
        link = inner.child_mut(turn);
    }
    let run = match link.body() {
        Body::Page(page) => page.run().without(key),
        Body::Inner(_) => link.flatten().as_run().without(key),
    };
    *link = Arc::new(Node::of_run(run));
}
