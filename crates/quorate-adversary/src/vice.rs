//! One vice a file.

mod byzantine;
mod dos_attacker;
mod equivocation;
mod false_replies;
mod silence;
mod slowness;
mod wrong_digest;

use crate::{Behaviour, Endpoint, Identity, Sending};
use core::fmt::Debug;
use core::time::Duration;
use pbft::{Digest, Message};

/// What a faulty replica does to its messages. By itself each passes unchanged.
pub(crate) trait Vice: Debug + Send {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        vec![now(to, message)]
    }

    fn on_receive(&mut self, _from: Endpoint, message: Message) -> Option<Message> {
        Some(message)
    }
}

/// The vice of a behaviour.
pub(crate) fn of(behaviour: Behaviour, identity: Identity, seed: u64) -> Box<dyn Vice> {
    match behaviour {
        Behaviour::EquivocatingPrimary => Box::new(equivocation::Equivocation::new(identity)),
        Behaviour::FaultyPrimary => Box::new(wrong_digest::WrongPrePrepare(identity)),
        Behaviour::FaultyNode => Box::new(wrong_digest::WrongPrepare),
        Behaviour::FaultyReplies => Box::new(false_replies::FalseReplies(identity)),
        Behaviour::NonResponding => Box::new(silence::Silence),
        Behaviour::Slow { delay, slowed } => Box::new(slowness::Slowness { delay, slowed }),
        Behaviour::DosAttacker { factor } => Box::new(dos_attacker::DosAttacker { factor }),
        Behaviour::Byzantine => Box::new(byzantine::Byzantine::new(&identity, seed)),
    }
}

/// `message` sent without delay.
fn now(to: Endpoint, message: Message) -> Sending {
    Sending { delay: Duration::ZERO, to, message }
}

/// A digest that is not `digest`, and always the same one, so that liars agree.
fn another(digest: Digest) -> Digest {
    Digest::of("quorate adversary v1: another digest", &[digest.as_bytes()])
}
