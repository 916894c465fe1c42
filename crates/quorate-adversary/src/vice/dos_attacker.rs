//! Saying everything many times. It passes the door and is dropped as said before; *masked*.

use super::{Vice, now};
use crate::{Endpoint, Sending};
use pbft::Message;

#[derive(Debug)]
pub(super) struct DosAttacker {
    pub(super) factor: u32,
}

impl Vice for DosAttacker {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        (0..self.factor).map(|_| now(to, message.clone())).collect()
    }
}
