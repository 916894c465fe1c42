//! One vice a file. Each file says what the vice does, whether its lies pass the door or are
//! refused there, and what is to be expected: that it is masked, that it is masked after a view
//! change, or that it is detected and its author named.

mod accomplice;
mod byzantine;
mod divergence;
mod dos_attacker;
mod equivocation;
mod fabrication;
mod false_replies;
mod flood;
mod forgery;
mod garbage;
mod honesty;
mod huge_view;
mod isolation;
mod jump;
mod lying_new_view;
mod mutation;
mod proposals;
mod rejoining;
mod repetition;
mod replay;
mod selective_silence;
mod silence;
mod slow_proposals;
mod slowness;
mod starvation;
mod state_lies;
mod wrong_digest;

pub use mutation::mutants;

use crate::{Behaviour, Endpoint, Identity, Payload, Sending};
use core::fmt::Debug;
use core::time::Duration;
use pbft::message::PrePrepare;
use pbft::{Digest, Message, Signed};

/// What a faulty replica does to its messages. By itself each passes unchanged.
pub(crate) trait Vice: Debug + Send {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        vec![now(to, message)]
    }

    fn on_receive(
        &mut self,
        _from: Endpoint,
        message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        Some(message)
    }
}

/// The vice of a behaviour.
pub(crate) fn of(behaviour: Behaviour, identity: Identity, seed: u64) -> Box<dyn Vice> {
    match behaviour {
        Behaviour::Honest => Box::new(honesty::Honesty),
        Behaviour::Slow { delay, slowed } => Box::new(slowness::Slowness { delay, slowed }),
        Behaviour::NonResponding => Box::new(silence::Silence),
        Behaviour::FaultyPrimary => Box::new(wrong_digest::WrongPrePrepare(identity)),
        Behaviour::FaultyNode { phase } => Box::new(wrong_digest::WrongVote(phase)),
        Behaviour::FaultyReplies { lie } => Box::new(false_replies::FalseReplies { identity, lie }),
        Behaviour::Byzantine => Box::new(byzantine::Byzantine::new(&identity, seed)),
        Behaviour::DosAttacker { factor } => Box::new(dos_attacker::DosAttacker { factor }),
        Behaviour::EquivocatingPrimary { second, both } => {
            Box::new(equivocation::Equivocation::new(identity, second, both))
        }
        Behaviour::Accomplice => Box::new(accomplice::Accomplice::new(identity)),
        Behaviour::IsolatingPrimary { dark } => Box::new(isolation::Isolation::new(identity, dark)),
        Behaviour::SelectivelySilent { to, kinds } => {
            Box::new(selective_silence::SelectiveSilence::new(&identity, to, kinds))
        }
        Behaviour::SlowPrimary { percent } => {
            Box::new(slow_proposals::SlowProposals { identity, percent })
        }
        Behaviour::StarvingPrimary { client } => Box::new(starvation::Starvation { client }),
        Behaviour::JumpingPrimary { to } => Box::new(jump::Jumping::new(identity, to)),
        Behaviour::RepeatingPrimary { repeated } => {
            Box::new(repetition::Repetition::new(identity, repeated))
        }
        Behaviour::Forging { victim } => Box::new(forgery::Forgery::new(identity, victim)),
        Behaviour::Rejoining => Box::new(rejoining::Rejoining::new(identity)),
        Behaviour::Replaying => Box::new(replay::Replay::new(identity, seed)),
        Behaviour::HugeView { view } => Box::new(huge_view::HugeView { identity, view }),
        Behaviour::Fabricating { part } => Box::new(fabrication::Fabrication { identity, part }),
        Behaviour::LyingNewPrimary { lie } => {
            Box::new(lying_new_view::LyingNewView { identity, lie })
        }
        Behaviour::Diverging => Box::new(divergence::Divergence(identity)),
        Behaviour::LyingStateServer { lie } => Box::new(state_lies::StateLies::new(lie)),
        Behaviour::Garbage => Box::new(garbage::Garbage::new(&identity, seed)),
        Behaviour::Flooding { factor } => Box::new(flood::Flood::new(factor)),
        Behaviour::Mutant { field, by } => {
            Box::new(mutation::Mutation::new(identity, field, by, seed))
        }
    }
}

/// `message` sent without delay.
pub(crate) fn now(to: Endpoint, message: Message) -> Sending {
    Sending { delay: Duration::ZERO, to, payload: Payload::Message(message) }
}

/// What a PRE-PREPARE assigns that the replica itself has signed.
fn own_pre_prepare(identity: &Identity, message: &Message) -> Option<PrePrepare> {
    let signed = message.pre_prepare().filter(|signed| signed.signer == identity.id);
    signed.map(|signed| signed.body)
}

/// The PRE-PREPARE with another signed part, its batch or outline as it is.
fn with_pre_prepare(message: Message, signed: Signed<PrePrepare>) -> Message {
    match message {
        Message::PrePrepare(_, batch) => Message::PrePrepare(signed, batch),
        Message::Outline(_, outline) => Message::Outline(signed, outline),
        other => other,
    }
}

/// A digest that is not `digest`, and always the same one, so that liars agree.
fn another(digest: Digest) -> Digest {
    Digest::of("quorate adversary v1: another digest", &[digest.as_bytes()])
}

/// Whether `to` is one of the replicas in the half with the higher ids, the larger half if they
/// cannot be halved, not counting the liar itself.
fn is_in_higher_half(identity: &Identity, to: Endpoint) -> bool {
    let Endpoint::Replica(to) = to else { return false };
    let half = (identity.config.replica_count() as usize - 1) / 2;
    identity.others().skip(half).any(|id| id == to)
}
