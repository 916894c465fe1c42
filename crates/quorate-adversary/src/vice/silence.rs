//! Accepting everything, discarding it, and saying nothing.

use super::Vice;
use crate::{Endpoint, Sending};
use pbft::Message;

#[derive(Debug)]
pub(super) struct Silence;

impl Vice for Silence {
    fn on_send(&mut self, _to: Endpoint, _message: Message) -> Vec<Sending> {
        Vec::new()
    }

    fn on_receive(&mut self, _from: Endpoint, _message: Message) -> Option<Message> {
        None
    }
}
