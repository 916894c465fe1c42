//! Replicas whose disks were emptied or rolled back, and which rejoin. What each sends meanwhile is
//! judged by a checker of its own.

use super::{pass, replica};
use core::time::Duration;
use pbft::REJOIN_GAP;
use quorate_lab::rng::Seed;
use quorate_lab::world::{CrashKind, Fault, Options, Outcome, Verdict, run};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The replica loses its memory, and a little later starts without it.
fn lose(at: u64, id: u32) -> Vec<(Duration, Fault)> {
    vec![(millis(at), Fault::Lose(replica(id))), (millis(at + 100), Fault::Restart(replica(id)))]
}

/// A copy of the disk is put in its place after the replica has started again since: it is found
/// out, and then starts without its memory.
fn roll_back(at: u64, id: u32) -> Vec<(Duration, Fault)> {
    let restart = || Fault::Restart(replica(id));
    vec![
        (millis(100), Fault::Copy(replica(id))),
        (millis(150), restart()),
        (millis(at), Fault::RollBack(replica(id))),
        (millis(at + 50), restart()),
        (millis(at + 600), restart()),
    ]
}

/// Work that goes on until the end of the faults.
fn busy(replica_count: u32) -> Options {
    let mut options = Options::calm(replica_count);
    options.workload.operations = 600;
    options.workload.think_max = millis(60);
    options.heals_at = Duration::from_secs(6);
    options
}

/// Work that goes on until a replica has rejoined a second time.
fn busy_until_the_next_rejoin(timeline: Vec<(Duration, Fault)>) -> Options {
    let mut options = Options { timeline, ..busy(4) };
    options.workload.operations = 600;
    options.workload.think_max = Duration::from_secs(7);
    options.heals_at = REJOIN_GAP + Duration::from_secs(30);
    options
}

/// No work until the replica has rejoined.
fn idle(replica_count: u32) -> Options {
    let mut options = Options::calm(replica_count);
    options.workload.operations = 30;
    options.workload.begins_at = Duration::from_secs(5);
    options.heals_at = Duration::from_secs(6);
    options
}

fn assert_voted_again(outcome: &Outcome, id: u32) {
    let votes = outcome.counts.votes_since_loss.get(&replica(id)).copied();
    assert!(votes > Some(0), "it never voted: {:?}", outcome.counts);
}

/// E53, with clients that go on.
#[test]
fn emptied_or_rolled_back_replica_is_a_member_again_after_its_bound() {
    for replica_count in [4, 7] {
        for id in [0, 2] {
            for timeline in [lose(500, id), roll_back(500, id)] {
                for seed in 0..4 {
                    let options = Options { timeline: timeline.clone(), ..busy(replica_count) };
                    let outcome = pass(seed, &options);
                    assert!(outcome.counts.events.contains_key("rejoin executed"));
                    assert_voted_again(&outcome, id);
                }
            }
        }
    }
}

/// E53, with nothing else to order: then another replica stops, so that the one that has rejoined
/// is needed for whatever comes.
#[test]
fn idle_cluster_takes_a_replica_back_and_then_lives_on_its_votes() {
    for replica_count in [4, 7] {
        for id in [0, 3] {
            let mut timeline = lose(1_500, id);
            let faulty = (replica_count - 1) / 3;
            for other in (0..replica_count).filter(|other| *other != id).take(faulty as usize) {
                timeline.push((millis(4_500), Fault::Crash(replica(other), CrashKind::Power)));
            }
            let options = Options { timeline, ..idle(replica_count) };
            let outcome = pass(1, &options);
            assert!(outcome.counts.events.contains_key("rejoin executed"));
            assert_voted_again(&outcome, id);
        }
    }
}

/// E53, with a crash at every so many operations of the disk on the way back: it asks again, and
/// where the first REJOIN was executed already it waits for five minutes.
#[test]
fn crash_on_the_way_back_at_any_write_or_sync_breaks_nothing() {
    for operation in (1..=120).step_by(3) {
        let kinds = [CrashKind::Process, CrashKind::Power, CrashKind::Torn];
        let kind = kinds[operation as usize % 3];
        let mut timeline = lose(500, 2);
        timeline.insert(1, (millis(501), Fault::CrashAt(replica(2), operation, kind)));
        timeline.push((millis(2_500), Fault::Restart(replica(2))));
        let outcome = pass(operation, &busy_until_the_next_rejoin(timeline));
        assert_voted_again(&outcome, 2);
    }
}

/// E53, with the memory lost again on the way back: the second time it waits for five minutes.
#[test]
fn memory_lost_twice_is_two_rejoins() {
    for between in [30, 150, 300, 600, 1_200] {
        let timeline = [lose(500, 1), lose(620 + between, 1)].concat();
        assert_voted_again(&pass(between, &busy_until_the_next_rejoin(timeline)), 1);
    }
}

/// E53: as many as may be faulty, one after the other and together.
#[test]
fn f_replicas_lose_their_memory_together() {
    let timeline = [lose(500, 1), lose(510, 4)].concat();
    let outcome = pass(1, &Options { timeline, ..busy(7) });
    assert_voted_again(&outcome, 1);
    assert_voted_again(&outcome, 4);
}

/// E53: more amnesiacs than f stay without a vote, and the cluster stops rather than forks.
#[test]
fn more_amnesiacs_than_f_stop_the_cluster_and_never_fork_it() {
    for (replica_count, ids) in [(4, vec![0, 2]), (4, vec![1, 2, 3]), (7, vec![0, 3, 5])] {
        for seed in 0..3 {
            let timeline: Vec<_> = ids.iter().flat_map(|id| lose(500 + seed, *id)).collect();
            let mut options = Options { timeline, ..busy(replica_count) };
            options.recovery_max = Duration::from_secs(20);
            let outcome = run(Seed::new(seed), &options);
            let stopped = matches!(outcome.verdict, Verdict::NoProgress(_));
            assert!(stopped, "{}", outcome.verdict);
            let votes: u64 = outcome.counts.votes_since_loss.values().sum();
            assert_eq!(votes, 0);
        }
    }
}
