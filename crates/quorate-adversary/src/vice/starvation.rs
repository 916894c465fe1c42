//! A primary that starves one client: it takes none of that client's requests, neither from the
//! client nor from a backup that relays them, and serves everybody else.
//!
//! *Masked after a view change*: only the execution of the request that has waited longest stops
//! a backup's timer.

use super::Vice;
use crate::{Endpoint, Sending};
use pbft::{ClientId, Message};

#[derive(Debug)]
pub(super) struct Starvation {
    pub(super) client: ClientId,
}

impl Vice for Starvation {
    fn on_receive(
        &mut self,
        _from: Endpoint,
        message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        match &message {
            Message::Request(request) if request.request().client == self.client => None,
            _ => Some(message),
        }
    }
}
