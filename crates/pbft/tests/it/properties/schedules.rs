//! Random schedules: messages are delivered in any order, lost and repeated, disks are slow,
//! machines crash and come back, and one replica may be a liar with its real key. Whatever
//! happens, no two correct replicas execute different batches at one number, none of them is
//! convicted or stops; and once the network heals every request is executed.

use crate::cluster::{Cluster, Envelope, seq, test_config, view, within};
use crate::normal_case::batch_of;
use pbft::message::{
    Batch, Checkpoint, CheckpointId, Committed, NewView, NewViewProof, PrePrepare, PreparedEntry,
    ViewChange, Vote,
};
use pbft::{Digest, Event, Message, ReplicaId, Sender, Signed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// SplitMix64: a number decides a schedule.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One run of a schedule.
struct Run {
    seed: u64,
    dice: Dice,
    cluster: Cluster,
    /// The replica that the schedule plays.
    liar: Option<Liar>,
    down: Vec<u32>,
    asked: u64,
}

/// What a liar has heard, to lie about.
#[derive(Default)]
struct Liar {
    id: u32,
    batches: Vec<Arc<Batch>>,
    view_changes: BTreeMap<(u64, u32), Arc<Signed<ViewChange>>>,
}

const STEPS: usize = 250;

impl Run {
    fn new(replica_count: u32, seed: u64, with_liar: bool) -> Self {
        let mut dice = Dice(seed);
        let mut config = test_config(replica_count);
        // Short, so that some fall behind what others keep.
        config.parameters.checkpoint_period = 2;
        config.parameters.log_window = 4;
        config.parameters.batch_requests_max = 2;
        let mut cluster = Cluster::with_config(config);
        let liar = with_liar.then(|| Liar {
            // Often the first primary, else any.
            id: if dice.below(2) == 0 { 0 } else { dice.below(replica_count as usize) as u32 },
            ..Liar::default()
        });
        if let Some(liar) = &liar {
            cluster.crash(liar.id);
        }
        Self { seed, dice, cluster, liar, down: Vec::new(), asked: 0 }
    }

    fn correct(&self) -> Vec<u32> {
        let liar = self.liar.as_ref().map(|liar| liar.id);
        self.cluster.ids().filter(|replica| Some(*replica) != liar).collect()
    }

    fn any_correct(&mut self) -> u32 {
        let correct = self.correct();
        correct[self.dice.below(correct.len())]
    }

    fn disturb(&mut self) {
        for _ in 0..STEPS {
            match self.dice.below(100) {
                0..=59 => self.deliver_one(),
                60..=69 => self.lose_one(),
                70..=74 => self.repeat_one(),
                75..=82 => self.pass_time(),
                83..=88 => self.ask(),
                89..=91 => self.slow_disk(),
                92..=94 => self.sync_one(),
                95..=96 => self.crash_or_start(),
                _ => self.lie(),
            }
        }
    }

    fn pick(&mut self) -> Option<Envelope> {
        let index = self.dice.below(self.cluster.network.len().min(40));
        self.cluster.network.remove(index)
    }

    fn deliver(&mut self, envelope: &Envelope) {
        match &mut self.liar {
            Some(liar) if liar.id == envelope.to => liar.hear(&envelope.message),
            _ => self.cluster.deliver(envelope),
        }
    }

    fn deliver_one(&mut self) {
        // A small burst, so that some things get done in spite of the chaos.
        for _ in 0..6 {
            if let Some(envelope) = self.pick() {
                self.deliver(&envelope);
            }
        }
    }

    fn lose_one(&mut self) {
        self.pick();
    }

    fn repeat_one(&mut self) {
        if let Some(envelope) = self.pick() {
            self.deliver(&envelope);
            self.cluster.network.push_back(envelope);
        }
    }

    fn pass_time(&mut self) {
        let millis = [1, 20, 60, 150, 500, 1100][self.dice.below(6)];
        self.cluster.advance(Duration::from_millis(millis));
        // What nobody delivers for long is lost, as in a full queue.
        while self.cluster.network.len() > 400 {
            self.cluster.network.pop_front();
        }
    }

    fn ask(&mut self) {
        self.asked += 1;
        let request = self.cluster.operation(0, self.asked, "a");
        for replica in self.correct() {
            if self.dice.below(4) > 0 {
                self.cluster.send_request_to(replica, Arc::clone(&request));
            }
        }
    }

    fn slow_disk(&mut self) {
        let replica = self.any_correct();
        self.cluster.hold_syncs(replica);
    }

    fn sync_one(&mut self) {
        let replica = self.any_correct();
        if !self.down.contains(&replica) {
            self.cluster.sync(replica);
        }
    }

    fn crash_or_start(&mut self) {
        let replica = self.any_correct();
        if let Some(index) = self.down.iter().position(|down| *down == replica) {
            self.down.remove(index);
            self.cluster.start(replica);
        } else {
            self.cluster.crash(replica);
            self.down.push(replica);
        }
    }

    fn lie(&mut self) {
        let Some(liar) = &self.liar else { return };
        let id = liar.id;
        for _ in 0..3 {
            let to = self.any_correct();
            let Some(message) = self.compose_lie(id, to) else { continue };
            let sender = Sender::Replica(ReplicaId::new(id));
            if self.cluster.config.admit(sender, message.clone()).is_ok() {
                let envelope = Envelope { from: id, to, message: Arc::new(message) };
                self.cluster.network.push_back(envelope);
            }
        }
    }

    /// Something a liar with knowledge of the protocol could say to this replica.
    fn compose_lie(&mut self, id: u32, to: u32) -> Option<Message> {
        if self.down.contains(&to) {
            return None;
        }
        let status = self.cluster.status(to);
        let low = status.stable_checkpoint.0.get();
        let n = seq(status.last_executed.get() + 1 + self.dice.below(3) as u64);
        let current = status.view.get();
        let salt = self.dice.below(2) as u8;
        let made = batch_of(&self.cluster, salt, vec![]);
        let liar = self.liar.as_mut()?;
        liar.remember(&made);
        let batch = Arc::clone(&liar.batches[self.dice.below(liar.batches.len())]);
        let digest = batch.digest();
        let vote = Vote { view: view(current), seq: n, digest };
        let entry = |v: u64| PreparedEntry { seq: n, digest, view: view(v) };
        let cluster = &self.cluster;
        Some(match self.dice.below(8) {
            0 | 1 => {
                let body = PrePrepare { view: view(current), seq: n, digest };
                Message::PrePrepare(cluster.sign(id, body), batch)
            }
            2 => Message::Prepare(vote),
            3 => Message::Commit(vote),
            4 => Message::Committed(Committed { seq: n, digest }),
            5 => {
                let root = Digest::from_bytes([salt; 32]);
                let id_there = CheckpointId { state_root: root, history_root: root };
                let at = seq((n.get() / 4 + 1) * 4);
                let body = Checkpoint { seq: at, id: id_there, replica: ReplicaId::new(id) };
                Message::Checkpoint(cluster.sign(id, body))
            }
            6 => {
                let body = ViewChange {
                    new_view: view(current + 1),
                    replica: ReplicaId::new(id),
                    low_water_mark: seq(low),
                    checkpoints: vec![status.stable_checkpoint],
                    prepared: vec![entry(current)],
                    pre_prepared: vec![entry(current)],
                };
                Message::ViewChange(Arc::new(cluster.sign(id, body)))
            }
            _ => self.lying_new_view(id, current, digest)?,
        })
    }

    /// A NEW-VIEW on real VIEW-CHANGEs, with a choice of the liar's.
    fn lying_new_view(&self, id: u32, current: u64, digest: Digest) -> Option<Message> {
        let liar = self.liar.as_ref()?;
        let of_view = liar.view_changes.range((current, 0)..(current + 1, 0));
        let quorum = self.cluster.config.quorums.quorum();
        let view_changes: Vec<_> = of_view.map(|(_, vc)| Arc::clone(vc)).take(quorum).collect();
        let checkpoint = *view_changes.first()?.body.checkpoints.first()?;
        let named = view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect();
        let body =
            NewView { view: view(current), view_changes: named, checkpoint, chosen: vec![digest] };
        let new_view = self.cluster.sign(id, body);
        Some(Message::NewView(Arc::new(NewViewProof { new_view, view_changes })))
    }

    /// The network heals, the disks are fast, every machine is up, and a client asks once more.
    fn heal(&mut self) {
        for replica in std::mem::take(&mut self.down) {
            self.cluster.start(replica);
        }
        for replica in self.correct() {
            self.cluster.release_syncs(replica);
        }
        self.asked += 1;
        for timestamp in 1..=self.asked {
            let request = self.cluster.operation(0, timestamp, "a");
            for replica in self.correct() {
                self.cluster.send_request_to(replica, Arc::clone(&request));
            }
        }
        let correct = self.correct();
        for _ in 0..60 {
            self.cluster.run_where(Duration::from_secs(1), within(&correct));
            for timestamp in 1..=self.asked {
                let request = self.cluster.operation(0, timestamp, "a");
                for replica in &correct {
                    self.cluster.send_request_to(*replica, Arc::clone(&request));
                }
            }
            if self.is_done() {
                return;
            }
        }
        let states: Vec<_> = correct.iter().map(|r| self.cluster.status(*r)).collect();
        panic!("seed {}: no progress after healing: {states:#?}", self.seed);
    }

    fn is_done(&self) -> bool {
        let correct = self.correct();
        let executed: Vec<_> =
            correct.iter().map(|replica| self.cluster.status(*replica).last_executed).collect();
        let idle =
            correct.iter().all(|replica| self.cluster.status(*replica).waiting_requests == 0);
        idle && executed.windows(2).all(|pair| pair[0] == pair[1])
    }

    fn judge(&self) {
        let seed = self.seed;
        self.cluster.assert_agreement();
        assert_eq!(self.cluster.halted, [], "seed {seed}: a correct replica stopped");
        for (_, evidence) in &self.cluster.evidence {
            let conviction = evidence.verify(&self.cluster.config).expect("evidence convicts");
            let liar = self.liar.as_ref().map(|liar| liar.id);
            assert_eq!(
                Some(conviction.replica.get()),
                liar,
                "seed {seed}: a correct one convicted"
            );
        }
        let history = self.cluster.history(self.correct()[0]);
        assert!(history.len() >= 4, "seed {seed}");
    }
}

impl Liar {
    fn hear(&mut self, message: &Message) {
        match message {
            Message::PrePrepare(_, batch) | Message::Batch(batch) => self.remember(batch),
            Message::ViewChange(signed) => {
                let key = (signed.body.new_view.get(), signed.signer.get());
                self.view_changes.insert(key, Arc::clone(signed));
            }
            _ => {}
        }
    }

    fn remember(&mut self, batch: &Arc<Batch>) {
        if !self.batches.contains(batch) {
            self.batches.push(Arc::clone(batch));
        }
        if self.batches.len() > 6 {
            self.batches.remove(0);
        }
    }
}

/// Plays the seeds, and makes sure that they got somewhere interesting: a schedule in which nothing
/// goes wrong proves nothing.
fn play(replica_count: u32, seeds: std::ops::Range<u64>, with_liar: bool) {
    let (mut view_changes, mut transfers, mut convictions) = (0, 0, 0);
    for seed in seeds {
        let mut run = Run::new(replica_count, seed, with_liar);
        run.disturb();
        run.cluster.assert_agreement();
        run.heal();
        run.judge();
        let of = |wanted: fn(&Event) -> bool| {
            run.cluster.events.iter().filter(|(_, event)| wanted(event)).count()
        };
        view_changes += of(|event| matches!(event, Event::ViewEntered { view: v } if v.get() > 0));
        transfers += of(|event| matches!(event, Event::StateTransferred { .. }));
        convictions += of(|event| matches!(event, Event::EvidenceFound { .. }));
    }
    assert!(view_changes > 20, "{view_changes} times a view was entered");
    // Three correct replicas of four make every quorum together: none of them falls far behind.
    let nobody_can_lag = replica_count == 4 && with_liar;
    assert!(transfers > 0 || nobody_can_lag, "no state was ever fetched");
    assert_eq!(convictions > 0, with_liar, "{convictions} convictions");
}

#[test]
fn four_replicas_agree_under_any_schedule_and_go_on_when_it_ends() {
    play(4, 0..60, false);
}

#[test]
fn seven_replicas_agree_under_any_schedule_and_go_on_when_it_ends() {
    play(7, 1000..1020, false);
}

#[test]
fn three_correct_replicas_of_four_agree_in_spite_of_a_liar() {
    play(4, 2000..2080, true);
}

#[test]
fn six_correct_replicas_of_seven_agree_in_spite_of_a_liar() {
    play(7, 3000..3060, true);
}
