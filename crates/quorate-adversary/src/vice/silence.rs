//! Accepting everything, discarding it, and saying nothing. *Masked* at a backup, *masked after a
//! view change* at the primary.

use super::Vice;
use crate::{Endpoint, Sending};
use pbft::Message;

#[derive(Debug)]
pub(super) struct Silence;

impl Vice for Silence {
    fn on_send(&mut self, _to: Endpoint, _message: Message) -> Vec<Sending> {
        Vec::new()
    }

    fn on_receive(
        &mut self,
        _from: Endpoint,
        _message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        None
    }
}
