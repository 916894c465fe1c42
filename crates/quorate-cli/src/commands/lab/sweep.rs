//! `quorate lab sweep`: one scenario with every combination of some values, as a table.

use crate::args::lab::Sweep;
use crate::failure::Negative;
use crate::render;
use anyhow::{Context, Result};
use quorate_lab::report::Summary;
use quorate_lab::scenario::Scenario;
use quorate_lab::world;
use std::fmt::Write;

pub(super) fn run(args: &Sweep) -> Result<()> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read the scenario {name}"))?;
    Scenario::parse(&name, &text)?;
    let base: toml::Table = text.parse().with_context(|| format!("{name} is not TOML"))?;
    let mut csv = String::new();
    let keys: Vec<&str> = args.set.iter().map(|setting| setting.key.as_str()).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        csv,
        "{},verdict,virtual_seconds,requests_completed,messages,messages_with_self,\
         messages_per_request,view_changes,final_view",
        keys.join(",")
    );
    let mut failed = 0;
    let combinations = combinations(args);
    for values in &combinations {
        let mut changed = base.clone();
        for (setting, value) in args.set.iter().zip(values) {
            set(&mut changed, &setting.key, value)?;
        }
        let text = toml::to_string(&changed)?;
        let scenario = Scenario::parse(&name, &text).map_err(|error| {
            anyhow::anyhow!("with {}: {}", describe(&keys, values), error.message)
        })?;
        let outcome = world::run(scenario.seed, &scenario.options);
        let summary = Summary::new(&scenario, &outcome, "");
        failed += u32::from(summary.verdict != "pass");
        let counts = &summary.counts;
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{}",
            values.join(","),
            summary.verdict,
            summary.seconds(),
            summary.requests_completed,
            counts.total,
            counts.total_with_self,
            counts.per_request_with_self,
            summary.view_changes,
            summary.final_view
        );
    }
    std::fs::write(&args.csv, csv)
        .with_context(|| format!("cannot write {}", args.csv.display()))?;
    let runs = combinations.len();
    render::line(format_args!("{runs} runs in {}", args.csv.display()))?;
    if failed > 0 {
        return Err(Negative(format!("{failed} of {runs} runs did not pass")).into());
    }
    Ok(())
}

/// Every combination of the values, the last key's changing fastest.
fn combinations(args: &Sweep) -> Vec<Vec<String>> {
    args.set.iter().fold(vec![Vec::new()], |combinations, setting| {
        let with = |before: &Vec<String>, value: &String| {
            before.iter().cloned().chain([value.clone()]).collect()
        };
        combinations
            .iter()
            .flat_map(|before| setting.values.iter().map(move |value| with(before, value)))
            .collect()
    })
}

fn describe(keys: &[&str], values: &[String]) -> String {
    let pairs = keys.iter().zip(values).map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Sets the value at a path of keys and, within lists, of indices: `start.0.honest_node`.
fn set(table: &mut toml::Table, path: &str, value: &str) -> Result<()> {
    let wrong = || format!("there is no place {path} in the scenario");
    // A number or a truth value is written as one; everything else is text.
    let parsed = format!("v = {value}").parse::<toml::Table>().ok();
    let value = parsed
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place: Option<&mut toml::Value> = None;
    for key in parents.split('.').filter(|key| !key.is_empty()) {
        let next = match place {
            None => table.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new())),
            Some(toml::Value::Table(table)) => {
                table.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()))
            }
            Some(toml::Value::Array(list)) => {
                let index: usize = key.parse().ok().with_context(wrong)?;
                list.get_mut(index).with_context(wrong)?
            }
            Some(_) => anyhow::bail!(wrong()),
        };
        place = Some(next);
    }
    let table = match place {
        None => table,
        Some(toml::Value::Table(table)) => table,
        Some(_) => anyhow::bail!(wrong()),
    };
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_in_tables_and_lists() {
        let mut table: toml::Table = "[[start]]\nat = 0\nhonest_node = 4\n".parse().expect("TOML");
        set(&mut table, "start.0.honest_node", "7").expect("the place is there");
        set(&mut table, "cluster.checkpoint_period", "10").expect("the table is made");
        set(&mut table, "client.believes", "quorum").expect("text is text");
        let text = toml::to_string(&table).expect("it can be written");
        assert!(text.contains("honest_node = 7"), "{text}");
        assert!(text.contains("checkpoint_period = 10"), "{text}");
        assert!(text.contains("believes = \"quorum\""), "{text}");
        assert!(set(&mut table, "start.3.honest_node", "7").is_err());
        assert!(set(&mut table, "start.x.honest_node", "7").is_err());
    }
}
