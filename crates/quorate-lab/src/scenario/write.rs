//! A world as the text of a scenario file: what a swarm found or a shrinker left can be read,
//! changed and run again. Reading the text gives the same world.

use super::Scenario;
use super::events::kind_name;
use crate::network::{Distances, NetworkOptions, Traffic};
use crate::world::{CrashKind, Fault, Options, Processor};
use core::fmt::Write;
use core::time::Duration;
use pbft::{ReplicaId, ReplyRule};
use quorate_adversary::Behaviour;

/// The text of a scenario file that stands for this scenario.
pub fn write(scenario: &Scenario) -> String {
    let Scenario { title, about, seed, options, beyond_budget, expect, .. } = scenario;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let out = &mut text;
    let _ = writeln!(out, "format = {}", super::FORMAT);
    let _ = writeln!(out, "title = {}", quoted(title));
    if !about.is_empty() {
        let _ = writeln!(out, "about = {}", quoted(about));
    }
    let _ = writeln!(out, "seed = {}", seed.get());
    if *beyond_budget {
        let _ = writeln!(out, "beyond_budget = true");
    }
    let _ = writeln!(out, "heals_at = {}", time(options.heals_at));
    write_parts(out, options);
    let _ = writeln!(out, "\n[[start]]\nat = 0\nhonest_node = {}", options.replica_count);
    for (at, fault) in &options.timeline {
        let _ = writeln!(out, "\n[[event]]\nat = {}\n{}", time(*at), event(fault));
    }
    let _ = writeln!(out, "\n[expect]\nverdict = {}", quoted(expect.verdict.name()));
    if let Some(property) = &expect.property {
        let _ = writeln!(out, "property = {}", quoted(property));
    }
    let _ = writeln!(out, "within = {}", time(options.recovery_max));
    text
}

fn write_parts(out: &mut String, options: &Options) {
    let p = &options.parameters;
    let _ = writeln!(
        out,
        "\n[cluster]\ncheckpoint_period = {}\nlog_window = {}\ninstances_in_flight = {}\n\
         batch_requests = {}\noperations_per_request = {}\ngathering = {}\nclient_window = {}\n\
         view_change_timeout = {}\ncheckpoint_fill_after = {}\ndigest_replies = {}\n\
         separate_requests = {}\nrequests_to_primary = {}\ntentative_execution = {}\n\
         throughput_floor = {}",
        p.checkpoint_period,
        p.log_window,
        p.instances_in_flight_max,
        p.batch_requests_max,
        p.operations_per_request_max,
        time(p.batch_gathering_max),
        p.client_window,
        time(p.view_change_timeout),
        time(p.checkpoint_fill_after),
        p.digest_replies,
        p.separate_requests,
        p.requests_to_primary,
        p.tentative_execution,
        p.throughput_floor,
    );
    let believes = match options.client.reply_rule {
        ReplyRule::AlwaysQuorum => "quorum",
        ReplyRule::WeakUnlessTentative => "weak_quorum",
    };
    let _ = writeln!(
        out,
        "\n[client]\nretransmission_timeout = {}\nretransmission_timeout_max = {}\n\
         outstanding = {}\nbelieves = {}\none_round_reads = {}",
        time(options.client.retransmit_min),
        time(options.client.retransmit_max),
        options.client.outstanding_max,
        quoted(believes),
        options.workload.one_round_reads,
    );
    let w = &options.workload;
    let _ = writeln!(
        out,
        "\n[workload]\nclients = {}\nbegins_at = {}\noperations = {}\noutstanding = {}\nkeys = {}\n\
         value_bytes = {}\nthink = {}",
        w.clients,
        time(w.begins_at),
        w.operations,
        w.concurrency,
        w.keys,
        w.value_bytes,
        time(w.think_max),
    );
    if !options.lying_clients.is_empty() {
        let lies: Vec<String> = options.lying_clients.iter().map(|l| quoted(l.name())).collect();
        let _ = writeln!(out, "lying_clients = [{}]", lies.join(", "));
    }
    let _ = writeln!(out, "\n[network]\n{}", network(&options.network, "\n"));
    if let Some(distances) = &options.distances {
        write_distances(out, distances);
    }
    if let Some(bandwidth) = options.bandwidth {
        let _ = writeln!(out, "bandwidth = {bandwidth}");
    }
    let _ = writeln!(
        out,
        "\n[disk]\nsync = [{}, {}]\nsnapshot_interval = {}\nsnapshot_bytes = {}",
        time(options.sync.0),
        time(options.sync.1),
        time(options.snapshot_policy.interval),
        options.snapshot_policy.journal_bytes,
    );
    if let Some(costs) = &options.processor {
        let _ = write!(out, "\n[processor]\n{}", processor(costs));
    }
}

/// The keys of a `[processor]` section, a line each.
pub fn processor(costs: &Processor) -> String {
    let Processor {
        per_message,
        per_verification,
        per_signature,
        per_operation,
        per_client_message,
        cores,
    } = costs;
    let keys = [
        ("per_message", per_message),
        ("per_verification", per_verification),
        ("per_signature", per_signature),
        ("per_operation", per_operation),
        ("per_client_message", per_client_message),
    ];
    let line = |(key, span): (&str, &Duration)| {
        format!("{key} = \"{}us\"\n", span.as_nanos() as f64 / 1e3)
    };
    let shared = if *cores == 0 { String::new() } else { format!("cores = {cores}\n") };
    keys.map(line).concat() + &shared
}

fn network(network: &NetworkOptions, separator: &str) -> String {
    let share = |millionths: u64| millionths as f64 / 1e6;
    [
        format!("delay = [{}, {}]", time(network.delay.min), time(network.delay.max)),
        format!("tail = {}", share(network.delay.tail_per_million)),
        format!("tail_delay = {}", time(network.delay.tail_max)),
        format!("loss = {}", share(network.loss_per_million)),
        format!("duplication = {}", share(network.duplicate_per_million)),
        format!("reordering = {}", network.reorders),
    ]
    .join(separator)
}

fn write_distances(out: &mut String, distances: &Distances) {
    let names = &distances.round_trips.places;
    let millis = |span: &Duration| format!("{}", span.as_micros() as f64 / 1e3);
    let _ = match &distances.published {
        Some(name) => writeln!(out, "regions = {}", quoted(name)),
        None => {
            let rows = distances.round_trips.rows.iter();
            let row = |row: &Vec<Duration>| row.iter().map(millis).collect::<Vec<_>>().join(", ");
            let rows: Vec<String> = rows.map(|spans| format!("[{}]", row(spans))).collect();
            writeln!(out, "round_trips_ms = [{}]", rows.join(", "))
        }
    };
    let places = distances.replicas.iter().map(|place| quoted(&names[*place]));
    let _ = writeln!(
        out,
        "places = [{}]\nclients = {}\njitter = {}",
        places.collect::<Vec<_>>().join(", "),
        quoted(&names[distances.clients]),
        distances.jitter_per_million as f64 / 1e6,
    );
}

fn event(fault: &Fault) -> String {
    match fault {
        Fault::Cut(from, to) => format!("cut = {{ from = {}, to = {} }}", list(from), list(to)),
        Fault::Drop(traffic) => format!("cut = {{ {} }}", traffic_keys(traffic)),
        Fault::Delay(traffic, min, max) => {
            let (min, max) = (time(*min), time(*max));
            format!("delay = {{ {}, by = [{min}, {max}] }}", traffic_keys(traffic))
        }
        Fault::Mend => "mend = true".to_owned(),
        Fault::CutFromClients(replica) => format!("cut_from_clients = [{replica}]"),
        Fault::Crash(replica, kind) => {
            format!("crash = {{ replicas = [{replica}], how = {} }}", quoted(how(*kind)))
        }
        Fault::CrashAt(replica, operation, kind) => format!(
            "crash = {{ replicas = [{replica}], how = {}, at_disk_operation = {operation} }}",
            quoted(how(*kind))
        ),
        Fault::Lose(replica) => format!("lose_disk = [{replica}]"),
        Fault::Copy(replica) => format!("copy_disk = [{replica}]"),
        Fault::RollBack(replica) => format!("roll_back_disk = [{replica}]"),
        Fault::SwapDisk(replica) => format!("swap_disk = [{replica}]"),
        Fault::LoseInTurn(replica) => format!("lose_disk_in_turn = [{replica}]"),
        Fault::FailSync(replica) => format!("fail_sync = [{replica}]"),
        Fault::FillDisk(replica) => format!("fill_disk = [{replica}]"),
        Fault::Rot(replica) => format!("rot = [{replica}]"),
        Fault::FlipState(replica) => format!("flip_state = [{replica}]"),
        Fault::Restart(replica) => format!("restart = [{replica}]"),
        Fault::Pause(replica, span) => {
            format!("pause = {{ replicas = [{replica}], for = {} }}", time(*span))
        }
        Fault::ClockJump { replica, forward, back } => format!(
            "clock = {{ replicas = [{replica}], forward = {}, back = {} }}",
            time(*forward),
            time(*back)
        ),
        Fault::Behave(replica, behaviour) => {
            format!("behave = {{ replicas = [{replica}], {} }}", kind(*behaviour))
        }
        Fault::Network(changed) => format!("network = {{ {} }}", network(changed, ", ")),
    }
}

fn traffic_keys(traffic: &Traffic) -> String {
    let mut keys = format!("from = {}, to = {}", list(&traffic.from), list(&traffic.to));
    if !traffic.kinds.is_empty() {
        let kinds: Vec<String> =
            traffic.kinds.iter().map(|kind| quoted(&kind_name(*kind))).collect();
        // Writing to a string cannot fail.
        let _ = write!(keys, ", kinds = [{}]", kinds.join(", "));
    }
    keys
}

/// A behaviour's name and parameters as keys of a table.
fn kind(behaviour: Behaviour) -> String {
    let text = behaviour.to_string();
    let (name, parameters) = text.split_once(':').unwrap_or((&text, ""));
    let mut keys = vec![format!("kind = {}", quoted(name))];
    let parameters = parameters.split(',').filter_map(|parameter| parameter.split_once('='));
    keys.extend(parameters.map(|(key, value)| format!("{key} = {}", quoted(value))));
    keys.join(", ")
}

const fn how(kind: CrashKind) -> &'static str {
    match kind {
        CrashKind::Process => "process",
        CrashKind::Power => "power",
        CrashKind::Torn => "torn",
    }
}

fn list(ids: &[ReplicaId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(", "))
}

/// A time as files spell it, in whole microseconds.
pub(crate) fn time(span: Duration) -> String {
    let micros = span.as_micros();
    if micros.is_multiple_of(1_000_000) {
        return (micros / 1_000_000).to_string();
    }
    if micros.is_multiple_of(1_000) {
        return format!("\"{}ms\"", micros / 1_000);
    }
    format!("\"{micros}us\"")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
