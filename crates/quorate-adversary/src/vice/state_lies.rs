//! Handing out wrong parts of the state to a replica that fetches it. Each part is checked against
//! the digest that names it: a wrong one is dropped and its sender rests, and one that nobody asked
//! for, or that never comes, is asked of others. *Masked*, and what is dropped is counted against
//! its link.

use super::{Vice, now};
use crate::{Endpoint, Sending, StateLie};
use pbft::Message;
use pbft::message::{PartId, StatePart, StateParts};
use std::collections::BTreeMap;

/// An endless answer sends its part so many times for each that was asked for.
const REPEATED_COUNT: usize = 64;

/// How much too long an oversized part is.
const OVERSIZE_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct StateLies {
    lie: StateLie,
    /// The content of the part sent before.
    before: Vec<u8>,
    /// The part that each receiver is sent for ever.
    endless: BTreeMap<Endpoint, PartId>,
}

impl StateLies {
    pub(super) fn new(lie: StateLie) -> Self {
        Self { lie, before: Vec::new(), endless: BTreeMap::new() }
    }

    /// How often the part is sent, and with which content.
    fn lie(&mut self, to: Endpoint, part: &PartId, mut content: Vec<u8>) -> (usize, Vec<u8>) {
        match self.lie {
            StateLie::Changed => {
                let middle = content.len() / 2;
                if let Some(byte) = content.get_mut(middle) {
                    *byte = !*byte;
                }
                (1, content)
            }
            StateLie::Swapped => (1, core::mem::replace(&mut self.before, content)),
            StateLie::Endless => {
                let first = self.endless.entry(to).or_insert_with(|| part.clone());
                (if first == part { REPEATED_COUNT } else { 0 }, content)
            }
            StateLie::Oversized => {
                content.resize(content.len() + OVERSIZE_BYTES, 0);
                (1, content)
            }
        }
    }
}

impl Vice for StateLies {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let Message::StateParts(StateParts { seq, parts, rest }) = message else {
            return vec![now(to, message)];
        };
        let lies = parts.into_iter().flat_map(|StatePart { part, content }| {
            let (count, content) = self.lie(to, &part, content);
            vec![StatePart { part, content }; count]
        });
        let parts = lies.collect();
        vec![now(to, Message::StateParts(StateParts { seq, parts, rest }))]
    }
}
