//! What goes wrong in a world, and how it heals.

use super::{Fault, World};
use crate::checker::Observation;
use crate::network::NetworkOptions;
use crate::trace::{HEALED, Line};
use pbft::ReplicaId;
use quorate_adversary::Endpoint;

impl World<'_> {
    pub(super) fn on_fault(&mut self, fault: &Fault) {
        self.trace.fault(self.now);
        let at = self.now.as_micros();
        self.show(|| Line::Fault { at, what: fault.to_string() });
        match fault {
            Fault::Cut(from, to) => {
                for (from, to) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
                    if from != to {
                        self.network.cut(Endpoint::Replica(from), Endpoint::Replica(to));
                    }
                }
            }
            Fault::Drop(traffic) => self.network.lose(traffic.clone()),
            Fault::Delay(traffic, min, max) => self.network.delay(traffic.clone(), *min, *max),
            Fault::Mend => self.mend(),
            Fault::CutFromClients(replica) => {
                for client in self.clients.ids() {
                    self.network.cut(Endpoint::Client(client), Endpoint::Replica(*replica));
                    self.network.cut(Endpoint::Replica(*replica), Endpoint::Client(client));
                }
            }
            Fault::Crash(replica, kind) => self.machine(*replica).crash(*kind),
            Fault::CrashAt(replica, operation, kind) => {
                self.machine(*replica).crash_at(*operation, *kind);
            }
            Fault::Lose(replica) => {
                self.machine(*replica).lose_disk();
                self.on_loss(*replica);
            }
            Fault::LoseInTurn(replica) => {
                if self.may_one_more_fail(*replica) {
                    self.machine(*replica).lose_disk();
                    self.on_loss(*replica);
                }
            }
            Fault::Copy(replica) => self.machine(*replica).copy_disk(),
            Fault::RollBack(replica) => {
                let forgets = self.machine(*replica).roll_back();
                self.on_other_disk(*replica, forgets);
            }
            Fault::SwapDisk(replica) => {
                let forgets = self.machine(*replica).swap_disks();
                self.on_other_disk(*replica, forgets);
            }
            Fault::FailSync(replica) => self.machine(*replica).fail_next_sync(),
            Fault::FillDisk(replica) => self.machine(*replica).fill_disk(),
            Fault::Rot(replica) => self.machine(*replica).rot(),
            Fault::FlipState(replica) => self.machine(*replica).flip_state(),
            Fault::Restart(replica) => {
                if !self.machine(*replica).is_up() {
                    self.start(*replica);
                }
            }
            Fault::Pause(replica, span) => {
                let now = self.now;
                self.machine(*replica).pause(now, *span);
            }
            Fault::ClockJump { replica, forward, back } => {
                let millis = |span: &core::time::Duration| {
                    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
                };
                let by = millis(forward).saturating_sub(millis(back));
                self.machine(*replica).jump_clock(by);
            }
            Fault::Behave(replica, behaviour) => {
                let seed = self.seed.stream_of("adversary", u64::from(replica.get())).bits();
                self.machine(*replica).behave(*behaviour, seed);
            }
            Fault::Network(options) => self.network.change(options.clone()),
        }
    }

    /// Whether fewer than f others are faulty, slow, or without their memory or sooner or later
    /// without their disk.
    fn may_one_more_fail(&self, one: ReplicaId) -> bool {
        let plan = &self.options.timeline;
        let is_planned = |id| plan.iter().any(|(_, fault)| fault.spends_budget() == Some(id));
        let fails = |id: &ReplicaId| {
            let machine = &self.machines[id.get() as usize];
            *id != one && (!machine.is_timely() || machine.has_forgotten() || is_planned(*id))
        };
        self.ids().filter(fails).count() < self.options.fault_bound() as usize
    }

    fn on_other_disk(&mut self, replica: ReplicaId, forgets: bool) {
        if forgets {
            self.on_loss(replica);
        } else {
            self.machine(replica).note_memory(true);
            self.check(&Observation::Regained { at: replica });
        }
    }

    fn on_loss(&mut self, replica: ReplicaId) {
        self.machine(replica).note_memory(false);
        self.trace.lost(replica);
        self.check(&Observation::Lost { at: replica });
    }

    fn mend(&mut self) {
        self.network.treat_all_alike();
        for a in self.ids() {
            for client in self.clients.ids() {
                self.network.mend(Endpoint::Client(client), Endpoint::Replica(a));
                self.network.mend(Endpoint::Replica(a), Endpoint::Client(client));
            }
            for b in self.ids() {
                if self.network.mend(Endpoint::Replica(a), Endpoint::Replica(b)) {
                    self.link(a, b);
                }
            }
        }
    }

    /// Nothing is broken any more but the faulty replicas.
    pub(super) fn heal(&mut self) {
        self.network.change(NetworkOptions::LOCAL);
        self.interference.partitions.clear();
        self.mend();
        for id in self.ids() {
            self.machine(id).mend_disk();
            self.machine(id).resume();
            if !self.machine(id).is_up() {
                self.start(id);
            }
        }
        self.trace.healed(self.now);
        let at = self.now.as_micros();
        self.show(|| Line::Fault { at, what: HEALED.to_owned() });
    }
}
