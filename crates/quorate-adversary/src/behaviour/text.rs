//! Reading and writing a behaviour: `name`, or `name:key=value,key=value`.

use super::nearest::meant;
use super::{
    Behaviour, Disproof, Fabricated, Field, Jump, KindSet, Phase, Repeated, ReplicaSet, ReplyLie,
    Slowed, StateLie, Step, parse_time,
};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use pbft::{ClientId, REPLICA_COUNT_MAX, ReplicaId, View};

impl Behaviour {
    /// The parameters it takes and their values, for people.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Slow { .. } => "delay=20s, where=all|reply",
            Self::FaultyNode { .. } => "phase=prepare|commit|committed",
            Self::FaultyReplies { .. } => "lie=changed|withheld|contradicted|lost",
            Self::DosAttacker { .. } | Self::Flooding { .. } => "factor=20",
            Self::EquivocatingPrimary { .. } => "second=2+3, both=true|false",
            Self::IsolatingPrimary { .. } => "dark=3",
            Self::SelectivelySilent { .. } => "to=2+3, kinds=prepare+commit",
            Self::SlowPrimary { .. } => "percent=80",
            Self::StarvingPrimary { .. } => "client=0",
            Self::JumpingPrimary { .. } => "to=high|above|max",
            Self::RepeatingPrimary { .. } => "where=later|same",
            Self::Forging { .. } => "victim=2",
            Self::HugeView { .. } => "view=1152921504606846976",
            Self::Fabricating { .. } => "in=p|q|pq|c",
            Self::LyingNewPrimary { .. } => "lie=dropped|null|checkpoint|invented|two",
            Self::LyingStateServer { .. } => "lie=changed|swapped|endless|oversized",
            Self::Mutant { .. } => "field=prepare.seq, by=+1|-1",
            Self::Honest
            | Self::NonResponding
            | Self::FaultyPrimary
            | Self::Byzantine
            | Self::Accomplice
            | Self::Replaying
            | Self::Rejoining
            | Self::Diverging
            | Self::Garbage => "",
        }
    }

    /// The names of its parameters.
    fn keys(self) -> impl Iterator<Item = &'static str> {
        let parameters = self.parameters().split(", ");
        parameters.filter_map(|parameter| parameter.split_once('=')).map(|(key, _)| key)
    }

    /// The values that one of its parameters takes, for people.
    fn allowed(self, key: &str) -> String {
        match (self, key) {
            (Self::Slow { .. }, "where") => Slowed::names(),
            (Self::FaultyNode { .. }, _) => Phase::names(),
            (Self::FaultyReplies { .. }, _) => ReplyLie::names(),
            (Self::JumpingPrimary { .. }, _) => Jump::names(),
            (Self::RepeatingPrimary { .. }, _) => Repeated::names(),
            (Self::Fabricating { .. }, _) => Fabricated::names(),
            (Self::LyingNewPrimary { .. }, _) => Disproof::names(),
            (Self::LyingStateServer { .. }, _) => StateLie::names(),
            (Self::Mutant { .. }, "by") => Step::names(),
            (Self::Mutant { .. }, _) => Field::names(),
            (Self::Slow { .. }, _) => {
                "seconds, or a number with us, ms, s, m or h, as in 500ms or 0.5s".to_owned()
            }
            (Self::DosAttacker { .. } | Self::Flooding { .. }, _) => {
                format!("a whole number from 1 to {}", Self::FACTOR_MAX)
            }
            (Self::SlowPrimary { .. }, _) => {
                format!("a whole number from 0 to {}, per cent of the timeout", Self::PERCENT_MAX)
            }
            (Self::EquivocatingPrimary { .. }, "both") => "true or false".to_owned(),
            (Self::SelectivelySilent { .. }, "kinds") => {
                "kinds of messages with a plus between them, as in prepare+commit".to_owned()
            }
            (
                Self::EquivocatingPrimary { .. }
                | Self::IsolatingPrimary { .. }
                | Self::SelectivelySilent { .. },
                _,
            ) => "numbers of replicas with a plus between them, as in 2+3".to_owned(),
            (Self::Forging { .. }, _) => "the number of a replica".to_owned(),
            _ => "a whole number from 0".to_owned(),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match (self, key) {
            (Self::Slow { delay, .. }, "delay") => *delay = parse_delay(value)?,
            (Self::Slow { slowed, .. }, "where") => *slowed = Slowed::parse(value)?,
            (Self::FaultyNode { phase }, "phase") => *phase = Phase::parse(value)?,
            (Self::FaultyReplies { lie }, "lie") => *lie = ReplyLie::parse(value)?,
            (Self::DosAttacker { factor } | Self::Flooding { factor }, "factor") => {
                *factor = value.parse().ok().filter(|f| (1..=Self::FACTOR_MAX).contains(f))?;
            }
            (Self::EquivocatingPrimary { both, .. }, "both") => *both = value.parse().ok()?,
            (Self::EquivocatingPrimary { second, .. }, "second") => {
                *second = Some(ReplicaSet::parse(value)?);
            }
            (Self::IsolatingPrimary { dark }, "dark") => *dark = Some(ReplicaSet::parse(value)?),
            (Self::SelectivelySilent { to, .. }, "to") => *to = Some(ReplicaSet::parse(value)?),
            (Self::SelectivelySilent { kinds, .. }, "kinds") => {
                *kinds = Some(KindSet::parse(value)?);
            }
            (Self::SlowPrimary { percent }, "percent") => {
                *percent = value.parse().ok().filter(|percent| *percent <= Self::PERCENT_MAX)?;
            }
            (Self::StarvingPrimary { client }, "client") => {
                *client = ClientId::new(value.parse().ok()?);
            }
            (Self::JumpingPrimary { to }, "to") => *to = Jump::parse(value)?,
            (Self::RepeatingPrimary { repeated }, "where") => *repeated = Repeated::parse(value)?,
            (Self::Forging { victim }, "victim") => {
                let id = value.parse().ok().filter(|id| *id < REPLICA_COUNT_MAX)?;
                *victim = Some(ReplicaId::new(id));
            }
            (Self::HugeView { view }, "view") => *view = View::new(value.parse().ok()?),
            (Self::Fabricating { part }, "in") => *part = Fabricated::parse(value)?,
            (Self::LyingNewPrimary { lie }, "lie") => *lie = Disproof::parse(value)?,
            (Self::LyingStateServer { lie }, "lie") => *lie = StateLie::parse(value)?,
            (Self::Mutant { field, .. }, "field") => *field = Some(Field::parse(value)?),
            (Self::Mutant { by, .. }, "by") => *by = Some(Step::parse(value)?),
            _ => return None,
        }
        Some(())
    }

    /// Every parameter that has a value, and the value.
    fn values(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Slow { delay, slowed } => {
                vec![("delay", delay_text(delay)), ("where", slowed.name().to_owned())]
            }
            Self::FaultyNode { phase } => vec![("phase", phase.name().to_owned())],
            Self::FaultyReplies { lie } => vec![("lie", lie.name().to_owned())],
            Self::DosAttacker { factor } | Self::Flooding { factor } => {
                vec![("factor", factor.to_string())]
            }
            Self::EquivocatingPrimary { second, both } => {
                let both = both.then(|| ("both", both.to_string()));
                given("second", second).into_iter().chain(both).collect()
            }
            Self::IsolatingPrimary { dark } => given("dark", dark),
            Self::SelectivelySilent { to, kinds } => {
                given("to", to).into_iter().chain(given("kinds", kinds)).collect()
            }
            Self::SlowPrimary { percent } => vec![("percent", percent.to_string())],
            Self::StarvingPrimary { client } => vec![("client", client.to_string())],
            Self::JumpingPrimary { to } => vec![("to", to.name().to_owned())],
            Self::RepeatingPrimary { repeated } => vec![("where", repeated.name().to_owned())],
            Self::Forging { victim } => given("victim", victim),
            Self::HugeView { view } => vec![("view", view.to_string())],
            Self::Fabricating { part } => vec![("in", part.name().to_owned())],
            Self::LyingNewPrimary { lie } => vec![("lie", lie.name().to_owned())],
            Self::LyingStateServer { lie } => vec![("lie", lie.name().to_owned())],
            Self::Mutant { field, by } => {
                let field = given("field", field.map(Field::name));
                field.into_iter().chain(given("by", by.map(Step::name))).collect()
            }
            Self::Honest
            | Self::NonResponding
            | Self::FaultyPrimary
            | Self::Byzantine
            | Self::Accomplice
            | Self::Replaying
            | Self::Rejoining
            | Self::Diverging
            | Self::Garbage => Vec::new(),
        }
    }

    /// Every behaviour on a line, with its parameters.
    pub fn list() -> String {
        let line = |known: Self| {
            let line = format!("  {:24}{}", known.name(), known.parameters());
            line.trim_end().to_owned()
        };
        Self::ALL.map(line).join("\n")
    }
}

fn given(key: &'static str, value: Option<impl ToString>) -> Vec<(&'static str, String)> {
    value.into_iter().map(|value| (key, value.to_string())).collect()
}

impl fmt::Display for Behaviour {
    /// The form [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (place, (key, value)) in self.values().into_iter().enumerate() {
            write!(f, "{}{key}={value}", if place == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    /// Reads `name` or `name:key=value,key=value`; what is not given has its default.
    fn from_str(text: &str) -> Result<Self, UnknownBehaviour> {
        let (name, parameters) = match text.split_once(':') {
            Some((name, parameters)) => (name, parameters.split(',').collect()),
            None => (text, Vec::new()),
        };
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        let mut behaviour = known.ok_or_else(|| UnknownBehaviour::Kind(name.to_owned()))?;
        for parameter in parameters {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if !behaviour.keys().any(|known| known == key) {
                return Err(UnknownBehaviour::Parameter { kind: behaviour, key: key.to_owned() });
            }
            behaviour.set(key, value).ok_or_else(|| UnknownBehaviour::Value {
                kind: behaviour,
                key: key.to_owned(),
                value: value.to_owned(),
            })?;
        }
        Ok(behaviour)
    }
}

/// No behaviour is written like this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnknownBehaviour {
    /// No kind has this name.
    Kind(String),
    /// The kind has no parameter of this name.
    Parameter {
        /// The kind.
        kind: Behaviour,
        /// The name.
        key: String,
    },
    /// The parameter does not take this value.
    Value {
        /// The kind.
        kind: Behaviour,
        /// The parameter.
        key: String,
        /// The value.
        value: String,
    },
}

impl fmt::Display for UnknownBehaviour {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) => {
                let names = Behaviour::ALL.map(Behaviour::name);
                write!(f, "unknown kind of node '{name}'")?;
                match meant(name, names).as_slice() {
                    [] => write!(f, ": it is one of {}", names.join(", ")),
                    [only] => write!(f, "; did you mean {only}? quorate lab list shows all"),
                    [others @ .., last] => {
                        let others = others.join(", ");
                        write!(f, "; did you mean {others} or {last}? quorate lab list shows all")
                    }
                }
            }
            Self::Parameter { kind, key } => {
                write!(f, "{} has no parameter '{key}'", kind.name())?;
                match kind.parameters() {
                    "" => write!(f, ", nor any other"),
                    parameters => write!(f, ": it takes {parameters}"),
                }
            }
            Self::Value { kind, key, value } => {
                let allowed = kind.allowed(key);
                write!(
                    f,
                    "'{value}' is not allowed for {key} of {}, which is {allowed}",
                    kind.name()
                )
            }
        }
    }
}

impl core::error::Error for UnknownBehaviour {}

/// Reads a time: a number of seconds, or a number and its unit.
fn parse_delay(text: &str) -> Option<Duration> {
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    if has_unit { parse_time(text) } else { parse_time(&format!("{text}s")) }
}

fn delay_text(delay: Duration) -> String {
    match delay.subsec_micros() % 1_000 {
        0 => format!("{}ms", delay.as_millis()),
        _ => format!("{}us", delay.as_micros()),
    }
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

    /// The parameters told to people, each with the first value told, and all of them together.
    #[test]
    fn parameters_that_people_are_told_of_can_be_given() {
        for behaviour in Behaviour::ALL.into_iter().filter(|known| known.parameters() != "") {
            let parameters = behaviour.parameters().split(", ");
            let first = |text: &str| text.split('|').next().unwrap_or_default().to_owned();
            let text = parameters.map(first).collect::<Vec<_>>().join(",");
            let read: Behaviour = format!("{}:{text}", behaviour.name()).parse().unwrap();
            assert_eq!(read.name(), behaviour.name());
            assert_eq!(read.to_string().parse(), Ok(read));
            assert_eq!(read.values().len(), text.split(',').count(), "{read}");
        }
    }

    #[test]
    fn every_field_that_a_mutant_changes_can_be_named() {
        for field in Field::ALL {
            for by in Step::ALL {
                let mutant = Behaviour::Mutant { field: Some(*field), by: Some(*by) };
                assert_eq!(mutant.to_string().parse(), Ok(mutant));
            }
        }
    }

    #[test]
    fn a_delay_is_seconds_or_has_a_unit() {
        let delay = |text: &str| match format!("slow_nodes:delay={text}").parse() {
            Ok(Behaviour::Slow { delay, .. }) => Some(delay),
            _ => None,
        };
        assert_eq!(delay("5"), Some(Duration::from_secs(5)));
        assert_eq!(delay("5 s"), Some(Duration::from_secs(5)));
        assert_eq!(delay("0.5s"), Some(Duration::from_millis(500)));
        assert_eq!(delay("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(delay("250us"), Some(Duration::from_micros(250)));
        assert_eq!(delay("1.5m"), Some(Duration::from_secs(90)));
        for wrong in ["", "-1s", "1 parsec", "s", "nan", "1e300h"] {
            assert_eq!(delay(wrong), None, "{wrong}");
        }
        let short =
            Behaviour::Slow { delay: Duration::from_micros(1_250), slowed: Slowed::Everything };
        assert_eq!(short.to_string().parse(), Ok(short));
    }

    #[test]
    fn what_is_wrong_is_refused_in_one_line_that_says_what_is_allowed() {
        for (text, says) in [
            ("", "''"),
            ("evil", "one of honest_node, slow_nodes, non_responding_node, faulty_primary"),
            ("HonestNode", "'HonestNode'; did you mean honest_node?"),
            ("slow_node", "did you mean slow_nodes?"),
            ("equivocating", "did you mean equivocating_primary?"),
            ("faulty", "did you mean faulty_primary, faulty_node or faulty_replies_node?"),
            (
                "slow_nodes:delay=-1s",
                "'-1s' is not allowed for delay of slow_nodes, which is seconds",
            ),
            (
                "slow_nodes:where=replies",
                "not allowed for where of slow_nodes, which is one of all, reply",
            ),
            ("slow_nodes:n=2", "slow_nodes has no parameter 'n': it takes delay=20s, where=all"),
            ("slow_nodes:delay", "'' is not allowed for delay"),
            ("dos_attacker:factor=0", "from 1 to 1000"),
            ("slow_primary:percent=1001", "from 0 to 1000"),
            ("equivocating_primary:second=", "as in 2+3"),
            ("equivocating_primary:both=2", "true or false"),
            ("selectively_silent_node:to=1+200", "as in 2+3"),
            ("selectively_silent_node:kinds=vote", "as in prepare+commit"),
            ("mutant:field=prepare.colour", "prepare.seq"),
            ("mutant:by=2", "one of +1, -1"),
            ("forging_node:victim=me", "the number of a replica"),
            ("huge_view_node:view=-1", "a whole number from 0"),
            ("honest_node:where=all", "honest_node has no parameter 'where', nor any other"),
        ] {
            let error = text.parse::<Behaviour>().unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{text}: {error}");
        }
    }

    /// Every parameter has words for what it takes, and they are not those of another one.
    #[test]
    fn every_parameter_says_what_it_takes() {
        for kind in Behaviour::ALL {
            let allowed: Vec<String> = kind.keys().map(|key| kind.allowed(key)).collect();
            assert!(allowed.windows(2).all(|two| two[0] != two[1]), "{}", kind.name());
        }
    }
}
