//! What can be asked for. Nothing here decides anything.

#[cfg(feature = "cluster")]
pub(crate) mod bench;
#[cfg(feature = "cluster")]
pub(crate) mod cluster;
pub(crate) mod lab;

use clap::{Parser, Subcommand};

/// A replicated store for etcd clients that gives right answers while some of its servers lie.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    Cluster(cluster::ClusterCommand),
    /// Measure how fast a cluster is, beside what this machine does without one
    #[cfg(feature = "cluster")]
    Bench(bench::Bench),
    /// Run scenarios, swarms and replays in a simulated world
    Lab(lab::Lab),
}

/// Reads whole milliseconds, seconds or minutes: `500ms`, `30s`, `2m`.
#[cfg(feature = "cluster")]
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        _ => return Err("write a whole number and ms, s or m, as in 30s".to_owned()),
    };
    let number: u32 = digits.parse().map_err(|_| "that is not a whole number".to_owned())?;
    Ok(std::time::Duration::from_millis(u64::from(number) * unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The words behind `quorate` in every line of the file's code blocks that calls it.
    #[cfg(feature = "cluster")]
    fn calls(file: &std::path::Path) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(file).unwrap();
        let blocks = text.split("```").skip(1).step_by(2);
        let call = |line: &str| {
            let typed = line.strip_prefix("$ ").unwrap_or(line);
            let words = typed.strip_prefix("cargo run --release -- ");
            let words = words.or_else(|| typed.strip_prefix("quorate "))?.split(" #").next()?;
            let is_whole = !words.ends_with('\\');
            is_whole.then(|| words.split_whitespace().map(str::to_owned).collect())
        };
        blocks.flat_map(str::lines).filter_map(call).collect()
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn every_command_in_the_documents_can_be_asked_for() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folders = ["", "docs", "docs/zh-CN"].map(|folder| root.join(folder));
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let files = entries.map(|entry| entry.unwrap().path());
        let documents = files.filter(|file| file.extension().is_some_and(|ending| ending == "md"));
        let mut count = 0;
        for (file, words) in documents
            .flat_map(|file| calls(&file).into_iter().map(move |words| (file.clone(), words)))
        {
            let parsed = Args::try_parse_from(["quorate".to_owned()].iter().chain(&words));
            assert!(parsed.is_ok(), "{}: {words:?}: {parsed:?}", file.display());
            count += 1;
        }
        assert!(count >= 20, "only {count} commands were found");
    }

    /// The commands that end with examples, and those that are shown in them.
    fn commands_below(command: &clap::Command) -> Vec<clap::Command> {
        let below: Vec<clap::Command> =
            command.get_subcommands().flat_map(commands_below).collect();
        let own = (!command.has_subcommands()).then(|| command.clone());
        own.into_iter().chain(below).collect()
    }

    #[test]
    fn help_of_every_command_ends_with_examples_that_can_be_given() {
        for command in commands_below(&Args::command()) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) =
                help.split_once("Example").unwrap_or_else(|| panic!("{name} has no examples"));
            let mut count = 0;
            for example in examples.replace("\\\n", " ").lines() {
                let Some(typed) = example.trim().strip_prefix("quorate ") else { continue };
                let typed = typed.split(['|', '#', '>']).next().unwrap_or_default();
                let words = ["quorate"].into_iter().chain(typed.split_whitespace());
                let parsed = Args::try_parse_from(words);
                // Not every fingerprint fits into a line.
                let is_cut_short = typed.contains('…');
                assert!(is_cut_short || parsed.is_ok(), "{name}: {typed}: {parsed:?}");
                count += 1;
            }
            assert!(count > 0, "{name} has no example");
        }
    }

    #[test]
    fn declarations_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(std::time::Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Ok(std::time::Duration::from_secs(30)));
        assert_eq!(parse_duration("2m"), Ok(std::time::Duration::from_secs(120)));
        for wrong in ["30", "s", "-1s", "1.5s", "1h", ""] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
