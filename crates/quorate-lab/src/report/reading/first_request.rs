//! The first request that was answered, followed backwards from its answer.

use super::{Reading, replica};
use crate::trace::{MessageLine, Party};

/// A request, and when it got how far.
pub(in crate::report) struct FirstRequest<'a> {
    pub(in crate::report) client: Party,
    /// When the client sent it.
    pub(in crate::report) sent: u64,
    /// The number that orders it, and the message that proposes it there.
    pub(in crate::report) seq: u64,
    pub(in crate::report) proposal: &'a MessageLine,
}

impl<'a> Reading<'a> {
    /// The first request beside those that open sessions; nothing if none was answered.
    pub(in crate::report) fn first_request(&self) -> Option<FirstRequest<'a>> {
        let messages = || self.arrows.iter().map(|arrow| arrow.message);
        let reply = messages().find(|message| message.kind == "REPLY" && !message.session)?;
        let request = messages().find(|message| {
            (message.kind, message.from, message.request) == ("REQUEST", reply.to, reply.request)
        })?;
        let executed =
            self.executions().filter(|event| event.replica == reply.from && event.at <= reply.sent);
        let seq = executed.filter_map(|event| event.seq).max()?;
        let proposal = messages().find(|message| {
            message.kind == "PRE-PREPARE"
                && message.seq == Some(seq)
                && message.view.map(|view| self.primary(view)) == replica(message.from)
        })?;
        Some(FirstRequest { client: reply.to, sent: request.sent, seq, proposal })
    }
}
