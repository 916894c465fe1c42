//! The client table: sessions, windows and kept replies, inside the replicated state [EX3].
//!
//! A client has one session and a window of `client_window` timestamps from `low` on. A request
//! executes if its timestamp is in the window and was not executed before; its reply is kept until
//! the client says that it has it (`acknowledged_below`, which moves `low`) or opens a newer
//! session (session 0 is open from the start). So at most `client_window` replies of a client are
//! kept: those of up to `cached_reply_bytes_max` bytes, and longer ones while these come to no more
//! than `cached_long_replies_bytes_max` together.

use super::layout::{CLIENT_KEYS, StateError, client_key, client_of_key, encode, reply_key};
use crate::tree::Tree;
use crate::tree::value::VALUE_BYTES_MAX;
use borsh::BorshDeserialize;
use pbft::message::{Outcome, Request};
use pbft::{ClientId, ClientWindow, Parameters, Session, Timestamp};
use std::collections::BTreeSet;

/// The entry of one client, to be changed by one request.
pub(super) struct ClientTable<'a> {
    tree: &'a mut Tree,
    client: ClientId,
    window: ClientWindow,
}

/// What the client table says about a request.
pub(super) enum Standing {
    /// Execute it.
    New,
    /// Do not; answer so, or not at all.
    Known(Option<Outcome>),
}

impl<'a> ClientTable<'a> {
    pub(super) fn open(tree: &'a mut Tree, client: ClientId) -> Self {
        let window = read_window(tree, client);
        Self { tree, client, window }
    }

    pub(super) fn into_window(self) -> ClientWindow {
        self.window
    }

    /// Opens a session if it is newer than the current one, which it fences: a client that
    /// started again, or was started twice, cannot get an old request executed any more [CL4].
    pub(super) fn open_session(&mut self, session: Session) -> Outcome {
        let current = self.window.session;
        if session < current {
            return Outcome::Fenced { current };
        }
        if session > current {
            self.forget_replies_below(None);
            // Timestamp 0 is that of the request which opens the session.
            let low = Timestamp::new(1);
            self.window = ClientWindow { session, low, ..ClientWindow::default() };
            self.write_window();
        }
        Outcome::SessionOpened
    }

    /// Decides whether a request executes. Its acknowledgement counts first, so that a client
    /// whose window is full moves it with the next request; it reaches at most up to the request
    /// itself, whatever the client claims [CL6].
    pub(super) fn admit(&mut self, request: &Request, client_window: u64) -> Standing {
        let timestamp = request.timestamp;
        if request.session != self.window.session {
            return Standing::Known(Some(Outcome::Fenced { current: self.window.session }));
        }
        if timestamp < self.window.low {
            return Standing::Known(None);
        }
        self.acknowledge(request.acknowledged_below.min(timestamp));
        if self.window.executed.contains(&timestamp) {
            return Standing::Known(Some(read_reply(self.tree, self.client, timestamp)));
        }
        if timestamp.get() - self.window.low.get() >= client_window {
            return Standing::Known(Some(Outcome::OutsideWindow));
        }
        Standing::New
    }

    /// Notes that a request [admitted](Self::admit) as new was executed, and keeps its reply, or
    /// the reply's digest if there is no room for it. Says how many bytes the reply takes if it is
    /// kept whole.
    pub(super) fn note_executed(
        &mut self,
        timestamp: Timestamp,
        outcome: &Outcome,
        parameters: &Parameters,
    ) -> Option<usize> {
        let mut reply = encode(outcome);
        let is_result = matches!(outcome, Outcome::Executed(_));
        let has_room = !is_result || self.has_room(reply.len(), parameters);
        let kept = has_room.then_some(reply.len());
        if !has_room {
            reply = encode(&Outcome::ExecutedBefore(outcome.digest()));
        }
        self.tree.put(&reply_key(self.client, timestamp), reply);
        self.window.executed.insert(timestamp);
        self.write_window();
        kept
    }

    /// Whether a result of so many bytes is kept whole.
    fn has_room(&self, bytes: usize, parameters: &Parameters) -> bool {
        let is_long = |bytes: &usize| *bytes > parameters.cached_reply_bytes_max;
        if bytes > VALUE_BYTES_MAX || !is_long(&bytes) {
            return bytes <= VALUE_BYTES_MAX;
        }
        let kept = self.window.executed.iter().filter_map(|timestamp| {
            self.tree.get(&reply_key(self.client, *timestamp)).map(<[u8]>::len)
        });
        let kept: usize = kept.filter(is_long).sum();
        kept + bytes <= parameters.cached_long_replies_bytes_max
    }

    fn acknowledge(&mut self, below: Timestamp) {
        if below > self.window.low {
            self.forget_replies_below(Some(below));
            self.window.low = below;
            self.write_window();
        }
    }

    /// Drops the replies below a timestamp, or all.
    fn forget_replies_below(&mut self, bound: Option<Timestamp>) {
        let kept = bound.map_or_else(BTreeSet::new, |low| self.window.executed.split_off(&low));
        for timestamp in std::mem::replace(&mut self.window.executed, kept) {
            self.tree.delete(&reply_key(self.client, timestamp));
        }
    }

    fn write_window(&mut self) {
        let ClientWindow { session, low, executed } = &self.window;
        self.tree.put(&client_key(self.client), encode(&(session, low, executed)));
    }
}

/// Whether everything in the table is what this file writes.
///
/// # Errors
/// If it is not.
pub(super) fn check(tree: &Tree) -> Result<(), StateError> {
    let mut is_sound = true;
    tree.scan(CLIENT_KEYS.0, Some(CLIENT_KEYS.1), &mut |key, value| {
        is_sound = match client_of_key(key) {
            None => Outcome::try_from_slice(value).is_ok(),
            Some(client) => parse_window(value).is_some_and(|window| {
                let mut executed = window.executed.iter();
                executed.all(|timestamp| tree.get(&reply_key(client, *timestamp)).is_some())
            }),
        };
        is_sound
    });
    if is_sound { Ok(()) } else { Err(StateError::BadRecord { record: "client" }) }
}

/// The window of every client in the table.
pub(super) fn windows(tree: &Tree) -> Vec<(ClientId, ClientWindow)> {
    let mut windows = Vec::new();
    tree.scan(CLIENT_KEYS.0, Some(CLIENT_KEYS.1), &mut |key, value| {
        if let Some(client) = client_of_key(key) {
            windows.push((client, decode_window(value)));
        }
        true
    });
    windows
}

/// The reply kept for a request.
pub(super) fn cached_outcome(
    tree: &Tree,
    client: ClientId,
    session: Session,
    timestamp: Timestamp,
) -> Option<Outcome> {
    let window = read_window(tree, client);
    let is_kept = window.session == session && window.executed.contains(&timestamp);
    is_kept.then(|| read_reply(tree, client, timestamp))
}

/// The length of an outcome as it is sent and kept.
pub(super) fn encoded_bytes(outcome: &Outcome) -> usize {
    borsh::object_length(outcome).expect("counting bytes cannot fail")
}

fn read_window(tree: &Tree, client: ClientId) -> ClientWindow {
    tree.get(&client_key(client)).map_or_else(ClientWindow::default, decode_window)
}

fn decode_window(bytes: &[u8]) -> ClientWindow {
    parse_window(bytes).expect("the state holds what this file wrote")
}

fn parse_window(bytes: &[u8]) -> Option<ClientWindow> {
    let (session, low, executed) = BorshDeserialize::try_from_slice(bytes).ok()?;
    Some(ClientWindow { session, low, executed })
}

fn read_reply(tree: &Tree, client: ClientId, timestamp: Timestamp) -> Outcome {
    let bytes = tree.get(&reply_key(client, timestamp)).expect("what was executed has a reply");
    Outcome::try_from_slice(bytes).expect("the state holds what this file wrote")
}
