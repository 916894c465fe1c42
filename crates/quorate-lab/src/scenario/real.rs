//! Scenarios on real processes: what of a file they cannot honour, and its times in another scale.

use super::span::At;
use super::{Scenario, ScenarioError};
use crate::world::Fault;
use core::time::Duration;
use quorate_adversary::Behaviour;
use toml::de::{DeTable, DeValue};

/// A part of a file that processes cannot honour.
struct Unknown {
    at: At,
    key: String,
    why: &'static str,
}

const NETWORK: &str = "the network between processes is the machine's own";
const LINKS: &str = "links between processes are not touched";
const PROCESSOR: &str = "the processors under processes are the machine's own";
const DISK: &str = "the disk under processes is the machine's own";
const CRASH: &str = "only the process dies, how = \"process\", and at a time";
const CLIENTS: &str = "the clients of processes do not lie";
const READS: &str = "the clients of processes have everything ordered";
const MEMORY: &str = "nobody reaches into the memory of a process";
const CLOCK: &str = "processes share the machine's clock";

/// Why processes cannot honour a key of an event; `None` if they can.
fn event_refusal(key: &str) -> Option<&'static str> {
    match key {
        "at" | "crash" | "restart" | "pause" | "behave" => None,
        "network" => Some(NETWORK),
        "clock" => Some(CLOCK),
        "flip_state" => Some(MEMORY),
        "lose_disk" | "lose_disk_in_turn" | "copy_disk" | "roll_back_disk" | "swap_disk"
        | "fail_sync" | "fill_disk" | "rot" => Some(DISK),
        _ => Some(LINKS),
    }
}

impl Scenario {
    /// Checks that processes can do all that the file asks for. `file` is its name in errors.
    ///
    /// # Errors
    /// Names every key that they cannot honour, with the line of the first and what is allowed.
    pub fn check_for_processes(&self, file: &str) -> Result<(), ScenarioError> {
        let unknown = unknown(&self.text);
        let Some(first) = unknown.first() else { return Ok(()) };
        let mut message = format!("processes cannot honour {}: {}", first.key, first.why);
        for Unknown { at, key, why } in unknown.iter().skip(1) {
            message += &format!("; nor, in line {}, {key}: {why}", at.line(&self.text));
        }
        message += "; leave that out, or run the file in the simulator, without --processes";
        Err(ScenarioError { file: file.to_owned(), line: first.at.line(&self.text), message })
    }

    /// The same scenario with every time that a file can give, given or by default, `scale` times
    /// as long. The text stays as it is.
    #[must_use]
    pub fn in_time_scale(mut self, scale: f64) -> Self {
        let stretch = |span: &mut Duration| *span = span.mul_f64(scale);
        let options = &mut self.options;
        stretch(&mut options.parameters.view_change_timeout);
        stretch(&mut options.parameters.view_change_timeout_max);
        stretch(&mut options.parameters.checkpoint_fill_after);
        stretch(&mut options.client.retransmit_min);
        stretch(&mut options.client.retransmit_max);
        stretch(&mut options.workload.begins_at);
        stretch(&mut options.workload.think_max);
        stretch(&mut options.heals_at);
        stretch(&mut options.recovery_max);
        self.expect.answered_within.iter_mut().for_each(stretch);
        for (at, fault) in &mut options.timeline {
            stretch(at);
            match fault {
                Fault::Pause(_, span) | Fault::Behave(_, Behaviour::Slow { delay: span, .. }) => {
                    stretch(span);
                }
                _ => {}
            }
        }
        self
    }
}

/// Everything in the file that processes cannot honour, in the order of the file's parts.
fn unknown(text: &str) -> Vec<Unknown> {
    // The text of a scenario has been read before.
    let Ok(file) = DeTable::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in file.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("network", DeValue::Table(table)) => every_key("network", table, NETWORK, &mut found),
            ("processor", DeValue::Table(table)) => {
                every_key("processor", table, PROCESSOR, &mut found);
            }
            ("disk", DeValue::Table(table)) => every_key("disk", table, DISK, &mut found),
            ("workload", DeValue::Table(table)) => {
                one_key("workload", table, "lying_clients", CLIENTS, &mut found);
            }
            ("client", DeValue::Table(table)) => {
                one_key("client", table, "one_round_reads", READS, &mut found);
            }
            ("event", DeValue::Array(events)) => {
                let tables = events.iter().filter_map(|event| event.get_ref().as_table());
                tables.for_each(|event| in_event(event, &mut found));
            }
            _ => {}
        }
    }
    found
}

fn one_key(
    name: &str,
    table: &DeTable<'_>,
    refused: &str,
    why: &'static str,
    found: &mut Vec<Unknown>,
) {
    found.extend(table.keys().filter(|key| key.get_ref() == refused).map(|key| {
        let at = At(key.span().start);
        Unknown { at, key: format!("{name}.{refused}"), why }
    }));
}

fn every_key(name: &str, table: &DeTable<'_>, why: &'static str, found: &mut Vec<Unknown>) {
    found.extend(table.keys().map(|key| {
        let at = At(key.span().start);
        Unknown { at, key: format!("{name}.{}", key.get_ref()), why }
    }));
}

fn in_event(event: &DeTable<'_>, found: &mut Vec<Unknown>) {
    for (key, value) in event {
        let name = key.get_ref().as_ref();
        if let Some(why) = event_refusal(name) {
            found.push(Unknown { at: At(key.span().start), key: format!("event.{name}"), why });
        }
        let Some(crash) = value.get_ref().as_table().filter(|_| name == "crash") else { continue };
        for (key, value) in crash {
            let is_wrong = match key.get_ref().as_ref() {
                "how" => value.get_ref().as_str() != Some("process"),
                other => other == "at_disk_operation",
            };
            if is_wrong {
                let name = format!("event.crash.{}", key.get_ref());
                found.push(Unknown { at: At(key.span().start), key: name, why: CRASH });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "format = 1\ntitle = \"t\"\n[[start]]\nat = 0\nhonest_node = 4\n";

    fn parsed(more: &str) -> Scenario {
        Scenario::parse("f.toml", &format!("{HEAD}{more}")).expect("it is a scenario")
    }

    #[test]
    fn every_key_that_processes_cannot_honour_is_named_with_its_line() {
        for (more, line, key) in [
            ("[network]\nloss = \"5%\"\n", 7, "network.loss"),
            ("[disk]\nsnapshot_interval = 2\n", 7, "disk.snapshot_interval"),
            (
                "[workload]\nclients = 2\nlying_clients = [\"primary_only\"]\n",
                8,
                "workload.lying_clients",
            ),
            ("[[event]]\nat = 1\nlose_disk = [2]\n", 8, "event.lose_disk"),
            ("[[event]]\nat = 1\nflip_state = [2]\n", 8, "event.flip_state"),
            ("[[event]]\nat = 1\nfill_disk = [2]\n", 8, "event.fill_disk"),
            ("[[event]]\nat = 1\npartition = [[0, 1], [2, 3]]\n", 8, "event.partition"),
            ("[[event]]\nat = 1\nclock = { replicas = [1], back = 3 }\n", 8, "event.clock"),
            (
                "[[event]]\nat = 1\ncrash = { replicas = [1], how = \"torn\" }\n",
                8,
                "event.crash.how",
            ),
            (
                "[[event]]\nat = 1\n[event.crash]\nreplicas = [1]\nat_disk_operation = 3\n",
                10,
                "event.crash.at_disk_operation",
            ),
        ] {
            let later = "[[event]]\nat = 9\nrestart = [3]\n";
            let scenario = parsed(&format!("{more}{later}"));
            let error = scenario.check_for_processes("f.toml").expect_err(key);
            assert_eq!((error.line, error.file.as_str()), (line, "f.toml"), "{error}");
            assert!(error.message.contains(&format!("cannot honour {key}: ")), "{error}");
        }
        let error = parsed("[network]\nloss = 0.1\n[disk]\nsnapshot_bytes = 9\n")
            .check_for_processes("f.toml")
            .expect_err("two keys");
        assert!(error.message.contains("nor, in line 9, disk.snapshot_bytes"), "{error}");
    }

    #[test]
    fn what_processes_can_honour_is_let_through() {
        let more = "[[event]]\nat = 1\ncrash = { replicas = [1], how = \"process\" }\n\
                    [[event]]\nat = 2\nrestart = [1]\n\
                    [[event]]\nat = 3\npause = { replicas = [1], for = 1 }\n\
                    [[event]]\nat = 4\nbehave = { replicas = [1], kind = \"faulty_node\" }\n";
        assert_eq!(parsed(more).check_for_processes("f.toml"), Ok(()));
    }

    #[test]
    fn all_times_are_stretched_alike() {
        let more = "slow_nodes = { count = 1, delay = \"20s\" }\n\
                    [cluster]\nview_change_timeout = 10\ncheckpoint_fill_after = 30\n\
                    [client]\nretransmission_timeout = 40\n\
                    [workload]\nbegins_at = 50\nthink = 60\n\
                    [[event]]\nat = 70\npause = { replicas = [1], for = 80 }\n\
                    [expect]\nwithin = 90\nanswered_within = 100\n";
        let stretched = parsed(more).in_time_scale(0.1);
        assert_eq!(stretched.expect.answered_within, Some(Duration::from_secs(10)));
        let options = stretched.options;
        let spans = [
            options.parameters.view_change_timeout,
            options.parameters.checkpoint_fill_after,
            options.client.retransmit_min,
            options.workload.begins_at,
            options.workload.think_max,
            options.heals_at,
            options.recovery_max,
        ];
        assert_eq!(
            spans.map(|span| span.as_millis()),
            [1_000, 3_000, 4_000, 5_000, 6_000, 15_000, 9_000]
        );
        let faults: Vec<String> = options.timeline.iter().map(|(_, f)| f.to_string()).collect();
        assert!(faults.iter().any(|fault| fault.contains("slow_nodes:delay=2000ms")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("suspended for 8 s")), "{faults:?}");
    }
}
