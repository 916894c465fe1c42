//! What each suite measures.

use super::ablation::{self, Switches, Without};
use super::faults::Fault;
use super::kv::{Call, KvLoad};
use super::load::Load;
use super::report::Against;
use super::state;
use super::work::{Asked, Work};
use crate::args::bench::{Bench, Suite};
use quorate_adversary::{Behaviour, Phase, ReplyLie};
use quorate_node::cluster::Durability;

/// One row before it is measured.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// What goals and other rows find it by.
    pub(super) key: String,
    pub(super) workload: String,
    pub(super) clients: u32,
    pub(super) target: Target,
    pub(super) load: AnyLoad,
    pub(super) against: Against,
    pub(super) unreplicated: Option<Unreplicated>,
    /// What goes wrong meanwhile.
    pub(super) fault: Option<Fault>,
}

/// Beside what a point is shown: the same of one replica alone, which the papers call unreplicated.
#[derive(Clone, Debug)]
pub(super) struct Unreplicated {
    /// The key of that row.
    pub(super) key: String,
    /// What the papers measured as this ratio, by where it stands.
    pub(super) papers: &'static [(&'static str, f64)],
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// So many replicas of the service that does nothing, by their own client.
    Replicas(u32, Durability),
    /// Durable replicas of the service that does nothing, without one of the optimizations.
    Ablated(Option<Without>),
    /// Replicas of the store through a gateway. They sync before they promise anything.
    Gateway,
    /// Three members of etcd on the same disk.
    Etcd,
}

/// n, unless a suite says otherwise.
pub(super) const REPLICAS: u32 = 4;

impl Target {
    /// Replicas that keep nothing on disk.
    const MEMORY: Self = Self::Replicas(REPLICAS, Durability::Memory);
    /// Replicas that sync before they promise anything.
    const DURABLE: Self = Self::Replicas(REPLICAS, Durability::Sync);
    /// One replica alone: the same service, links, signatures and durability, and nobody to agree
    /// with.
    const ALONE: Self = Self::Replicas(1, Durability::Memory);

    /// What an acknowledgement of it means, in a word.
    pub(super) fn durability(self) -> String {
        let durability = match self {
            Self::Replicas(_, durability) => durability,
            Self::Ablated(_) | Self::Gateway | Self::Etcd => Durability::Sync,
        };
        durability.to_string()
    }

    /// How many connections each of its clients has.
    pub(super) fn links(self) -> u32 {
        match self {
            Self::Replicas(count, _) => count,
            Self::Ablated(_) => REPLICAS,
            Self::Gateway | Self::Etcd => 1,
        }
    }

    /// What it, and whoever asks it, is told to do or not to do.
    pub(super) fn switches(self) -> Switches {
        match self {
            Self::Ablated(without) => Switches::without(without),
            Self::Replicas(..) | Self::Gateway | Self::Etcd => Switches::default(),
        }
    }
}

/// How it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyLoad {
    /// In Quorate's own protocol.
    Own(Load),
    /// In etcd's.
    Kv(KvLoad),
}

/// How many operations are under way in all where it is asked what a disk or a size costs.
const MANY: u32 = 512;
/// The clients of the goals, as in the field's tables.
const CLIENTS: u32 = 64;

/// The points of a suite, in the order of its table.
pub(super) fn points(suite: Suite, args: &Bench) -> Vec<Point> {
    let mut points = all_points(suite, args);
    // What a store with many keys costs is measured as a whole.
    if let Some(text) = &args.only
        && suite != Suite::State
    {
        points.retain(|point| point.workload.contains(text));
    }
    points
}

fn all_points(suite: Suite, args: &Bench) -> Vec<Point> {
    let load = Load { in_flight: 1, work: Work::EMPTY, span: args.span };
    match suite {
        Suite::Micro => micro(load),
        Suite::Throughput => throughput(load, args.clients_max),
        Suite::Kv => kv(args),
        Suite::Scale => scale(load),
        Suite::Faults => faults(load),
        Suite::Ablation => ablation::points(args.span),
        Suite::State => state::points(args, (CLIENTS, MANY / CLIENTS)),
    }
}

/// The operations of the papers' micro-benchmarks, and how many times the latency of an
/// unreplicated server they took there: in OSDI '99, table 1, and in TOCS 2002, figures 9 and 10.
const OPERATIONS: [Micro; 6] = [
    micro_operation(
        "0/0 read-write",
        (0, 0),
        Asked::Ordered,
        &[("osdi99", 4.09), ("tocs02", 4.08)],
    ),
    micro_operation(
        "4/0 read-write",
        (4, 0),
        Asked::Ordered,
        &[("osdi99", 3.07), ("tocs02", 1.66)],
    ),
    micro_operation(
        "0/4 read-write",
        (0, 4),
        Asked::Ordered,
        &[("osdi99", 1.72), ("tocs02", 1.60)],
    ),
    micro_operation("0/0 read-only", (0, 0), Asked::Read, &[("osdi99", 1.98), ("tocs02", 1.95)]),
    micro_operation("4/0 read-only", (4, 0), Asked::Read, &[("osdi99", 1.51), ("tocs02", 1.29)]),
    micro_operation("0/4 read-only", (0, 4), Asked::Read, &[("osdi99", 1.27), ("tocs02", 1.25)]),
];

struct Micro {
    name: &'static str,
    /// Of the argument and the result.
    kilobytes: (u32, u32),
    asked: Asked,
    papers: &'static [(&'static str, f64)],
}

const fn micro_operation(
    name: &'static str,
    kilobytes: (u32, u32),
    asked: Asked,
    papers: &'static [(&'static str, f64)],
) -> Micro {
    Micro { name, kilobytes, asked, papers }
}

fn micro(load: Load) -> Vec<Point> {
    let point = |operation: &Micro, target| {
        let Micro { name, kilobytes: (argument, result), asked, papers } = *operation;
        let (argument, result) = (argument as usize * 1024, result * 1024);
        let work = Work::Nothing { argument, result, asked };
        let load = AnyLoad::Own(Load { work, ..load });
        let (workload, unreplicated) = if target == Target::ALONE {
            (alone(name), None)
        } else {
            (name.to_owned(), Some(Unreplicated { key: alone(name), papers }))
        };
        let (key, against) = (workload.clone(), Against::L);
        Point { key, workload, clients: 1, target, load, against, unreplicated, fault: None }
    };
    let of = |target| OPERATIONS.iter().map(move |operation| point(operation, target));
    of(Target::ALONE).chain(of(Target::MEMORY)).collect()
}

/// What a row is called where one replica alone was asked.
fn alone(workload: &str) -> String {
    format!("{workload}, unreplicated")
}

fn throughput(load: Load, clients_max: u32) -> Vec<Point> {
    let point = |key: &str, workload: &str, clients, target, load| Point {
        key: key.to_owned(),
        workload: workload.to_owned(),
        clients,
        target,
        load: AnyLoad::Own(load),
        against: Against::E,
        unreplicated: None,
        fault: None,
    };
    // TOCS 2002, figure 11: at 200 clients, and at the most that there was.
    let of_alone = |key, papers, point| Point {
        unreplicated: Some(Unreplicated { key: alone(key), papers }),
        ..point
    };
    let many = Load { in_flight: MANY / CLIENTS, ..load };
    let work = |argument, result| Work::Nothing { argument, result, asked: Asked::Ordered };
    let arguments = Load { work: work(4096, 0), ..many };
    let results = Load { work: work(0, 4096), ..many };
    let coalesced = Load { in_flight: CLIENTS, ..load };
    let (empty, long_results) = ("0/0, 8 in flight each", "0/4, 8 in flight each");
    let mut points = vec![
        point("coalesced", "0/0, 64 in flight", 1, Target::MEMORY, coalesced),
        point(&alone("many"), &alone(empty), CLIENTS, Target::ALONE, many),
        point(&alone("many results"), &alone(long_results), CLIENTS, Target::ALONE, results),
        of_alone("many", &[("tocs02", 0.54)], point("many", empty, CLIENTS, Target::MEMORY, many)),
        point("many durable", empty, CLIENTS, Target::DURABLE, many),
        point("many arguments", "4/0, 8 in flight each", CLIENTS, Target::MEMORY, arguments),
        of_alone(
            "many results",
            &[("tocs02", 2.2)],
            point("many results", long_results, CLIENTS, Target::MEMORY, results),
        ),
    ];
    let counts = (0..).map(|power| 1 << power).take_while(|clients| *clients <= clients_max);
    points.extend(counts.map(|clients: u32| {
        let key = if clients == CLIENTS { "headline" } else { "curve" };
        point(key, "0/0, 1 in flight each", clients, Target::MEMORY, load)
    }));
    points
}

fn scale(load: Load) -> Vec<Point> {
    let many = Load { in_flight: MANY / CLIENTS, ..load };
    let point = |count| Point {
        key: format!("scale {count}"),
        workload: format!("0/0, 8 in flight each, n = {count}"),
        clients: CLIENTS,
        target: Target::Replicas(count, Durability::Memory),
        load: AnyLoad::Own(many),
        against: Against::E,
        unreplicated: None,
        fault: None,
    };
    [4, 7, 10, 13].map(point).into()
}

/// The faults that are measured beside the same load without one.
const FAULTS: [(&str, Fault); 5] = [
    ("f backups silent", Fault::Backups(Behaviour::NonResponding)),
    (
        "f backups vote for what nobody proposed",
        Fault::Backups(Behaviour::FaultyNode { phase: Phase::Commit }),
    ),
    (
        "f backups give wrong results",
        Fault::Backups(Behaviour::FaultyReplies { lie: ReplyLie::Changed }),
    ),
    ("primary at 90 % of the time-out", Fault::Primary(Behaviour::SlowPrimary { percent: 90 })),
    ("one client more floods", Fault::Flood),
];

fn faults(load: Load) -> Vec<Point> {
    let many = Load { in_flight: MANY / CLIENTS, ..load };
    let point = |name: &str, target, fault, against| Point {
        key: name.to_owned(),
        workload: format!("0/0, 8 in flight each, {name}"),
        clients: CLIENTS,
        target,
        load: AnyLoad::Own(many),
        against,
        unreplicated: None,
        fault,
    };
    let mut points = vec![point(FAULT_FREE, Target::MEMORY, None, Against::E)];
    points.extend(FAULTS.map(|(name, fault)| {
        point(name, Target::MEMORY, Some(fault), Against::Row(FAULT_FREE.to_owned()))
    }));
    points.push(point("primary killed", Target::DURABLE, Some(Fault::KilledPrimary), Against::E));
    points.push(Point {
        workload: "0/0, then an idle view change".to_owned(),
        clients: 1,
        load: AnyLoad::Own(load),
        ..point("idle", Target::MEMORY, Some(Fault::IdleViewChange), Against::L)
    });
    points
}

/// Beside what faults are shown.
const FAULT_FREE: &str = "fault-free";

fn kv(args: &Bench) -> Vec<Point> {
    let mut points = Vec::new();
    for (call, name) in [(Call::Put, "put"), (Call::Get, "get")] {
        for clients in [1, CLIENTS] {
            for target in [Target::Gateway, Target::Etcd] {
                let (who, key) = match target {
                    Target::Etcd => ("etcd", format!("etcd {name} {clients}")),
                    _ => ("through a gateway", format!("{name} {clients}")),
                };
                let load = AnyLoad::Kv(KvLoad { call, span: args.span });
                let against = if clients == 1 { Against::L } else { Against::E };
                let workload = format!("{name}, {who}");
                points.push(Point {
                    key,
                    workload,
                    clients,
                    target,
                    load,
                    against,
                    unreplicated: None,
                    fault: None,
                });
            }
        }
    }
    points
}
