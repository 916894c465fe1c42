//! What each suite measures.

use super::kv::{Call, KvLoad};
use super::load::{Asked, Load};
use super::report::Against;
use crate::args::bench::{Bench, Suite};
use quorate_node::cluster::Durability;

/// One row before it is measured.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// What goals find it by.
    pub(super) key: &'static str,
    pub(super) workload: String,
    pub(super) clients: u32,
    pub(super) target: Target,
    pub(super) load: AnyLoad,
    pub(super) against: Against,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// So many replicas of the service that does nothing, by their own client.
    Replicas(u32, Durability),
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

    /// What an acknowledgement of it means, in a word.
    pub(super) fn durability(self) -> String {
        let durability = match self {
            Self::Replicas(_, durability) => durability,
            Self::Gateway | Self::Etcd => Durability::Sync,
        };
        durability.to_string()
    }

    /// How many connections each of its clients has.
    pub(super) fn links(self) -> u32 {
        match self {
            Self::Replicas(count, _) => count,
            Self::Gateway | Self::Etcd => 1,
        }
    }
}

/// How it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyLoad {
    /// In Quorate's own protocol.
    Null(Load),
    /// In etcd's.
    Kv(KvLoad),
}

/// How many operations are under way in all where it is asked what a disk or a size costs.
const MANY: u32 = 512;
/// The clients of the goals, as in the field's tables.
const CLIENTS: u32 = 64;

/// The points of a suite, in the order of its table.
pub(super) fn points(suite: Suite, args: &Bench) -> Vec<Point> {
    let load =
        Load { in_flight: 1, argument: 0, result: 0, asked: Asked::Ordered, span: args.span };
    match suite {
        Suite::Micro => micro(load),
        Suite::Throughput => throughput(load, args.clients_max),
        Suite::Kv => kv(args),
        Suite::Scale => scale(load),
    }
}

fn micro(load: Load) -> Vec<Point> {
    let point = |key, size: &str, argument, result, asked| {
        let way = if asked == Asked::Ordered { "read-write" } else { "read-only" };
        Point {
            key,
            workload: format!("{size} {way}"),
            clients: 1,
            target: Target::MEMORY,
            load: AnyLoad::Null(Load { argument, result, asked, ..load }),
            against: Against::L,
        }
    };
    vec![
        point("0/0 read-write", "0/0", 0, 0, Asked::Ordered),
        point("4/0 read-write", "4/0", 4096, 0, Asked::Ordered),
        point("0/4 read-write", "0/4", 0, 4096, Asked::Ordered),
        point("0/0 read-only", "0/0", 0, 0, Asked::Read),
        point("4/0 read-only", "4/0", 4096, 0, Asked::Read),
        point("0/4 read-only", "0/4", 0, 4096, Asked::Read),
    ]
}

fn throughput(load: Load, clients_max: u32) -> Vec<Point> {
    let point = |key, workload: &str, clients, target, load| Point {
        key,
        workload: workload.to_owned(),
        clients,
        target,
        load: AnyLoad::Null(load),
        against: Against::E,
    };
    let many = Load { in_flight: MANY / CLIENTS, ..load };
    let large = Load { argument: 4096, ..many };
    let coalesced = Load { in_flight: CLIENTS, ..load };
    let mut points = vec![
        point("coalesced", "0/0, 64 in flight", 1, Target::MEMORY, coalesced),
        point("many", "0/0, 8 in flight each", CLIENTS, Target::MEMORY, many),
        point("many durable", "0/0, 8 in flight each", CLIENTS, Target::DURABLE, many),
        point("many large", "4/0, 8 in flight each", CLIENTS, Target::MEMORY, large),
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
    let point = |(count, key)| Point {
        key,
        workload: format!("0/0, 8 in flight each, n = {count}"),
        clients: CLIENTS,
        target: Target::Replicas(count, Durability::Memory),
        load: AnyLoad::Null(many),
        against: Against::E,
    };
    [(4, "scale 4"), (7, "scale 7"), (10, "scale 10"), (13, "scale 13")].map(point).into()
}

fn kv(args: &Bench) -> Vec<Point> {
    let mut points = Vec::new();
    for (call, name) in [(Call::Put, "put"), (Call::Get, "get")] {
        for clients in [1, CLIENTS] {
            for target in [Target::Gateway, Target::Etcd] {
                let key = match (target, call, clients == 1) {
                    (Target::Etcd, Call::Put, true) => "etcd put 1",
                    (Target::Etcd, Call::Put, false) => "etcd put 64",
                    (Target::Etcd, Call::Get, true) => "etcd get 1",
                    (Target::Etcd, Call::Get, false) => "etcd get 64",
                    (_, Call::Put, true) => "put 1",
                    (_, Call::Put, false) => "put 64",
                    (_, Call::Get, true) => "get 1",
                    (_, Call::Get, false) => "get 64",
                };
                let who = if target == Target::Etcd { "etcd" } else { "through a gateway" };
                let load = AnyLoad::Kv(KvLoad { call, span: args.span });
                let against = if clients == 1 { Against::L } else { Against::E };
                let workload = format!("{name}, {who}");
                points.push(Point { key, workload, clients, target, load, against });
            }
        }
    }
    points
}
