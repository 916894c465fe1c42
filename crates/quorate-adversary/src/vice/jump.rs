//! A primary that leaves a gap in the sequence numbers: its first number in a view is the high
//! water mark, or beyond it, and the others follow.
//!
//! At the high water mark the proposal passes the door and is voted on, but nothing above the gap
//! is executed; one above it is outside the window, and the highest number of all is refused at
//! the door. *Masked after a view change*, which fills the gap with null requests.

use super::{Vice, now, own_pre_prepare, with_pre_prepare};
use crate::{Endpoint, Identity, Jump, Sending};
use pbft::message::PrePrepare;
use pbft::{Message, SeqNum, View};

#[derive(Debug)]
pub(super) struct Jumping {
    identity: Identity,
    to: Jump,
    /// The replica's low water mark, as far as its STATUS has told.
    low_water_mark: u64,
    /// How far it jumps in the last view in which it proposed.
    jump: Option<(View, u64)>,
}

impl Jumping {
    pub(super) fn new(identity: Identity, to: Jump) -> Self {
        Self { identity, to, low_water_mark: 0, jump: None }
    }

    fn number(&mut self, view: View, seq: u64) -> SeqNum {
        let high = self.low_water_mark.saturating_add(self.identity.config.parameters.log_window);
        let target = match self.to {
            Jump::High => high,
            Jump::Above => high.saturating_add(1),
            Jump::Max => return SeqNum::new(u64::MAX),
        };
        let known = self.jump.filter(|(jumped_in, _)| *jumped_in == view);
        let (_, jump) = *self.jump.insert(known.unwrap_or((view, target.saturating_sub(seq))));
        SeqNum::new(seq.saturating_add(jump))
    }
}

impl Vice for Jumping {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let message = match message {
            Message::Status(status) => {
                self.low_water_mark = status.low_water_mark.get();
                Message::Status(status)
            }
            other => match own_pre_prepare(&self.identity, &other) {
                Some(body) => {
                    let seq = self.number(body.view, body.seq.get());
                    let signed = self.identity.sign(PrePrepare { seq, ..body });
                    with_pre_prepare(other, signed)
                }
                None => other,
            },
        };
        vec![now(to, message)]
    }
}
