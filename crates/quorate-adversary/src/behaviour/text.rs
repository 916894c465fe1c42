//! Reading and writing a behaviour: `name`, or `name:key=value,key=value`.

use super::{
    Behaviour, Disproof, Fabricated, Field, Jump, KindSet, Phase, Repeated, ReplicaSet, Slowed,
    StateLie, Step,
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
            | Self::FaultyReplies
            | Self::Byzantine
            | Self::Accomplice
            | Self::Replaying
            | Self::Diverging
            | Self::Garbage => "",
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match (self, key) {
            (Self::Slow { delay, .. }, "delay") => *delay = parse_duration(value)?,
            (Self::Slow { slowed, .. }, "where") => *slowed = Slowed::parse(value)?,
            (Self::FaultyNode { phase }, "phase") => *phase = Phase::parse(value)?,
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
                *percent = value.parse().ok().filter(|percent| *percent <= 1_000)?;
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
            Self::Slow { delay, slowed } => vec![
                ("delay", format!("{}ms", delay.as_millis())),
                ("where", slowed.name().to_owned()),
            ],
            Self::FaultyNode { phase } => vec![("phase", phase.name().to_owned())],
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
            | Self::FaultyReplies
            | Self::Byzantine
            | Self::Accomplice
            | Self::Replaying
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
        let list = Behaviour::list();
        write!(
            f,
            "unknown behaviour '{}': it is one of these, with parameters as in \
             slow_nodes:delay=500ms,where=reply\n{list}",
            self.0
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
    fn what_is_unknown_is_refused_with_the_names_that_are_known() {
        for text in [
            "",
            "evil",
            "slow_nodes:delay=-1s",
            "slow_nodes:speed=1s",
            "dos_attacker:factor=0",
            "equivocating_primary:second=",
            "selectively_silent_node:to=1+200",
            "mutant:field=prepare.colour",
            "honest_node:where=all",
        ] {
            let error = text.parse::<Behaviour>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")) && error.contains("faulty_primary"));
        }
    }
}
