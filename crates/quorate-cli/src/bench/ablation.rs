//! What each optimization saves: the same load with all of them, and with each of them turned off.

use super::load::Load;
use super::plan::{AnyLoad, Point, REPLICAS, Target};
use super::replicas::Replicas;
use super::report::Against;
use super::sample::Sample;
use super::work::{Asked, Work};
use anyhow::Result;
use pbft::ClientParameters;
use quorate_node::cluster::{ParametersFile, Together};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// An optimization that is turned off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Without {
    /// A batch holds one request [RQ5].
    Batches,
    /// One instance is in flight at a time.
    InstancesInFlight,
    /// Neither the primary nor clients wait for more to share a batch or a signature [PP8, CL7].
    Gathering,
    /// Each operation has a signature of its own.
    SharedSignatures,
    /// Every replica sends each result whole [DR2].
    DigestReplies,
    /// PRE-PREPAREs carry their requests whole [SR1].
    SeparateRequests,
    /// Every request goes to all replicas [CL9].
    RequestsToPrimary,
    /// Batches are executed once they are committed [TE1].
    TentativeExecution,
    /// Reads are ordered [RO1].
    OneRoundReads,
    /// Signatures are verified one by one [AU3].
    VerifyTogether,
    /// Each record has a sync of its own.
    SyncTogether,
    /// Each frame has a system call of its own.
    SendTogether,
    /// All of these.
    Everything,
}

/// Each with how it is called, and the loads at which it is shown.
const ALL: [(Without, &str, &[Loaded]); 13] = [
    (Without::Batches, "one request a batch", &[Loaded::Many]),
    (Without::InstancesInFlight, "one instance at a time", &[Loaded::Many]),
    (Without::Gathering, "nothing gathers", &[Loaded::Many, Loaded::Coalesced]),
    (Without::SharedSignatures, "one operation a signature", &[Loaded::Coalesced]),
    (Without::DigestReplies, "all results whole", &[Loaded::Results]),
    (Without::SeparateRequests, "requests inside PRE-PREPAREs", &[Loaded::Arguments]),
    (Without::RequestsToPrimary, "every request to all", &[Loaded::Many, Loaded::Coalesced]),
    (Without::TentativeExecution, "no tentative execution", &[Loaded::Many, Loaded::One]),
    (Without::OneRoundReads, "reads are ordered", &[Loaded::Reads]),
    (Without::VerifyTogether, "signatures one by one", &[Loaded::Many]),
    (Without::SyncTogether, "a sync for each record", &[Loaded::Many]),
    (Without::SendTogether, "a call for each frame", &[Loaded::Many]),
    (Without::Everything, "none of them", &Loaded::ALL),
];

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loaded {
    /// Nothing, by many clients.
    Many,
    /// Nothing, by one client with many in flight.
    Coalesced,
    /// Nothing, by one client, one at a time.
    One,
    /// For long results.
    Results,
    /// With long arguments.
    Arguments,
    /// Reads of nothing.
    Reads,
}

impl Loaded {
    const ALL: [Self; 6] =
        [Self::Many, Self::Coalesced, Self::One, Self::Results, Self::Arguments, Self::Reads];

    fn name(self) -> &'static str {
        match self {
            Self::Many => "0/0, 8 in flight each",
            Self::Coalesced => "0/0, 64 in flight",
            Self::One => "0/0, 1 in flight",
            Self::Results => "0/4, 8 in flight each",
            Self::Arguments => "4/0, 8 in flight each",
            Self::Reads => "0/0 read-only, 8 in flight each",
        }
    }

    fn clients(self) -> u32 {
        match self {
            Self::Many | Self::Results | Self::Arguments | Self::Reads => 64,
            Self::Coalesced | Self::One => 1,
        }
    }

    fn load(self, span: Duration) -> Load {
        let in_flight = match self {
            Self::Many | Self::Results | Self::Arguments | Self::Reads => 8,
            Self::Coalesced => 64,
            Self::One => 1,
        };
        let argument = if self == Self::Arguments { 4096 } else { 0 };
        let result = if self == Self::Results { 4096 } else { 0 };
        let asked = if self == Self::Reads { Asked::Read } else { Asked::Ordered };
        Load { in_flight, work: Work::Nothing { argument, result, asked }, span }
    }
}

/// What a cluster and its clients are told, so that one optimization is off, or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches {
    pub(super) parameters: ParametersFile,
    pub(super) together: Together,
    pub(super) client: ClientParameters,
}

impl Switches {
    /// Everything is on but this.
    pub(super) fn without(without: Option<Without>) -> Self {
        let mut switches = Self::default();
        if let Some(without) = without {
            switches.turn_off(without);
        }
        switches
    }

    fn turn_off(&mut self, what: Without) {
        let Self { parameters, together, client } = self;
        match what {
            Without::Batches => parameters.batch_requests_max = Some(1),
            Without::InstancesInFlight => parameters.instances_in_flight_max = Some(1),
            Without::Gathering => {
                parameters.batch_gathering_max_ms = Some(0);
                client.gathering_max = Duration::ZERO;
            }
            Without::SharedSignatures => {
                parameters.operations_per_request_max = Some(1);
                // As many operations of the client are under way as there are with it.
                client.outstanding_max = 64;
            }
            Without::DigestReplies => parameters.digest_replies = Some(false),
            Without::RequestsToPrimary => parameters.requests_to_primary = Some(false),
            Without::SeparateRequests => parameters.separate_requests = Some(false),
            Without::TentativeExecution => parameters.tentative_execution = Some(false),
            Without::OneRoundReads => parameters.one_round_reads = Some(false),
            Without::VerifyTogether => together.verify = false,
            Without::SyncTogether => together.sync = false,
            Without::SendTogether => together.send = false,
            Without::Everything => {
                let each = ALL.iter().map(|(without, ..)| *without);
                each.filter(|one| *one != Without::Everything).for_each(|one| self.turn_off(one));
            }
        }
    }

    /// Which of them are on, by name.
    pub(super) fn on(&self) -> BTreeMap<&'static str, bool> {
        let Self { parameters, together, client } = self;
        let gathers = parameters.batch_gathering_max_ms != Some(0);
        BTreeMap::from([
            ("batches", parameters.batch_requests_max != Some(1)),
            ("instances_in_flight", parameters.instances_in_flight_max != Some(1)),
            ("gathering", gathers && !client.gathering_max.is_zero()),
            ("shared_signatures", parameters.operations_per_request_max != Some(1)),
            ("digest_replies", parameters.digest_replies != Some(false)),
            ("requests_to_primary", parameters.requests_to_primary != Some(false)),
            ("separate_requests", parameters.separate_requests != Some(false)),
            ("tentative_execution", parameters.tentative_execution != Some(false)),
            ("one_round_reads", parameters.one_round_reads != Some(false)),
            ("verify_together", together.verify),
            ("sync_together", together.sync),
            ("send_together", together.send),
        ])
    }
}

/// Each load with everything on, and then without.
pub(super) fn points(span: Duration) -> Vec<Point> {
    let point = |without, name: &str, loaded: Loaded| {
        let key = format!("ablation {name} {loaded:?}");
        let against = match without {
            None => Against::E,
            Some(_) => Against::Row(format!("ablation {EVERYTHING} {loaded:?}")),
        };
        Point {
            key,
            workload: format!("{}: {name}", loaded.name()),
            clients: loaded.clients(),
            target: Target::Ablated(without),
            load: AnyLoad::Own(loaded.load(span)),
            against,
            unreplicated: None,
            fault: None,
        }
    };
    let with_all = Loaded::ALL.into_iter().map(|loaded| point(None, EVERYTHING, loaded));
    let without_one = ALL.iter().flat_map(|(without, name, loads)| {
        loads.iter().map(move |loaded| point(Some(*without), name, *loaded))
    });
    with_all.chain(without_one).collect()
}

/// How a row is called in which nothing is turned off.
const EVERYTHING: &str = "everything on";

/// What replicas count, by the name that it has in a row: each time for one operation.
const COUNTED: [(&str, &str); 5] = [
    ("frames_sent", "frames"),
    ("bytes_sent", "bytes"),
    ("writes", "writes"),
    ("signatures_checked", "signatures"),
    ("syncs", "syncs"),
];

/// Lets so many clients ask, once, and counts what all replicas together did for each operation.
pub(super) async fn sample(replicas: &Replicas, load: Load, clients: u32) -> Result<Sample> {
    let clients = replicas.clients(clients).await?;
    let counted = load.during(&clients, async {
        let before = count(replicas)?;
        sleep(load.span).await;
        let after = count(replicas)?;
        Ok(before.into_iter().zip(after).map(|(before, after)| after - before).collect::<Vec<_>>())
    });
    let (mut sample, counts) = counted.await?;
    for ((_, name), count) in COUNTED.into_iter().zip(counts) {
        sample = {
            let operations = sample.operations as f64;
            sample.and(name, count as f64 / operations)
        };
    }
    super::replicas::close(clients).await;
    Ok(sample)
}

fn count(replicas: &Replicas) -> Result<Vec<u64>> {
    let mut sums = vec![0; COUNTED.len()];
    for id in 0..REPLICAS {
        let counters = replicas.counters(id)?;
        for (sum, (counter, _)) in sums.iter_mut().zip(COUNTED) {
            *sum += counters.get(counter).copied().unwrap_or_default();
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_optimization_is_off_in_rows_of_its_own_and_everything_is_in_the_last() {
        let off = |without| {
            let on = Switches::without(without).on();
            on.into_iter().filter(|(_, on)| !on).map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(off(None), [""; 0]);
        let mut each = Vec::new();
        for (without, ..) in ALL.iter().filter(|(without, ..)| *without != Without::Everything) {
            let one = off(Some(*without));
            assert_eq!(one.len(), 1, "{without:?}: {one:?}");
            each.extend(one);
        }
        each.sort_unstable();
        assert_eq!(off(Some(Without::Everything)), each);
    }

    #[test]
    fn every_row_is_beside_one_of_the_same_load_with_everything_on() {
        let points = points(Duration::ZERO);
        let keys: Vec<&str> = points.iter().map(|point| point.key.as_str()).collect();
        for point in &points {
            if let Against::Row(base) = &point.against {
                assert!(keys.contains(&base.as_str()), "{base}");
            }
        }
    }
}
