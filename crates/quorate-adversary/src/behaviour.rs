//! The behaviours by name, as scenario files and the command line spell them.

mod choice;
mod nearest;
mod sets;
mod span;
mod text;

pub use choice::{
    Disproof, Fabricated, Field, Jump, Phase, Repeated, ReplyLie, Slowed, StateLie, Step,
};
pub use sets::{KindSet, ReplicaSet};
pub use span::parse_time;
pub use text::UnknownBehaviour;

use core::time::Duration;
use pbft::{ClientId, ReplicaId, View};

/// How a replica behaves. Each is one vice, whose file says what is to be expected of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Follows the protocol.
    Honest,
    /// Sends late.
    Slow {
        /// How late.
        delay: Duration,
        /// What.
        slowed: Slowed,
    },
    /// Accepts everything and sends nothing.
    NonResponding,
    /// As primary, sends PRE-PREPAREs with a digest that is not the batch's.
    FaultyPrimary,
    /// Names a wrong digest in its votes of one phase, or in what it says is committed.
    FaultyNode {
        /// Which.
        phase: Phase,
    },
    /// Lies to clients about results, in the same way as every other replica that behaves so.
    FaultyReplies {
        /// How.
        lie: ReplyLie,
    },
    /// At random, message by message: slow, silent, or with a wrong digest in PREPARE and COMMIT.
    Byzantine,
    /// Sends everything this many times.
    DosAttacker {
        /// How many times.
        factor: u32,
    },
    /// As primary, assigns one sequence number to two batches, and votes for both.
    EquivocatingPrimary {
        /// Who is shown the second one; the half with the higher ids if absent.
        second: Option<ReplicaSet>,
        /// Whether those are then shown the first one as well.
        both: bool,
    },
    /// Votes to each replica for what that one votes for, and so for both batches of an
    /// equivocating primary.
    Accomplice,
    /// As primary, keeps some backups in the dark: no PRE-PREPARE, no COMMIT, no answer.
    IsolatingPrimary {
        /// Whom; the f with the highest ids if absent.
        dark: Option<ReplicaSet>,
    },
    /// Leaves some messages out. With no parameter, all to the half with the higher ids.
    SelectivelySilent {
        /// To whom; to everybody if only `kinds` is given.
        to: Option<ReplicaSet>,
        /// Of which kinds; of all but HELLO and REPLY if absent.
        kinds: Option<KindSet>,
    },
    /// As primary, proposes as late as it may.
    SlowPrimary {
        /// How late, in percent of the timeout of the cluster.
        percent: u32,
    },
    /// As primary, takes no requests of one client.
    StarvingPrimary {
        /// Whose.
        client: ClientId,
    },
    /// As primary, leaves a gap in the sequence numbers.
    JumpingPrimary {
        /// How far it jumps.
        to: Jump,
    },
    /// As primary, orders requests a second time and in changed order.
    RepeatingPrimary {
        /// Where.
        repeated: Repeated,
    },
    /// Speaks in the names of others.
    Forging {
        /// In whose; in that of the next replica if absent.
        victim: Option<ReplicaId>,
    },
    /// Says again what was said before, by itself and by others, in this epoch and in another.
    Replaying,
    /// Asks to rejoin after each rejoin, as if it had lost its memory again.
    Rejoining,
    /// Claims to be in a view far beyond the others.
    HugeView {
        /// In which.
        view: View,
    },
    /// Makes up what prepared, pre-prepared or became a checkpoint at it before a view change.
    Fabricating {
        /// What of it.
        part: Fabricated,
    },
    /// As primary of a new view, begins it with a NEW-VIEW that does not follow.
    LyingNewPrimary {
        /// What is wrong with it.
        lie: Disproof,
    },
    /// Signs CHECKPOINTs of a state that is not the others'.
    Diverging,
    /// Hands out wrong parts of the state.
    LyingStateServer {
        /// What is wrong with them.
        lie: StateLie,
    },
    /// Sends bytes that are no messages.
    Garbage,
    /// Asks the others for help with everything it sends, this many times.
    Flooding {
        /// How many times.
        factor: u32,
    },
    /// Changes fields of its messages by one and signs them again.
    Mutant {
        /// Which field; at random if absent.
        field: Option<Field>,
        /// Which way; at random if absent.
        by: Option<Step>,
    },
}

impl Behaviour {
    /// Every behaviour once, with its default parameters.
    pub const ALL: [Self; 27] = [
        Self::Honest,
        Self::Slow { delay: Self::DELAY, slowed: Slowed::Everything },
        Self::NonResponding,
        Self::FaultyPrimary,
        Self::FaultyNode { phase: Phase::Prepare },
        Self::FaultyReplies { lie: ReplyLie::Changed },
        Self::Byzantine,
        Self::DosAttacker { factor: Self::FACTOR },
        Self::EquivocatingPrimary { second: None, both: false },
        Self::Accomplice,
        Self::IsolatingPrimary { dark: None },
        Self::SelectivelySilent { to: None, kinds: None },
        Self::SlowPrimary { percent: Self::PERCENT },
        Self::StarvingPrimary { client: ClientId::ZERO },
        Self::JumpingPrimary { to: Jump::High },
        Self::RepeatingPrimary { repeated: Repeated::Later },
        Self::Forging { victim: None },
        Self::Replaying,
        Self::Rejoining,
        Self::HugeView { view: Self::VIEW },
        Self::Fabricating { part: Fabricated::Both },
        Self::LyingNewPrimary { lie: Disproof::Dropped },
        Self::Diverging,
        Self::LyingStateServer { lie: StateLie::Changed },
        Self::Garbage,
        Self::Flooding { factor: Self::FACTOR },
        Self::Mutant { field: None, by: None },
    ];

    /// Whether it sends again, on purpose, what it has sent before.
    pub fn repeats_messages(&self) -> bool {
        matches!(self, Self::DosAttacker { .. } | Self::Replaying | Self::Flooding { .. })
    }

    /// The replicas that its parameters name.
    pub fn replicas_named(&self) -> Vec<ReplicaId> {
        match *self {
            Self::EquivocatingPrimary { second: Some(set), .. }
            | Self::IsolatingPrimary { dark: Some(set) }
            | Self::SelectivelySilent { to: Some(set), .. } => set.ids().collect(),
            Self::Forging { victim: Some(victim) } => vec![victim],
            _ => Vec::new(),
        }
    }

    /// The same without the one that is no vice.
    pub fn vices() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|behaviour| *behaviour != Self::Honest)
    }

    /// How late a slow replica is unless told otherwise.
    pub const DELAY: Duration = Duration::from_secs(20);

    /// How often an attacker sends everything, or a flooder asks, unless told otherwise.
    pub const FACTOR: u32 = 20;

    /// It does so at most so many times.
    pub const FACTOR_MAX: u32 = 1_000;

    /// How late a slow primary is unless told otherwise, in percent of the timeout.
    pub const PERCENT: u32 = 80;

    /// It is at most so late.
    pub const PERCENT_MAX: u32 = 1_000;

    /// In which view a replica claims to be that is far beyond the others, unless told otherwise.
    pub const VIEW: View = View::new(1 << 60);

    /// The name, without parameters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest_node",
            Self::Slow { .. } => "slow_nodes",
            Self::NonResponding => "non_responding_node",
            Self::FaultyPrimary => "faulty_primary",
            Self::FaultyNode { .. } => "faulty_node",
            Self::FaultyReplies { .. } => "faulty_replies_node",
            Self::Byzantine => "byzantine_node",
            Self::DosAttacker { .. } => "dos_attacker",
            Self::EquivocatingPrimary { .. } => "equivocating_primary",
            Self::Accomplice => "accomplice_node",
            Self::IsolatingPrimary { .. } => "isolating_primary",
            Self::SelectivelySilent { .. } => "selectively_silent_node",
            Self::SlowPrimary { .. } => "slow_primary",
            Self::StarvingPrimary { .. } => "starving_primary",
            Self::JumpingPrimary { .. } => "jumping_primary",
            Self::RepeatingPrimary { .. } => "repeating_primary",
            Self::Forging { .. } => "forging_node",
            Self::Replaying => "replaying_node",
            Self::Rejoining => "rejoining_node",
            Self::HugeView { .. } => "huge_view_node",
            Self::Fabricating { .. } => "fabricating_node",
            Self::LyingNewPrimary { .. } => "lying_new_primary",
            Self::Diverging => "diverging_node",
            Self::LyingStateServer { .. } => "lying_state_server",
            Self::Garbage => "garbage_node",
            Self::Flooding { .. } => "flooding_node",
            Self::Mutant { .. } => "mutant",
        }
    }
}
