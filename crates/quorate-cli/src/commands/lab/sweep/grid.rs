//! The combinations of values that a sweep runs, and how they are put into a scenario.

use crate::args::lab::Setting;
use anyhow::{Context, Result};
use toml::{Table, Value};

/// The key that stands for the number of replicas.
const REPLICA_COUNT: &str = "n";

/// Every combination of the values, the last key's changing fastest.
pub(super) fn combinations(settings: &[Setting]) -> Vec<Vec<String>> {
    settings.iter().fold(vec![Vec::new()], |combinations, setting| {
        let with = |before: &Vec<String>, value: &String| {
            before.iter().cloned().chain([value.clone()]).collect()
        };
        combinations
            .iter()
            .flat_map(|before| setting.values.iter().map(move |value| with(before, value)))
            .collect()
    })
}

/// A combination in words.
pub(super) fn describe(settings: &[Setting], values: &[String]) -> String {
    let pairs =
        settings.iter().zip(values).map(|(setting, value)| format!("{}={value}", setting.key));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Sets the value of a key: the number of replicas, or a path of keys and, within lists, of
/// indices, such as `start.0.honest_node`.
pub(super) fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    if key == REPLICA_COUNT {
        return set_replica_count(table, value);
    }
    // A number or a truth value is written as one; everything else is text.
    let parsed = format!("v = {value}").parse::<Table>().ok();
    let value = parsed
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    set_at(table, key, value)
}

fn set_at(table: &mut Table, path: &str, value: Value) -> Result<()> {
    let wrong = || format!("there is no place {path} in the scenario");
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place: Option<&mut Value> = None;
    for key in parents.split('.').filter(|key| !key.is_empty()) {
        let next = match place {
            None => table.entry(key).or_insert_with(|| Value::Table(Table::new())),
            Some(Value::Table(table)) => {
                table.entry(key).or_insert_with(|| Value::Table(Table::new()))
            }
            Some(Value::Array(list)) => {
                let index: usize = key.parse().ok().with_context(wrong)?;
                list.get_mut(index).with_context(wrong)?
            }
            Some(_) => anyhow::bail!(wrong()),
        };
        place = Some(next);
    }
    let table = match place {
        None => table,
        Some(Value::Table(table)) => table,
        Some(_) => anyhow::bail!(wrong()),
    };
    table.insert(last.to_owned(), value);
    Ok(())
}

/// Makes the honest nodes of the first start that has some as many as are missing.
fn set_replica_count(table: &mut Table, value: &str) -> Result<()> {
    let wanted: i64 = value.parse().with_context(|| format!("n is a number, not {value:?}"))?;
    let starts = table.get_mut("start").and_then(Value::as_array_mut);
    let starts = starts.context("the scenario has no [[start]], so it has no n")?;
    let count = |value: &Value| match value {
        Value::Integer(count) => *count,
        Value::Table(kind) => kind.get("count").and_then(Value::as_integer).unwrap_or_default(),
        _ => 0,
    };
    let kinds = starts.iter().filter_map(Value::as_table).flatten();
    let total: i64 = kinds.filter(|(key, _)| *key != "at").map(|(_, value)| count(value)).sum();
    let honest = starts.iter_mut().find_map(|start| start.get_mut("honest_node"));
    let honest = honest.context("no [[start]] has honest_node, so n cannot be set")?;
    let others = total - count(honest);
    anyhow::ensure!(
        wanted > others,
        "n={wanted} leaves no honest_node beside the {others} others of the scenario"
    );
    *honest = Value::Integer(wanted - others);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_in_tables_and_lists() {
        let mut table: Table = "[[start]]\nat = 0\nhonest_node = 4\n".parse().expect("TOML");
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

    #[test]
    fn n_counts_all_replicas_and_changes_the_honest_ones() {
        let mut table: Table = "[[start]]\nat = 0\nhonest_node = 2\nslow_nodes = { count = 1 }\n\
             [[start]]\nat = 3\nfaulty_node = 1\n"
            .parse()
            .expect("TOML");
        set(&mut table, "n", "7").expect("there are honest nodes");
        assert_eq!(table["start"][0]["honest_node"], Value::Integer(5));
        let error = set(&mut table, "n", "2").expect_err("two others").to_string();
        assert_eq!(error, "n=2 leaves no honest_node beside the 2 others of the scenario");
        assert!(set(&mut table, "n", "many").is_err());
        assert!(set(&mut Table::new(), "n", "4").is_err());
    }

    #[test]
    fn combinations_change_the_last_key_fastest() {
        let settings: Vec<Setting> =
            ["a=1,2", "b=x,y"].map(|text| text.parse().expect("well written")).into();
        let all = combinations(&settings);
        assert_eq!(all, [["1", "x"], ["1", "y"], ["2", "x"], ["2", "y"]]);
        assert_eq!(describe(&settings, &all[1]), "a=1, b=y");
    }
}
