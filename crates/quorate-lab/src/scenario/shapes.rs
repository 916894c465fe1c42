//! How what an event does is written, shown to whoever wrote it otherwise.

use super::build::Refused;
use super::format::at as place;
use super::span::At;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Spanned, Value};

/// Every key of an event beside its time, with an example of its value.
const EXAMPLES: [(&str, &str); 20] = [
    ("cut", "{ from = [0], to = [1, 2] }"),
    ("delay", "{ from = [0], to = [1, 2], by = [\"10ms\", \"2s\"] }"),
    ("partition", "[[0, 1], [2, 3]]"),
    ("cut_from_clients", "[0]"),
    ("mend", "true"),
    ("crash", "{ replicas = [2], how = \"power\" }"),
    ("restart", "[2]"),
    ("lose_disk", "[2]"),
    ("copy_disk", "[2]"),
    ("roll_back_disk", "[2]"),
    ("swap_disk", "[2]"),
    ("lose_disk_in_turn", "[2]"),
    ("fail_sync", "[2]"),
    ("fill_disk", "[2]"),
    ("rot", "[2]"),
    ("flip_state", "[2]"),
    ("pause", "{ replicas = [0], for = \"30s\" }"),
    ("clock", "{ replicas = [1], forward = \"1h\" }"),
    ("behave", "{ replicas = [0], kind = \"equivocating_primary\" }"),
    ("network", "{ loss = \"5%\" }"),
];

/// Refuses a list where a table is written, and the like: a parser would take some of it for
/// something else, and speak of the rest in words of its own.
pub(super) fn check(text: &str) -> Result<(), Refused> {
    let wrong = values(text).into_iter().find_map(|(key, value)| {
        let example = example(&key)?;
        let has_shape = value.get_ref().is_table() == example.starts_with('{')
            && value.get_ref().is_array() == example.starts_with('[');
        let message = || format!("{key} is not written like that, but as in {key} = {example}");
        (!has_shape).then(|| (place(&value), message()))
    });
    wrong.map_or(Ok(()), Err)
}

/// What a parser says about this place of the file, with an example if it is in what an event does.
pub(super) fn explained(text: &str, at: At, message: &str) -> String {
    let is_inside =
        |value: &Spanned<Value>| (value.span().start..=value.span().end).contains(&at.0);
    let inside = values(text).into_iter().find(|(_, value)| is_inside(value));
    match inside.and_then(|(key, _)| Some((example(&key)?, key))) {
        Some((example, key)) => format!("{message}; {key} is written as in {key} = {example}"),
        None => message.to_owned(),
    }
}

/// The keys of an event beside its time, in words.
pub(super) fn keys() -> String {
    EXAMPLES.map(|(key, _)| key).join(", ")
}

fn example(key: &str) -> Option<&'static str> {
    let (_, example) = EXAMPLES.iter().find(|(known, _)| *known == key)?;
    Some(example)
}

/// The keys and values of all events, as far as the text can be read as such.
fn values(text: &str) -> Vec<(String, Spanned<Value>)> {
    #[derive(Deserialize)]
    struct Events {
        #[serde(default)]
        event: Vec<BTreeMap<String, Spanned<Value>>>,
    }
    toml::from_str(text)
        .map_or_else(|_| Vec::new(), |Events { event }| event.into_iter().flatten().collect())
}
