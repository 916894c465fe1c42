//! A tree as the rows of a durable snapshot: its pages by their first keys, and its large values
//! by their keys. Inner nodes are not stored, because the pages determine them.

use super::Tree;
use super::key::{first_difference, side};
use super::node::{Body, Inner, Node, Page};
use super::pages::Pages;
use super::run::Value;
use super::value::LargeValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rows in which one tree differs from another.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    /// The pages that are new, by their first key; `None` where no page has this first key now.
    pub(crate) pages: BTreeMap<&'a [u8], Option<&'a Page>>,
    /// The large values that are new, by their key; `None` where there is no large value now.
    pub(crate) values: BTreeMap<&'a [u8], Option<&'a [u8]>>,
}

impl Tree {
    /// What has to be written over the rows of `old` to have the rows of this tree. Takes time
    /// for the difference only, if both root digests are known.
    pub(crate) fn changes_since<'a>(&'a self, old: &'a Self) -> Changes<'a> {
        let mut changes = Changes::default();
        let mut values: BTreeMap<&[u8], [Option<&Arc<LargeValue>>; 2]> = BTreeMap::new();
        let mut stack = vec![(old.root.as_deref(), self.root.as_deref())];
        while let Some(pair) = stack.pop() {
            match pair {
                (Some(old), Some(new)) => stack.extend(unequal_parts(old, new)),
                (Some(old), None) => {
                    for page in Pages::all(old) {
                        changes.pages.entry(first_key(page)).or_insert(None);
                        large_values(page).for_each(|(key, value)| {
                            values.entry(key).or_default()[0] = Some(value);
                        });
                    }
                }
                (None, Some(new)) => {
                    for page in Pages::all(new) {
                        changes.pages.insert(first_key(page), Some(page));
                        large_values(page).for_each(|(key, value)| {
                            values.entry(key).or_default()[1] = Some(value);
                        });
                    }
                }
                (None, None) => {}
            }
        }
        let is_changed = |pair: &[Option<&Arc<LargeValue>>; 2]| {
            let [old, new] = pair.map(|value| value.map(|value| value.chunk_digests()));
            old != new
        };
        let changed = values.into_iter().filter(|(_, pair)| is_changed(pair));
        changes.values = changed.map(|(key, [_, new])| (key, new.map(|new| new.bytes()))).collect();
        changes
    }
}

/// Two subtrees, of the old and of the new tree, that are about the same keys.
type Pair<'a> = (Option<&'a Node>, Option<&'a Node>);

/// Cuts two subtrees into pairs in which whatever they have in common stands opposite to itself;
/// nothing is left of two equal ones.
fn unequal_parts<'a>(old: &'a Node, new: &'a Node) -> Vec<Pair<'a>> {
    if old.digest() == new.digest() {
        return Vec::new();
    }
    let bit = |node: &Node| match node.body() {
        Body::Inner(inner) => inner.bit(),
        Body::Page(_) => u16::MAX,
    };
    let (old_key, new_key) = (old.first_key(), new.first_key());
    let apart = first_difference(old_key, new_key).unwrap_or(u16::MAX);
    if apart < bit(old).min(bit(new)) {
        return vec![(Some(old), None), (None, Some(new))];
    }
    // The subtree that branches earlier is cut in two; the other one belongs to one of the halves.
    let halves = |inner: &'a Inner, key: &[u8]| {
        let turn = side(key, inner.bit());
        (Some(&**inner.child(turn)), Some(&**inner.child(turn.opposite())))
    };
    match (old.body(), new.body()) {
        (Body::Inner(a), Body::Inner(b)) if a.bit() == b.bit() => {
            let pairs = a.children().into_iter().zip(b.children());
            pairs.map(|(a, b)| (Some(&**a), Some(&**b))).collect()
        }
        (Body::Inner(inner), _) if bit(old) < bit(new) => {
            let (same, other) = halves(inner, new_key);
            vec![(same, Some(new)), (other, None)]
        }
        (_, Body::Inner(inner)) => {
            let (same, other) = halves(inner, old_key);
            vec![(Some(old), same), (None, other)]
        }
        (_, Body::Page(_)) => vec![(Some(old), None), (None, Some(new))],
    }
}

fn first_key(page: &Page) -> &[u8] {
    page.run().first_key().expect("a page has an entry")
}

fn large_values(page: &Page) -> impl Iterator<Item = (&[u8], &Arc<LargeValue>)> {
    page.run().entries().filter_map(|entry| match entry.value {
        Value::Inline(_) => None,
        Value::Large(value) => Some((entry.key, value)),
    })
}
