//! Saying the right thing late. *Masked*; at the primary *after a view change*, if the delay is
//! above the timeout.

use super::{Vice, now};
use crate::{Endpoint, Sending, Slowed};
use core::time::Duration;
use pbft::Message;

#[derive(Debug)]
pub(super) struct Slowness {
    pub(super) delay: Duration,
    pub(super) slowed: Slowed,
}

impl Vice for Slowness {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        let is_slowed = match self.slowed {
            Slowed::Everything => true,
            Slowed::Replies => matches!(message, Message::Reply(_) | Message::ReadReply(_)),
        };
        let delay = if is_slowed { self.delay } else { Duration::ZERO };
        vec![Sending { delay, ..now(to, message) }]
    }
}
