//! The behaviours by name, as scenario files and the command line spell them.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// How a replica behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// As primary, assigns one sequence number to two batches, one for each half of the backups.
    EquivocatingPrimary,
    /// As primary, sends PRE-PREPAREs with a digest that is not the batch's.
    FaultyPrimary,
    /// Sends PREPAREs with a wrong digest.
    FaultyNode,
    /// Answers clients with a wrong result, the same as every other replica that behaves so.
    FaultyReplies,
    /// Accepts everything and sends nothing.
    NonResponding,
    /// Sends late.
    Slow {
        /// How late.
        delay: Duration,
        /// What.
        slowed: Slowed,
    },
    /// Sends everything this many times.
    DosAttacker {
        /// How many times.
        factor: u32,
    },
    /// At random, message by message: slow, silent, or with a wrong digest in PREPARE and COMMIT.
    Byzantine,
}

/// What a slow replica is slow with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slowed {
    /// Everything it sends.
    Everything,
    /// Its replies to clients.
    Replies,
}

impl Behaviour {
    /// Every behaviour once, with its default parameters.
    pub const ALL: [Self; 8] = [
        Self::EquivocatingPrimary,
        Self::FaultyPrimary,
        Self::FaultyNode,
        Self::FaultyReplies,
        Self::NonResponding,
        Self::Slow { delay: Self::DELAY, slowed: Slowed::Everything },
        Self::DosAttacker { factor: Self::FACTOR },
        Self::Byzantine,
    ];

    /// How late a slow replica is unless told otherwise.
    pub const DELAY: Duration = Duration::from_secs(20);

    /// How often an attacker sends everything unless told otherwise.
    pub const FACTOR: u32 = 20;

    /// An attacker sends everything at most so many times.
    pub const FACTOR_MAX: u32 = 1_000;

    /// The name, without parameters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EquivocatingPrimary => "equivocating_primary",
            Self::FaultyPrimary => "faulty_primary",
            Self::FaultyNode => "faulty_node",
            Self::FaultyReplies => "faulty_replies_node",
            Self::NonResponding => "non_responding_node",
            Self::Slow { .. } => "slow_nodes",
            Self::DosAttacker { .. } => "dos_attacker",
            Self::Byzantine => "byzantine_node",
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match (self, key) {
            (Self::Slow { delay, .. }, "delay") => *delay = parse_duration(value)?,
            (Self::Slow { slowed, .. }, "where") => {
                *slowed = match value {
                    "all" => Slowed::Everything,
                    "reply" => Slowed::Replies,
                    _ => return None,
                };
            }
            (Self::DosAttacker { factor }, "factor") => {
                *factor =
                    value.parse().ok().filter(|factor| (1..=Self::FACTOR_MAX).contains(factor))?;
            }
            _ => return None,
        }
        Some(())
    }
}

impl fmt::Display for Behaviour {
    /// The form [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Slow { delay, slowed } => {
                let slowed = match slowed {
                    Slowed::Everything => "all",
                    Slowed::Replies => "reply",
                };
                write!(f, ":delay={}ms,where={slowed}", delay.as_millis())
            }
            Self::DosAttacker { factor } => write!(f, ":factor={factor}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    /// Reads `name` or `name:key=value,key=value`; what is not given has its default.
    fn from_str(text: &str) -> Result<Self, UnknownBehaviour> {
        let unknown = || UnknownBehaviour(text.to_owned());
        let (name, parameters) = match text.split_once(':') {
            Some((name, parameters)) => (name, parameters.split(',').collect()),
            None => (text, Vec::new()),
        };
        let mut behaviour =
            Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(unknown)?;
        for parameter in parameters {
            let (key, value) = parameter.split_once('=').ok_or_else(unknown)?;
            behaviour.set(key, value).ok_or_else(unknown)?;
        }
        Ok(behaviour)
    }
}

/// No behaviour is written like this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownBehaviour(String);

impl fmt::Display for UnknownBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Behaviour::ALL.iter().map(|known| known.name()).collect();
        write!(
            f,
            "unknown behaviour '{}': it is one of {}; slow_nodes takes :delay=500ms,where=all or \
             where=reply, dos_attacker takes :factor=20",
            self.0,
            names.join(", ")
        )
    }
}

impl core::error::Error for UnknownBehaviour {}

/// Reads whole milliseconds or seconds: `500ms`, `20s`.
fn parse_duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_reads_as_it_is_written() {
        for behaviour in Behaviour::ALL {
            assert_eq!(behaviour.to_string().parse(), Ok(behaviour));
            assert_eq!(behaviour.name().parse(), Ok(behaviour));
        }
        let slow = Behaviour::Slow { delay: Duration::from_millis(1_500), slowed: Slowed::Replies };
        assert_eq!("slow_nodes:where=reply,delay=1500ms".parse(), Ok(slow));
        assert_eq!(slow.to_string().parse(), Ok(slow));
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_names_that_are_known() {
        for text in
            ["", "evil", "slow_nodes:delay=-1s", "slow_nodes:speed=1s", "dos_attacker:factor=0"]
        {
            let error = text.parse::<Behaviour>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")) && error.contains("faulty_primary"));
        }
    }
}
