//! A primary that could be faster is replaced, and one that could not be is not.

use crate::cluster::{Cluster, Envelope, config_with, seq, view};
use crate::normal_case::batch_of;
use pbft::message::{Kind, PrePrepare};
use pbft::{Event, Message, Parameters, SignedRequest, Time, ViewChangeCause};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(1);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Replicas whose messages take time, and clients that ask again once they are answered.
struct World {
    cluster: Cluster,
    under_way: Vec<(Time, Envelope)>,
    /// How many requests each client has outstanding.
    outstanding: u64,
    /// To whom clients send.
    receivers: Range<u32>,
    /// How long a client waits before it asks again.
    think: Duration,
    /// By how much longer the second client waits than the first, and so on.
    stagger: Duration,
    /// The last request of each client, and when it may send the next.
    asked: [u64; 4],
    answered: [u64; 4],
    next_at: [Time; 4],
}

impl World {
    fn new(outstanding: u64) -> Self {
        Self::with(
            Parameters { view_change_timeout: TIMEOUT, ..Parameters::default() },
            outstanding,
        )
    }

    fn with(parameters: Parameters, outstanding: u64) -> Self {
        let cluster = Cluster::with_config(config_with(4, parameters));
        let now = cluster.now;
        Self {
            cluster,
            under_way: Vec::new(),
            outstanding,
            receivers: 0..4,
            think: Duration::ZERO,
            stagger: Duration::ZERO,
            asked: [0; 4],
            answered: [0; 4],
            next_at: [now; 4],
        }
    }

    /// Lets time pass; each message takes as long as `delay` says.
    fn run(&mut self, span: Duration, delay: impl Fn(&Envelope) -> Duration) {
        let end = self.cluster.now.after(span);
        while self.cluster.now < end {
            self.cluster.advance(ms(1));
            self.ask();
            loop {
                let now = self.cluster.now;
                let sent = self.cluster.take(|_| true);
                self.under_way.extend(sent.into_iter().map(|e| (now.after(delay(&e)), e)));
                let all = std::mem::take(&mut self.under_way);
                let (due, later): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(|(at, _)| *at <= now);
                self.under_way = later;
                if due.is_empty() {
                    break;
                }
                due.iter().for_each(|(_, envelope)| self.cluster.deliver(envelope));
            }
        }
    }

    /// Runs until this many requests of each client are answered; fails after a while.
    fn serve(&mut self, count: u64, delay: impl Fn(&Envelope) -> Duration) -> Duration {
        let begin = self.cluster.now;
        while self.answered.iter().any(|answered| *answered < count) {
            self.run(ms(1), &delay);
            assert!(
                self.cluster.now.since(begin) < Duration::from_secs(200),
                "{:?}",
                self.answered
            );
        }
        self.cluster.now.since(begin)
    }

    fn ask(&mut self) {
        for client in 0..4_u32 {
            let of = client as usize;
            let before = self.answered[of];
            while self.answered[of] < self.asked[of]
                && self.cluster.answered(client, self.answered[of] + 1, "a").len() > 1
            {
                self.answered[of] += 1;
            }
            if self.answered[of] > before {
                self.next_at[of] = self.cluster.now.after(self.think + self.stagger * client);
            }
            let may_ask = self.next_at[of] <= self.cluster.now;
            while may_ask && self.asked[of] < (self.answered[of] + self.outstanding).min(64) {
                self.asked[of] += 1;
                let request = self.cluster.operation(client, self.asked[of], "a");
                for replica in self.receivers.clone() {
                    self.cluster.send_request_to(replica, Arc::clone(&request));
                }
            }
        }
    }

    fn left(&self) -> Vec<(u32, u64, ViewChangeCause)> {
        let left = |(replica, event): &(u32, Event)| match event {
            Event::ViewChangeStarted { view, cause } => Some((*replica, view.get(), *cause)),
            _ => None,
        };
        self.cluster.events.iter().filter_map(left).collect()
    }

    fn assert_nobody_left(&self) {
        assert_eq!(self.left(), []);
    }
}

/// Every message takes so long, and PRE-PREPAREs of view 0 this much longer.
fn slow_in_view_0(each: Duration, more: Duration) -> impl Fn(&Envelope) -> Duration {
    move |envelope| match &*envelope.message {
        Message::PrePrepare(signed, _) if signed.body.view == view(0) => each + more,
        _ => each,
    }
}

/// [SP1] At nine tenths of the timeout, the second batch is the last one.
#[test]
fn primary_that_is_as_slow_as_the_timeout_lets_it_be_is_replaced() {
    let mut world = World::new(1);
    let took = world.serve(60, slow_in_view_0(ms(1), TIMEOUT * 9 / 10));
    assert!(took < ms(3000), "{took:?}");
    let left = world.left();
    assert!(left.iter().any(|left| left.2 == ViewChangeCause::SlowPrimary), "{left:?}");
    assert!(left.iter().all(|left| left.1 == 1), "{left:?}");
}

/// [SP1] At a fifth of it some batches pass, but the timeout is what all of them together may lose.
#[test]
fn primary_that_is_much_faster_than_the_timeout_and_still_slow_is_replaced() {
    for percent in [20, 10] {
        let mut world = World::new(1);
        let took = world.serve(60, slow_in_view_0(ms(1), TIMEOUT * percent / 100));
        assert!(took < ms(3500), "{percent} %: {took:?}");
        assert_eq!(world.cluster.views(&[0, 1, 2, 3]), [(1, true); 4]);
    }
}

/// [SP1] It is a switch.
#[test]
fn slow_primary_stays_where_no_floor_is_asked_for() {
    let parameters = Parameters { throughput_floor: false, ..Parameters::default() };
    let mut world = World::with(parameters, 1);
    world.serve(6, slow_in_view_0(ms(1), TIMEOUT * 9 / 10));
    world.assert_nobody_left();
}

/// [SP1] [SP2] However far the replicas are from each other, and however much is asked.
#[test]
fn correct_primary_stays_at_any_distance_and_load() {
    for latency in [0, 1, 20, 100] {
        for outstanding in [1, 16] {
            let mut world = World::new(outstanding);
            world.serve(64, |_| ms(latency));
            world.assert_nobody_left();
        }
    }
}

/// [SP2] Nothing is relayed while the primary does what it can, once it is known how long instances
/// take.
#[test]
fn nothing_is_relayed_to_a_primary_that_is_not_slow() {
    for latency in [0, 1, 20, 50] {
        let mut world = World::new(4);
        world.serve(32, |_| ms(latency));
        world.serve(64, |e| {
            assert_ne!(e.kind(), Kind::Request, "at {latency} ms");
            ms(latency)
        });
    }
}

/// [SP2] Clients that send to the backups only: what these relay is served soon, and the primary is
/// not blamed for what it did not have.
#[test]
fn primary_stays_although_clients_send_to_its_backups_only() {
    for latency in [1, 100] {
        let mut world = World::new(2);
        world.receivers = 1..4;
        let took = world.serve(64, |_| ms(latency));
        world.assert_nobody_left();
        assert!(latency > 1 || took < ms(32 * 40), "relayed early: {took:?}");
    }
}

/// [SP2] Only what was relayed counts: where clients send many requests at once to the backups only,
/// these relay them one after the other, and that takes them a while.
#[test]
fn primary_is_not_blamed_for_what_was_not_relayed_yet() {
    let parameters = Parameters { view_change_timeout: ms(200), ..Parameters::default() };
    let mut world = World::with(parameters, 16);
    world.receivers = 1..4;
    world.think = ms(100);
    world.serve(64, |_| ms(1));
    world.assert_nobody_left();
}

/// [SP3] While as many instances are in flight as may be, whatever else was asked for has to wait.
#[test]
fn primary_that_can_do_no_more_stays() {
    let parameters = Parameters { instances_in_flight_max: 1, ..Parameters::default() };
    let mut world = World::with(parameters, 4);
    world.stagger = ms(5);
    // Now and then instances take a great deal longer, all of a sudden.
    for count in [12, 24, 36, 48, 60] {
        world.serve(count, |_| ms(1));
        world.serve(count + 1, |e| if e.kind() == Kind::Commit { ms(600) } else { ms(1) });
    }
    world.assert_nobody_left();
}

/// [SP1] One backup is far from everybody: it neither slows the others down nor blames the primary.
#[test]
fn primary_stays_beside_a_slow_backup() {
    let mut world = World::new(4);
    world.serve(64, |e| if e.from == 3 || e.to == 3 { ms(150) } else { ms(1) });
    world.assert_nobody_left();
}

/// [SP3] A backup that PRE-PREPAREs do not reach learns from the others that the primary proposes.
#[test]
fn backup_in_the_dark_does_not_leave_alone() {
    let mut world = World::new(1);
    world.think = ms(100);
    let lost = Duration::from_secs(3600);
    world.serve(64, |e| {
        let (is_in_the_dark, is_of_it) = (e.to == 3 && e.from == 0, e.to == 3 || e.from == 3);
        match e.kind() {
            Kind::PrePrepare if is_in_the_dark => lost,
            Kind::PrePrepare | Kind::Repair | Kind::Status if is_of_it => ms(100),
            _ => ms(1),
        }
    });
    world.assert_nobody_left();
}

/// [SP3] A backup that lives on what the others repeat does not see that anything is proposed, but
/// knows that they execute.
#[test]
fn backup_that_trails_behind_does_not_blame_the_primary() {
    let mut world = World::new(1);
    world.think = ms(100);
    let lost = Duration::from_secs(3600);
    let is_news = |kind| matches!(kind, Kind::PrePrepare | Kind::Prepare | Kind::Commit);
    let begun = world.cluster.now;
    world.serve(64, |e| {
        let is_of_it = e.to == 3 || e.from == 3;
        if e.to == 3 && is_news(e.kind()) {
            lost
        } else if is_of_it && matches!(e.kind(), Kind::Repair | Kind::Status) {
            ms(100)
        } else {
            ms(1)
        }
    });
    assert!(world.cluster.now.since(begun) > 2 * TIMEOUT, "long enough to blame it");
    world.assert_nobody_left();
}

/// [SP3] A primary that waits for a checkpoint to become stable proposes nothing, and may.
#[test]
fn primary_that_waits_for_a_checkpoint_stays() {
    let parameters = Parameters { checkpoint_period: 4, log_window: 8, ..Parameters::default() };
    let mut world = World::with(parameters, 1);
    world.think = ms(5);
    world.serve(64, |e| if e.kind() == Kind::Checkpoint { ms(300) } else { ms(1) });
    world.assert_nobody_left();
}

/// [SP3] And one whose log is half full fills up to the next checkpoint with empty batches.
#[test]
fn primary_that_fills_up_because_its_log_is_half_full_stays() {
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 16,
        log_bytes_max: 1000,
        ..Parameters::default()
    };
    let mut world = World::with(parameters, 1);
    world.think = ms(5);
    world.serve(64, |e| if e.kind() == Kind::Checkpoint { ms(300) } else { ms(1) });
    world.assert_nobody_left();
}

/// [SP4] What happens now and then is paid off by what comes in time.
#[test]
fn primary_that_is_late_now_and_then_stays() {
    let mut world = World::new(1);
    world.think = ms(200);
    world.serve(64, |e| match &*e.message {
        Message::PrePrepare(signed, _) if signed.body.seq.get() % 24 == 0 => ms(200),
        _ => ms(1),
    });
    world.assert_nobody_left();
}

/// [SP5] Where every primary is slow views change ever more rarely.
#[test]
fn views_change_ever_more_rarely_where_every_primary_is_slow() {
    let mut world = World::new(1);
    let span = Duration::from_secs(18);
    world.run(span, |e| if e.kind() == Kind::PrePrepare { ms(300) } else { ms(1) });
    let views = world.cluster.views(&[1])[0].0;
    assert!((3..=4).contains(&views), "1, 2, 4 and 8 seconds: {views}");
    assert!(world.answered.iter().all(|answered| *answered > 40), "{:?}", world.answered);
}

/// What a test that plays the primary has its backups wait for.
fn requests(cluster: &Cluster, count: u64) -> Vec<Arc<SignedRequest>> {
    (1..=count).map(|timestamp| cluster.operation(0, timestamp, "a")).collect()
}

/// The primary, played by the test, proposes to all backups.
fn propose(cluster: &mut Cluster, number: u64, requests: Vec<Arc<SignedRequest>>) {
    let batch = batch_of(cluster, number as u8, requests);
    let body = PrePrepare { view: view(0), seq: seq(number), digest: batch.digest() };
    let message = Message::PrePrepare(cluster.sign(0, body), batch);
    (1..4).for_each(|to| cluster.inject(0, to, message.clone()));
    cluster.deliver_where(|e| e.to != 0);
}

fn left_by(cluster: &Cluster) -> Option<ViewChangeCause> {
    cluster.events.iter().find_map(|(_, event)| match event {
        Event::ViewChangeStarted { cause, .. } => Some(*cause),
        _ => None,
    })
}

/// [SP1] [SP2] A primary that always has a batch under way, with a single request while dozens
/// wait, is slow.
#[test]
fn primary_that_proposes_thin_batches_is_replaced() {
    let mut cluster = Cluster::new(4);
    let all = requests(&cluster, 64);
    for request in &all {
        cluster.send_request(Arc::clone(request));
    }
    cluster.deliver_where(|e| e.to != 0 && e.from != 0);
    cluster.crash(0);
    let first = cluster.status(1).last_executed.get() + 1;
    for (number, request) in (first..).zip(all) {
        cluster.advance(ms(30));
        propose(&mut cluster, number, vec![request]);
        if cluster.views(&[1])[0].0 > 0 {
            break;
        }
    }
    assert_eq!(left_by(&cluster), Some(ViewChangeCause::SlowPrimary));
}

/// [SP1] Nor does it help to propose everything behind a number that is left out.
#[test]
fn primary_that_leaves_out_a_number_is_slow() {
    let mut cluster = Cluster::new(4);
    cluster.crash(0);
    let mut next = cluster.status(1).last_executed.get() + 1;
    for request in requests(&cluster, 6) {
        for backup in 1..4 {
            cluster.send_request_to(backup, Arc::clone(&request));
        }
        propose(&mut cluster, next + 1, vec![request]);
        cluster.advance(TIMEOUT * 4 / 10);
        propose(&mut cluster, next, vec![]);
        next += 2;
        if cluster.views(&[1])[0].0 > 0 {
            break;
        }
    }
    assert_eq!(left_by(&cluster), Some(ViewChangeCause::SlowPrimary));
}

/// [SP3] [TM5] A backup that stood still blames nobody for the time meanwhile.
#[test]
fn backup_that_stood_still_does_not_blame_the_primary() {
    let mut world = World::new(1);
    world.serve(8, |_| ms(1));
    for timestamp in 60..64 {
        let request = world.cluster.operation(0, timestamp, "late");
        world.cluster.send_request_to(2, request);
        world.cluster.advance(ms(60));
        world.cluster.network.clear();
        world.cluster.pause(2, TIMEOUT * 9 / 10);
        world.cluster.deliver_all();
        world.cluster.run(ms(50));
    }
    world.assert_nobody_left();
}
