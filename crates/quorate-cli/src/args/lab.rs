//! What can be asked of the simulator.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab list\n  \
    quorate lab run scenarios/original/honest.toml\n  \
    quorate lab swarm --seeds 1000\n  \
    quorate lab shrink lab-reports/swarm-513.toml")]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) command: LabCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Run a scenario in the simulated world and write a report about it
    Run(Run),
    /// Run random worlds, each with faults and adversaries within the budget
    Swarm(Swarm),
    /// Run what a report or a recording is about once more and check that everything happens again
    Replay(Replay),
    /// Leave out of a failing scenario whatever it fails without
    Shrink(Shrink),
    /// Run a scenario with every combination of some values; write tables and a figure
    Sweep(Sweep),
    /// Show the scenarios of a folder and the kinds of nodes
    List(List),
    /// Measure what the work of a replica costs on this machine and print it for a scenario
    Calibrate(Calibrate),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab run scenarios/original/honest.toml\n  \
    quorate lab run scenarios/original/slow_nodes.toml --processes\n  \
    quorate lab run scenarios/original/slow_nodes.toml --processes --time-scale 0.1")]
pub(crate) struct Run {
    /// The scenario file
    pub(crate) file: PathBuf,
    /// Instead of the file's seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The folder of the report; by default lab-reports/NAME-seed-N
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Run it on real replicas, one process each, with real links and disks
    #[arg(long)]
    pub(crate) processes: bool,
    /// With --processes: how long a second of the file takes, for all its times alike
    #[arg(long, value_name = "F", requires = "processes", default_value_t = 1.0,
        value_parser = parse_time_scale)]
    pub(crate) time_scale: f64,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads a factor for times.
fn parse_time_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.001..=1000.0).contains(scale));
    scale.ok_or_else(|| "write a number from 0.001 to 1000, as in 0.1".to_owned())
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab swarm --seeds 1000\n  \
    quorate lab swarm --first-seed 1 --seeds 20000 --shard 0/4   # one machine of four\n  \
    quorate lab swarm --seeds 1000 --json | jq .failures")]
pub(crate) struct Swarm {
    /// How many worlds
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The seed of the first one
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Run only part I of N, counted from 0, so that N machines share the seeds
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    pub(crate) shard: Shard,
    /// Where failing worlds are written as scenario files
    #[arg(long, value_name = "DIR", default_value = "lab-reports")]
    pub(crate) report: PathBuf,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab replay lab-reports/honest-seed-1\n  \
    quorate lab replay alice/recordings/inputs-0 --dir alice")]
pub(crate) struct Replay {
    /// A report's folder, a scenario file, or a recording that `quorate replica --record-inputs`
    /// made
    pub(crate) path: PathBuf,
    /// For a recording: the folder of the replica that made it, for its keys and its cluster.toml
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab shrink lab-reports/swarm-513.toml\n  \
    quorate lab shrink scenarios/beyond/disks-set-back-n4.toml --out small.toml")]
pub(crate) struct Shrink {
    /// The scenario file
    pub(crate) file: PathBuf,
    /// The file into which the smaller scenario goes; by default lab-reports/NAME.min.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab sweep scenarios/original/honest.toml --set n=4,7,10,31,100 --seeds 10 \\\n      \
    --csv messages.csv\n  \
    quorate lab sweep scenarios/load/saturated.toml --set n=4,7,10 --processes --csv load.csv")]
pub(crate) struct Sweep {
    /// The scenario file
    pub(crate) file: PathBuf,
    /// A key of the file and the values it takes; n is the number of replicas. The first is the
    /// axis of the figure
    #[arg(long = "set", value_name = "KEY=V,V,…", required = true)]
    pub(crate) set: Vec<Setting>,
    /// How many runs of each combination, with seeds from the file's on
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) seeds: u64,
    /// Run everything on real replicas as well, one process each, without what a file says of
    /// networks, disks and processors, and say how near the simulator comes
    #[arg(long)]
    pub(crate) processes: bool,
    /// Where the table of all runs goes; the medians go beside it into OUT-medians.csv, the figure
    /// into OUT.svg
    #[arg(long, value_name = "OUT")]
    pub(crate) csv: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab list\n  \
    quorate lab list scenarios/original\n  \
    quorate lab list --json | jq -r '.kinds[]'")]
pub(crate) struct List {
    /// The folder with scenarios
    #[arg(default_value = "scenarios")]
    pub(crate) dir: PathBuf,
    /// Print the list as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    quorate lab calibrate\n  \
    quorate lab calibrate --disk /var/lib\n  \
    quorate lab calibrate --processes > costs.toml")]
pub(crate) struct Calibrate {
    /// A folder on the disk to be measured; what is written there is removed again
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) disk: PathBuf,
    /// Take what a message costs from real replicas, which have sockets, TLS and threads too: four
    /// of them, one process each, with as much to do as they can
    #[arg(long)]
    pub(crate) processes: bool,
}

/// One part of a range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        parsed
            .filter(|shard| shard.index < shard.count)
            .ok_or_else(|| "write I/N with I from 0 to N-1, as in 0/4".to_owned())
    }
}

/// A key and the values it takes in turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, values) = text
            .split_once('=')
            .filter(|(key, values)| !key.is_empty() && !values.is_empty())
            .ok_or_else(|| "write KEY=V,V, as in cluster.checkpoint_period=1,10".to_owned())?;
        let values = values.split(',').map(str::to_owned).collect();
        Ok(Self { key: key.to_owned(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    #[test]
    fn a_shard_is_one_of_its_number() {
        assert_eq!("1/4".parse(), Ok(Shard { index: 1, count: 4 }));
        for wrong in ["4/4", "1", "a/b", "1/0", "-1/4"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    /// What stands behind `key` in a line of the job that shares a swarm among machines.
    fn value_in_job(key: &str) -> &'static str {
        let job = include_str!("../../../../deploy/lab-swarm-job.yaml");
        let mut values = job.lines().filter_map(|line| line.trim().strip_prefix(key));
        values.next().unwrap_or_else(|| panic!("the job has no {key}")).trim()
    }

    #[test]
    fn the_job_that_shares_a_swarm_asks_for_every_shard_once() {
        let completions: u64 = value_in_job("completions:").parse().unwrap();
        let words: Vec<String> = serde_json::from_str(value_in_job("args:")).unwrap();
        for index in 0..completions {
            let index_text = index.to_string();
            let words =
                words.iter().map(|word| word.replace("$(JOB_COMPLETION_INDEX)", &index_text));
            let args = Args::try_parse_from(["quorate".to_owned()].into_iter().chain(words));
            let Ok(Args { command: Command::Lab(Lab { command: LabCommand::Swarm(swarm) }) }) =
                args
            else {
                panic!("it asks for something else: {args:?}");
            };
            assert_eq!(swarm.shard, Shard { index, count: completions });
            assert!(swarm.json);
        }
        let fixed = [
            ("apiVersion:", "batch/v1"),
            ("kind:", "Job"),
            ("completionMode:", "Indexed"),
            ("restartPolicy:", "Never"),
        ];
        for (key, value) in fixed {
            assert_eq!(value_in_job(key), value, "{key}");
        }
        let tries = 1 + value_in_job("backoffLimitPerIndex:").parse::<u64>().unwrap();
        let limit: u64 = value_in_job("backoffLimit:").parse().unwrap();
        assert_eq!(limit, completions * tries, "one shard's failures must not end the others");
        for key in ["requests:", "limits:"] {
            assert!(value_in_job(key).contains("cpu:") && value_in_job(key).contains("memory:"));
        }
    }

    #[test]
    fn a_setting_has_a_key_and_values() {
        let setting: Setting =
            "cluster.checkpoint_period=1,10".parse().expect("it is well written");
        assert_eq!(setting.key, "cluster.checkpoint_period");
        assert_eq!(setting.values, ["1", "10"]);
        for wrong in ["", "a", "a=", "=1"] {
            assert!(wrong.parse::<Setting>().is_err(), "{wrong}");
        }
    }
}
