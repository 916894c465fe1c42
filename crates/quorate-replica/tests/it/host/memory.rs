//! What a replica holds in memory of its promises is what a restart would find on its disk: at any
//! moment, whatever happened before.

use super::cluster::Cluster;
use pbft::message::PrePrepare;
use pbft::{Record, Replica, SeqNum};
use quorate_replica::Crash;
use std::collections::BTreeMap;

/// The promises in what a replica would restate.
#[derive(Debug, PartialEq)]
struct Promises {
    prepared: BTreeMap<SeqNum, PrePrepare>,
    pre_prepared: BTreeMap<SeqNum, PrePrepare>,
    /// The views left and entered.
    views: Vec<String>,
}

impl Promises {
    /// Those for numbers above a low water mark.
    fn of(core: &Replica, low: SeqNum) -> Self {
        let (mut prepared, mut pre_prepared) = (BTreeMap::new(), BTreeMap::new());
        let mut views = Vec::new();
        for record in core.durable_records() {
            match record {
                Record::Prepared(entry) if entry.seq > low => {
                    prepared.insert(entry.seq, entry);
                }
                Record::PrePrepared { entry, .. } if entry.seq > low => {
                    pre_prepared.insert(entry.seq, entry);
                }
                Record::ViewChange(signed) => {
                    views.push(format!("VIEW-CHANGE {}", signed.body.new_view));
                }
                Record::NewView(proof) => {
                    views.push(format!("NEW-VIEW {}", proof.new_view.body.view));
                }
                _ => {}
            }
        }
        views.sort();
        Self { prepared, pre_prepared, views }
    }
}

/// A restart on what is on the disk now finds every promise again.
fn assert_nothing_forgotten(cluster: &mut Cluster, id: u32, story: &str) {
    cluster.flush_journal(id);
    if !cluster.is_up(id) {
        return;
    }
    let restarted = cluster.as_after_a_restart(id);
    let low = restarted.core().status().stable_checkpoint.0;
    let (live, found) = (cluster.host(id).core(), restarted.core());
    assert_eq!(Promises::of(live, low), Promises::of(found, low), "{story}");
}

/// [RS1] Crashes, slow journals, a view change and a state transfer later.
#[test]
fn restart_finds_every_promise_whatever_happened_before() {
    for (id, turns, seed) in [0_u32, 1, 3]
        .iter()
        .flat_map(|id| (1..=4).flat_map(move |t| (0..5).map(move |s| (*id, t * t, s))))
    {
        let mut cluster = Cluster::new();
        cluster.delay_journal(id, turns);
        cluster.start_all();
        let mut moment = 0;
        let mut look = |cluster: &mut Cluster| {
            moment += 1;
            let story =
                format!("replica {id}, journal every {turns}, seed {seed}, moment {moment}");
            if (moment + seed) % 5 == 0 && cluster.is_up(id) {
                cluster.kill(id);
                let crash =
                    if seed % 2 == 0 { Crash::PowerLosingAll } else { Crash::PowerKeepingAll };
                let disk = cluster.disk(id).restart(crash);
                cluster.set_disk(id, disk);
                cluster.start(id);
            } else {
                assert_nothing_forgotten(cluster, id, &story);
            }
        };
        for isolated in [None, Some(0), Some(1)] {
            if let Some(isolated) = isolated {
                cluster.cut(isolated);
            }
            for round in 0..4 {
                let timestamp = cluster.submit_operation();
                (0..2 * round).for_each(|_| cluster.advance());
                look(&mut cluster);
                cluster.await_outcome(timestamp);
                look(&mut cluster);
            }
            if let Some(isolated) = isolated {
                cluster.heal(isolated);
            }
        }
        cluster.settle();
        assert!(cluster.halts.is_empty() && cluster.evidence.is_empty(), "replica {id}");
    }
}

/// [VC3] The snapshot of a fetched state is durable, the record that says so is not, and power
/// fails. What a NEW-VIEW chooses after that is in Q also after the next restart.
#[test]
fn votes_after_a_fetch_that_the_journal_missed_are_remembered() {
    let mut cluster = Cluster::new();
    cluster.start_all();
    cluster.operate();
    cluster.settle();
    cluster.cut(3);
    (0..14).for_each(|_| drop(cluster.operate()));
    let before = cluster.last_executed(3);
    cluster.delay_journal(3, u64::MAX);
    cluster.heal(3);
    while cluster.last_executed(3) <= before {
        cluster.advance();
    }
    cluster.kill(3);
    let disk = cluster.disk(3).restart(Crash::PowerLosingAll);
    cluster.set_disk(3, disk);
    cluster.delay_journal(3, 1);
    cluster.start(3);
    while !cluster.status(3).admitted {
        cluster.advance();
    }
    cluster.operate();
    cluster.cut(0);
    let timestamp = cluster.submit_operation();
    for step in 1_u32.. {
        if cluster.agreed_outcomes().contains_key(&timestamp) {
            break;
        }
        cluster.advance();
        if step % 50 == 0 {
            cluster.transmit(timestamp, &[0, 1, 2, 3]);
        }
        assert!(step < 100_000, "the view change ends");
        assert_nothing_forgotten(&mut cluster, 3, "after the fetch");
    }
}
