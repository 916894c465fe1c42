//! The pages of a tree in order: what scans walk.

use super::key::{Side, first_difference, side};
use super::node::{Body, Node, Page};

/// The pages of a tree in the order of their keys.
pub(super) struct Pages<'a> {
    /// The subtrees still to visit, the next one last.
    stack: Vec<&'a Node>,
}

impl<'a> Pages<'a> {
    pub(super) fn all(root: &'a Node) -> Self {
        Self { stack: vec![root] }
    }

    /// The pages from the one that holds the first key not below `start`, or would; lower keys
    /// can only be in the first page.
    pub(super) fn from(root: &'a Node, start: &[u8]) -> Self {
        let resident = root.page_for(start).run().first_key().unwrap_or_default();
        let differs = first_difference(start, resident).unwrap_or(u16::MAX);
        let (mut stack, mut node) = (Vec::new(), root);
        loop {
            match node.body() {
                Body::Inner(inner) if inner.bit() < differs => {
                    let turn = side(start, inner.bit());
                    if turn == Side::Left {
                        stack.push(&**inner.child(Side::Right));
                    }
                    node = inner.child(turn);
                }
                // All keys of this subtree are on one side of `start`.
                Body::Inner(_) if side(start, differs) == Side::Right => break,
                Body::Inner(_) | Body::Page(_) => {
                    stack.push(node);
                    break;
                }
            }
        }
        Self { stack }
    }
}

impl<'a> Iterator for Pages<'a> {
    type Item = &'a Page;

    fn next(&mut self) -> Option<&'a Page> {
        let mut node = self.stack.pop()?;
        loop {
            match node.body() {
                Body::Page(page) => return Some(page),
                Body::Inner(inner) => {
                    self.stack.push(inner.child(Side::Right));
                    node = inner.child(Side::Left);
                }
            }
        }
    }
}
