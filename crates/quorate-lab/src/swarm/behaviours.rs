//! Any behaviour with any parameters.

use crate::rng::Stream;
use crate::world::Options;
use core::time::Duration;
use pbft::message::Kind;
use pbft::{ClientId, ReplicaId, View};
use quorate_adversary::{
    Behaviour, Disproof, Fabricated, Field, Jump, KindSet, Phase, Repeated, ReplicaSet, Slowed,
    StateLie, Step,
};

/// Draws a vice and its parameters; rejoining is drawn elsewhere.
pub(super) fn any_behaviour(rng: &mut Stream, options: &Options) -> Behaviour {
    let count = options.replica_count;
    let vices: Vec<Behaviour> =
        Behaviour::vices().filter(|vice| *vice != Behaviour::Rejoining).collect();
    match any_of(rng, &vices, Behaviour::NonResponding) {
        Behaviour::Slow { .. } => {
            let delay = Duration::from_millis(rng.within(1..=3_000));
            let slowed = if rng.chance(300_000) { Slowed::Replies } else { Slowed::Everything };
            Behaviour::Slow { delay, slowed }
        }
        Behaviour::FaultyNode { phase } => {
            Behaviour::FaultyNode { phase: any_of(rng, Phase::ALL, phase) }
        }
        Behaviour::DosAttacker { .. } => Behaviour::DosAttacker { factor: 3 },
        Behaviour::Flooding { .. } => Behaviour::Flooding { factor: 3 },
        Behaviour::EquivocatingPrimary { .. } => {
            let second = maybe(rng, |rng| any_replicas(rng, count));
            Behaviour::EquivocatingPrimary { second, both: rng.chance(300_000) }
        }
        Behaviour::IsolatingPrimary { .. } => {
            Behaviour::IsolatingPrimary { dark: maybe(rng, |rng| any_replicas(rng, count)) }
        }
        Behaviour::SelectivelySilent { .. } => Behaviour::SelectivelySilent {
            to: maybe(rng, |rng| any_replicas(rng, count)),
            kinds: maybe(rng, any_kinds),
        },
        Behaviour::SlowPrimary { .. } => {
            Behaviour::SlowPrimary { percent: u32::try_from(rng.within(1..=120)).unwrap_or(100) }
        }
        Behaviour::StarvingPrimary { .. } => {
            let client = rng.below(u64::from(options.workload.clients));
            Behaviour::StarvingPrimary { client: ClientId::new(u32::try_from(client).unwrap_or(0)) }
        }
        Behaviour::JumpingPrimary { to } => {
            Behaviour::JumpingPrimary { to: any_of(rng, Jump::ALL, to) }
        }
        Behaviour::RepeatingPrimary { repeated } => {
            Behaviour::RepeatingPrimary { repeated: any_of(rng, Repeated::ALL, repeated) }
        }
        Behaviour::Forging { .. } => {
            Behaviour::Forging { victim: maybe(rng, |rng| any_replica(rng, count)) }
        }
        Behaviour::HugeView { .. } => {
            // From views that are reached soon to those that the door refuses.
            let view = 1 << rng.below(64);
            Behaviour::HugeView { view: View::new(view) }
        }
        Behaviour::Fabricating { part } => {
            Behaviour::Fabricating { part: any_of(rng, Fabricated::ALL, part) }
        }
        Behaviour::LyingNewPrimary { lie } => {
            Behaviour::LyingNewPrimary { lie: any_of(rng, Disproof::ALL, lie) }
        }
        Behaviour::LyingStateServer { lie } => {
            Behaviour::LyingStateServer { lie: any_of(rng, StateLie::ALL, lie) }
        }
        Behaviour::Mutant { .. } => Behaviour::Mutant {
            field: maybe(rng, |rng| any_of(rng, Field::ALL, Field::PrepareDigest)),
            by: maybe(rng, |rng| any_of(rng, Step::ALL, Step::Up)),
        },
        plain @ (Behaviour::Honest
        | Behaviour::NonResponding
        | Behaviour::FaultyPrimary
        | Behaviour::FaultyReplies { .. }
        | Behaviour::Byzantine
        | Behaviour::Accomplice
        | Behaviour::Replaying
        | Behaviour::Rejoining
        | Behaviour::Diverging
        | Behaviour::Garbage) => plain,
    }
}

fn any_of<T: Copy>(rng: &mut Stream, all: &[T], otherwise: T) -> T {
    rng.pick(all).copied().unwrap_or(otherwise)
}

/// A parameter that may as well be absent.
fn maybe<T>(rng: &mut Stream, any: impl FnOnce(&mut Stream) -> T) -> Option<T> {
    if rng.chance(500_000) { Some(any(rng)) } else { None }
}

fn any_replica(rng: &mut Stream, count: u32) -> ReplicaId {
    ReplicaId::new(u32::try_from(rng.below(u64::from(count))).unwrap_or(0))
}

/// One replica at least.
fn any_replicas(rng: &mut Stream, count: u32) -> ReplicaSet {
    let first = any_replica(rng, count);
    let others = (0..count).map(ReplicaId::new).filter(|_| rng.chance(400_000));
    others.chain([first]).collect()
}

/// One kind at least.
fn any_kinds(rng: &mut Stream) -> KindSet {
    let first = any_of(rng, &Kind::ALL, Kind::Commit);
    Kind::ALL.into_iter().filter(|_| rng.chance(300_000)).chain([first]).collect()
}
