//! Starting, for the first time or again: the replica is rebuilt from its last durable snapshot
//! and the records behind it. The view is the one that was left or entered last, never one guessed
//! from P and Q [RS1].

use super::admission::Admission;
use super::past::Past;
use super::peer_starts::PeerStarts;
use super::reads::WaitingReads;
use super::rejoin::{Amnesia, RejoinQueue};
use super::rejoin_pace::RejoinPace;
use super::{AskedWhole, Boot, Outlines, Replica, RequestQueue, SlowPrimary, Step};
use crate::auth::SigningKey;
use crate::fault::HaltReason;
use crate::input::StateMirror;
use crate::message::{BootId, CheckpointId, PrePrepare, StableProof, StartId};
use crate::output::Output;
use crate::record::Record;
use crate::rejoin::Rejoins;
use crate::replica::status::Repair;
use crate::replica::timer::Timers;
use crate::{Config, Incarnation, Now, Position, ReplicaId, SeqNum, Time, View};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// What a replica's disk holds when it starts.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The state before the first batch.
    pub genesis: CheckpointId,
    /// The checkpoint of the last durable snapshot; number 0 and `genesis` if there is none.
    pub checkpoint: (SeqNum, CheckpointId),
    /// What that snapshot says.
    pub state: StateMirror,
    /// Whether this replica had a memory that is lost, so that it has to rejoin with a new one.
    /// One that has begun to do so goes on with it, whatever is said here.
    pub is_lost: bool,
    /// Every record of the journal, in order.
    pub records: Vec<Record>,
}

impl Replica {
    /// Rebuilds a replica, or makes a new one where the journal is empty. The first output makes
    /// this start durable; committed batches beyond the snapshot are executed again. Until its
    /// peers let it in, the replica votes for nothing.
    ///
    /// `boot_id` names this start; draw it at random.
    pub fn recover(
        config: Arc<Config>,
        id: ReplicaId,
        key: SigningKey,
        boot_id: BootId,
        now: Now,
        recovered: Recovered,
        outputs: &mut Vec<Output>,
    ) -> Self {
        let is_lost = recovered.is_lost;
        let mut replica = Self::at_checkpoint(config, id, key, boot_id, now, &recovered);
        for record in recovered.records {
            replica.absorb(record, now.monotonic);
        }
        replica.timers = Timers::new(now.monotonic, &replica.config.parameters);
        let settled = replica.settle(&recovered.checkpoint);
        let mut step = Step { now, outputs };
        if let Err(reason) = settled {
            replica.halt(&mut step, reason);
            return replica;
        }
        if is_lost && replica.admission.amnesia.is_none() {
            replica.persist(&mut step, Record::Amnesiac);
            replica.admission.amnesia = Some(Amnesia::default());
        }
        replica.boot.counter += 1;
        replica.boot.id = boot_id;
        let Boot { counter, id, incarnation } = replica.boot;
        let record = Record::Boot { counter, boot_id: id, incarnation };
        replica.admission.remember_own(replica.boot.start());
        replica.admission.booted_at = replica.persist(&mut step, record);
        for (replaced, _) in replica.rejoins.all() {
            replica.rejoin_pace.note(replaced, now.monotonic, true);
        }
        replica.try_execute(&mut step);
        replica
    }

    fn at_checkpoint(
        config: Arc<Config>,
        id: ReplicaId,
        key: SigningKey,
        boot_id: BootId,
        now: Now,
        recovered: &Recovered,
    ) -> Self {
        let parameters = &config.parameters;
        let timers = Timers::new(now.monotonic, parameters);
        let slow_primary = SlowPrimary::new(now.monotonic, parameters);
        let repair = Repair::new(parameters.status_answer_bytes_max);
        let (seq, _) = recovered.checkpoint;
        let state = &recovered.state;
        Self {
            config,
            id,
            key,
            position: Position::ZERO,
            boot: Boot { counter: 0, id: boot_id, incarnation: Incarnation::ZERO },
            admission: Admission::new(),
            halted: None,
            view: View::ZERO,
            active: false,
            new_view: None,
            rival_new_views: Vec::new(),
            view_changes: BTreeMap::new(),
            later_view_changes: BTreeMap::new(),
            low_water_mark: SeqNum::ZERO,
            slots: BTreeMap::new(),
            prepared: BTreeMap::new(),
            pre_prepared: BTreeMap::new(),
            batches: BTreeMap::new(),
            log_bytes: 0,
            signed_pre_prepares: BTreeMap::new(),
            early_pre_prepares: BTreeMap::new(),
            outlines: Outlines::default(),
            asked_whole: AskedWhole::default(),
            last_executed: seq,
            executing: None,
            tentative: None,
            executed_after: Position::ZERO,
            replay_until: seq,
            shown_until: seq,
            replay: BTreeMap::new(),
            stable_proof: StableProof::default(),
            own_checkpoints: BTreeMap::from([(SeqNum::ZERO, recovered.genesis)]),
            own_signed: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            proofs_ahead: BTreeMap::new(),
            past: Past::default(),
            transfer: None,
            behind_since: None,
            catching_up: false,
            last_assigned: SeqNum::ZERO,
            filling: false,
            choosing: false,
            agreed_time: state.time,
            latest_batch_time: state.time,
            requests: RequestQueue::default(),
            waiting_reads: WaitingReads::default(),
            clients: state.clients.iter().cloned().collect(),
            rejoin_queue: RejoinQueue::default(),
            rejoin_pace: RejoinPace::default(),
            rejoins: state.rejoined.iter().copied().collect::<Rejoins>(),
            timers,
            slow_primary,
            repair,
            evidence: BTreeSet::new(),
        }
    }

    /// Takes one durable fact in, in the order in which they were made durable.
    fn absorb(&mut self, record: Record, now: Time) {
        match record {
            Record::Boot { counter, boot_id, incarnation } => {
                self.boot = Boot { counter, id: boot_id, incarnation };
                self.admission.remember_own(StartId { counter, boot_id });
            }
            Record::PeerStarts { replica, starts } => {
                self.admission.peers.insert(replica, PeerStarts::new(starts, now));
            }
            Record::Amnesiac => self.admission.amnesia = Some(Amnesia::default()),
            Record::Rejoined(incarnation) => {
                self.admission.amnesia = None;
                self.boot.incarnation = incarnation;
            }
            Record::Batch(batch) => {
                self.batches.insert(batch.digest(), batch);
            }
            Record::PrePrepared { entry: PrePrepare { view, seq, digest }, signed } => {
                self.pre_prepared.insert(seq, (digest, view));
                if let Some(signed) = signed {
                    self.signed_pre_prepares.insert(seq, signed);
                }
            }
            Record::Prepared(PrePrepare { view, seq, digest }) => {
                self.prepared.insert(seq, (digest, view));
            }
            Record::Committed { seq, digest } => {
                self.replay.insert(seq, digest);
            }
            Record::Checkpoint(signed) => {
                self.own_checkpoints.insert(signed.body.seq, signed.body.id);
                self.own_signed.insert(signed.body.seq, signed);
            }
            Record::Stable { seq, id, proof } => {
                if seq >= self.low_water_mark {
                    self.low_water_mark = seq;
                    self.stable_proof = proof;
                }
                self.own_checkpoints.insert(seq, id);
            }
            Record::StateInstalled { seq, id } => {
                self.own_checkpoints.insert(seq, id);
            }
            Record::ViewChange(signed) => {
                if signed.body.new_view > self.view {
                    self.move_to_view(signed.body.new_view, now);
                }
                if signed.body.new_view == self.view {
                    self.view_changes.insert(self.id, signed);
                }
            }
            Record::NewView(proof) => {
                let view = proof.new_view.body.view;
                if view > self.view {
                    self.move_to_view(view, now);
                }
                let held = self.new_view.as_ref().map(|held| &held.new_view.body);
                match held.map(|held| (held.view.cmp(&view), *held == proof.new_view.body)) {
                    None | Some((Ordering::Less, _)) => self.hold_new_view(proof),
                    Some((Ordering::Equal, false)) => self.hold_rival(proof),
                    Some((Ordering::Equal, true) | (Ordering::Greater, _)) => {}
                }
            }
        }
    }

    /// After the last record: what lies outside the window goes, and what was committed beyond the
    /// snapshot waits to be executed again.
    ///
    /// Fails if the snapshot is not the state that this replica once had there.
    fn settle(&mut self, snapshot: &(SeqNum, CheckpointId)) -> Result<(), HaltReason> {
        let (snapshot_seq, snapshot_id) = *snapshot;
        let recorded = self.own_checkpoints.insert(snapshot_seq, snapshot_id);
        if recorded.is_some_and(|recorded| recorded != snapshot_id) {
            return Err(HaltReason::Diverged { seq: snapshot_seq });
        }
        let low = self.low_water_mark;
        self.forget_up_to(low, self.own_checkpoint(low));
        let high = self.high_water_mark();
        self.prepared.retain(|seq, _| *seq <= high);
        self.pre_prepared.retain(|seq, _| *seq <= high);
        let committed = self.replay.range(low.next()..).map(|(s, d)| (*s, *d));
        let in_log: Vec<_> = committed.take_while(|(seq, _)| *seq <= high).collect();
        for (seq, digest) in in_log {
            self.slot(seq).committed = Some(digest);
        }
        self.replay = self.replay.split_off(&snapshot_seq.next());
        self.replay_until = self.replay.keys().next_back().copied().unwrap_or(snapshot_seq);
        let last_prepared = self.prepared.keys().next_back().copied().unwrap_or_default();
        self.shown_until = self.replay_until.max(last_prepared);
        self.forget_unused_batches();
        Ok(())
    }

    /// What a new journal segment starts with: everything durable that still matters above the
    /// stable checkpoint, restated. Older segments may go once that checkpoint is a durable
    /// snapshot.
    pub fn durable_records(&self) -> Vec<Record> {
        let incarnation = self.boot.incarnation;
        let starts = self.admission.own_starts();
        let mut records: Vec<Record> = starts
            .map(|StartId { counter, boot_id }| Record::Boot { counter, boot_id, incarnation })
            .collect();
        let amnesia = self.admission.amnesia.as_ref();
        records.extend(amnesia.map(|_| Record::Amnesiac));
        let peers = self.admission.peers.iter();
        records.extend(peers.map(|(replica, peer)| peer.record(*replica)));
        let seq = self.low_water_mark;
        let id = self.own_checkpoint(seq);
        records.push(Record::Stable { seq, id, proof: Arc::clone(&self.stable_proof) });
        let held = self.new_view.iter().chain(&self.rival_new_views);
        let new_view = held.map(|proof| Record::NewView(Arc::clone(proof)));
        let own = self.view_changes.get(&self.id);
        let own = own.map(|signed| Record::ViewChange(Arc::clone(signed)));
        if self.active {
            records.extend(own.into_iter().chain(new_view));
        } else {
            records.extend(new_view.chain(own));
        }
        records.extend(self.batches.values().map(|batch| Record::Batch(Arc::clone(batch))));
        records.extend(self.pre_prepared.iter().map(|(seq, (digest, view))| {
            let entry = PrePrepare { view: *view, seq: *seq, digest: *digest };
            let signed = self.signed_pre_prepares.get(seq).filter(|s| s.body == entry).copied();
            Record::PrePrepared { entry, signed }
        }));
        records.extend(self.prepared.iter().map(|(seq, (digest, view))| {
            Record::Prepared(PrePrepare { view: *view, seq: *seq, digest: *digest })
        }));
        let marked = self.slots.range(..=self.last_executed).filter_map(|(seq, slot)| {
            slot.committed.map(|digest| Record::Committed { seq: *seq, digest })
        });
        records.extend(marked);
        let to_replay = self.replay.iter();
        records.extend(to_replay.map(|(seq, d)| Record::Committed { seq: *seq, digest: *d }));
        records.extend(self.own_signed.values().map(|signed| Record::Checkpoint(*signed)));
        records
    }
}
