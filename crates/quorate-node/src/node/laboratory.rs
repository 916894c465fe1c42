//! What a laboratory does to a replica and sees of it. In any other cluster there is none of this.

use pbft::message::Kind;
use pbft::{ClientId, Event, Message, Recipients, Reject, Sender};
use quorate_adversary::{Behaviour, Endpoint};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a replica of a laboratory is started with.
#[derive(Clone, Debug, Default)]
pub struct Laboratory {
    /// How it misbehaves from its first message on.
    pub behaviour: Option<Behaviour>,
    /// Decides what it does at random then.
    pub seed: u64,
    /// Who watches it.
    pub watcher: Option<Watcher>,
}

/// Is shown what the protocol thread does, on that thread, before any of it takes effect. Cheap to
/// clone.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(Seen<'_>) + Send + Sync>);

/// Something that the protocol thread does.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A frame arrived, and this becomes of it.
    Arrives {
        /// Over whose link.
        from: Sender,
        /// The frame.
        frame: &'a [u8],
        /// What becomes of it.
        fate: Arrival,
    },
    /// The replica sends a message. An adversary may still do something to it.
    Sends {
        /// To whom.
        to: Recipients,
        /// What.
        message: &'a Message,
    },
    /// The replica answers a client. An adversary may still do something to it.
    Replies {
        /// Whom.
        client: ClientId,
        /// With what.
        message: &'a Message,
    },
    /// A frame goes to a link.
    Leaves {
        /// Whose.
        to: Endpoint,
        /// What kind of message it is, if it is one.
        kind: Option<Kind>,
        /// The frame.
        frame: &'a [u8],
        /// After so long: an adversary holds it back.
        after: Duration,
    },
    /// Something happened to the replica.
    Happens(&'a Event),
}

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The replica handles the message.
    Handled,
    /// The message must not be believed, or comes in vain.
    Refused(Reject),
    /// The replica's adversary looks at nothing.
    Discarded,
}

impl Watcher {
    /// Whoever is called for everything that the protocol thread does. It must not block: the
    /// protocol waits meanwhile.
    pub fn new(watch: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(watch))
    }

    pub(super) fn see(&self, seen: Seen<'_>) {
        (self.0)(seen);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
