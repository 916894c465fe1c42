//! The things the protocol counts and names, one type each, so that a view can never be passed
//! where a sequence number is meant. Arithmetic is checked: a counter that would wrap is a bug
//! (or an attack that must be rejected before it gets this far).

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use core::time::Duration;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name($inner);

        impl $name {
            /// The reserved initial value.
            pub const ZERO: Self = Self(0);

            /// Wraps a plain number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The plain number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

counter!(
    /// The identity of a replica: its index in the cluster's configuration, from 0.
    ReplicaId(u32),
    "r"
);
counter!(
    /// The identity of a client: its index in the cluster's configuration, from 0.
    ClientId(u32),
    "c"
);
counter!(
    /// A view: the period during which one replica is the primary (OSDI '99 section 4).
    View(u64),
    "v"
);
counter!(
    /// A sequence number, assigned by the primary, dense, from 1; 0 is the initial checkpoint.
    SeqNum(u64),
    "n"
);
counter!(
    /// A client's own counter of its requests within one session, from 1.
    Timestamp(u64),
    "t"
);
counter!(
    /// A client's session: grows with every restart of the client and fences the older ones.
    Session(u64),
    "s"
);
counter!(
    /// The generation of the membership; part of every signed message, because membership will
    /// change online.
    Epoch(u64),
    "e"
);
counter!(
    /// How often a replica has rejoined after it lost its memory (decision: ordered rejoin).
    Incarnation(u64),
    "i"
);
counter!(
    /// A point in the order of what a replica made durable since it started; see
    /// [`Output::Persist`](crate::Output).
    Position(u64),
    "p"
);

impl View {
    /// The next view. Views are bounded far below the end of the range by
    /// [`View::MAX`], so this cannot wrap on any view that passed the door.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// No message naming a higher view is accepted: it leaves room for every successor.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// The primary of this view: `v mod n` (OSDI '99 section 4.1).
    pub const fn primary(self, replica_count: u32) -> ReplicaId {
        ReplicaId((self.0 % replica_count as u64) as u32)
    }
}

impl Incarnation {
    /// The next incarnation. It has no successor at the end of the range, which honest counting
    /// never reaches.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl SeqNum {
    /// The next sequence number.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number before this one; of 0 it is 0.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// No message naming a higher number is accepted: it leaves room for every window above it.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// This number advanced by `count`.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl Timestamp {
    /// The next timestamp.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Position {
    /// The next position.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A moment of a replica's or a client's own monotonic clock, in microseconds from an arbitrary
/// origin. Never compared between processes.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Time(u64);

impl Time {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// A moment so many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment put off by `span`; the end of the range is a moment that never comes.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Time of day as replicas propose and agree on it: milliseconds since the Unix epoch.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct WallTime(u64);

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl WallTime {
    /// So many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The distance between two times of day, whichever is the later.
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// So much later, or as late as can be told.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// So much earlier, or the epoch.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// The two clocks every step is told: the core never reads one itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Now {
    /// Monotonic; decides every timer.
    pub monotonic: Time,
    /// Time of day; only proposed to, and compared with, what others propose.
    pub wall: WallTime,
}
