//! A service's own part of the tree: the keys under one prefix, seen without it.

use super::Tree;
use super::key::NAMESPACE_BYTES_MAX;
use pbft::{KEY_BYTES_MAX, State, StateRead};

/// The entries of a tree under one prefix, for reading. Prefixes of different services must not
/// be beginnings of one another.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    tree: &'a Tree,
    prefix: &'a [u8],
}

impl<'a> Namespace<'a> {
    /// The part of `tree` under `prefix`.
    ///
    /// # Panics
    ///
    /// If the prefix is longer than [`NAMESPACE_BYTES_MAX`].
    pub fn new(tree: &'a Tree, prefix: &'a [u8]) -> Self {
        assert!(prefix.len() <= NAMESPACE_BYTES_MAX, "a namespace's prefix is too long");
        Self { tree, prefix }
    }
}

/// The entries of a tree under one prefix, for writing; see [`Namespace`].
#[derive(Debug)]
pub struct NamespaceMut<'a> {
    tree: &'a mut Tree,
    prefix: &'a [u8],
}

impl<'a> NamespaceMut<'a> {
    /// The part of `tree` under `prefix`.
    ///
    /// # Panics
    ///
    /// If the prefix is longer than [`NAMESPACE_BYTES_MAX`].
    pub fn new(tree: &'a mut Tree, prefix: &'a [u8]) -> Self {
        assert!(prefix.len() <= NAMESPACE_BYTES_MAX, "a namespace's prefix is too long");
        Self { tree, prefix }
    }

    /// The same part, for reading.
    pub const fn as_read(&self) -> Namespace<'_> {
        Namespace { tree: self.tree, prefix: self.prefix }
    }
}

impl StateRead for Namespace<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.tree.get(&joined(self.prefix, key)).map(<[u8]>::to_vec)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let start = joined(self.prefix, start);
        let end = match end {
            Some(end) => Some(joined(self.prefix, end)),
            None => first_key_behind(self.prefix),
        };
        let length = self.prefix.len();
        self.tree.scan(&start, end.as_deref(), &mut |key, value| visit(&key[length..], value));
    }
}

impl StateRead for NamespaceMut<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.as_read().get(key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        self.as_read().scan(start, end, visit);
    }
}

impl State for NamespaceMut<'_> {
    /// # Panics
    ///
    /// If the key is longer than [`KEY_BYTES_MAX`] or the value longer than
    /// [`VALUE_BYTES_MAX`](super::VALUE_BYTES_MAX).
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        assert!(key.len() <= KEY_BYTES_MAX, "a key of {} bytes is too long", key.len());
        self.tree.put(&joined(self.prefix, key), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.tree.delete(&joined(self.prefix, key));
    }
}

fn joined(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    [prefix, key].concat()
}

/// The lowest key above every key under `prefix`, if there can be one.
fn first_key_behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key)
}
