//! HELLO: being let in after a start. A replica whose disk was emptied or rolled back cannot see
//! that by itself; its peers can, because they durably remember its earlier starts [RJ1].

use super::{Boot, Replica, Step};
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{BootId, Hello, HelloReply, Message};
use crate::record::Record;
use crate::wire::WIRE_VERSION;
use crate::{Position, ReplicaId, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// Where this replica stands with its peers, and what it knows of their starts.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    admitted: bool,
    /// Where this start's own record was persisted.
    pub(super) booted_at: Position,
    /// Peers that remember no other start with a counter as high as ours.
    confirmed: BTreeSet<ReplicaId>,
    /// Peers that do, and the counter they remember.
    accused: BTreeMap<ReplicaId, u64>,
    /// What this replica remembers of its peers.
    pub(super) peers: BTreeMap<ReplicaId, PeerBoot>,
}

/// The latest start of a peer, and the highest counter of its other starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerBoot {
    pub(super) counter: u64,
    pub(super) boot_id: BootId,
    pub(super) seen: u64,
    /// Since when starts of the peer are counted, and how many were noted since: one that claims
    /// start after start is not followed, since each costs a durable record.
    pub(super) counted: (Time, u32),
}

/// So many starts of one peer are noted in [`BOOT_COUNT_SPAN`].
const BOOT_COUNT_MAX: u32 = 16;
const BOOT_COUNT_SPAN: Duration = Duration::from_secs(60);

impl Admission {
    pub(super) fn new(peers: BTreeMap<ReplicaId, PeerBoot>) -> Self {
        Self {
            admitted: false,
            booted_at: Position::ZERO,
            confirmed: BTreeSet::new(),
            accused: BTreeMap::new(),
            peers,
        }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// Whether a peer still has to answer our HELLO.
    pub(super) fn awaits(&self, peer: ReplicaId) -> bool {
        !self.admitted && !self.confirmed.contains(&peer) && !self.accused.contains_key(&peer)
    }
}

impl Replica {
    /// Sends HELLO to a peer whose link came up.
    pub(super) fn introduce_to(&mut self, step: &mut Step<'_>, peer: ReplicaId) {
        if peer == self.id || peer.get() >= self.config.replica_count() {
            return;
        }
        let Boot { counter, id, incarnation } = self.boot;
        let hello = Hello {
            config: self.config.digest,
            versions: (WIRE_VERSION, WIRE_VERSION),
            key_epoch: 0,
            boot_counter: counter,
            boot_id: id,
            incarnation,
        };
        step.send(peer, Message::Hello(hello), self.admission.booted_at);
        if self.admission.is_admitted() {
            self.hasten_status(step.now.monotonic);
        }
    }

    /// Remembers the peer's start, durably, before saying what is known of its earlier ones.
    pub(super) fn on_hello(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        hello: &Hello,
    ) -> Result<(), Reject> {
        let (lowest, highest) = hello.versions;
        if hello.config != self.config.digest || WIRE_VERSION < lowest || WIRE_VERSION > highest {
            return Err(Reject::Incompatible);
        }
        let known = self.admission.peers.get(&from).copied();
        let (seen, after) = match known {
            Some(known) if known.boot_id == hello.boot_id => (known.seen, self.position),
            Some(known) if hello.boot_counter <= known.counter.max(known.seen) => {
                (known.counter.max(known.seen), Position::ZERO)
            }
            _ => {
                let now = step.now.monotonic;
                let counted = match known.map(|known| known.counted) {
                    Some((since, count)) if now.since(since) < BOOT_COUNT_SPAN => {
                        (since, count + 1)
                    }
                    _ => (now, 1),
                };
                if counted.1 > BOOT_COUNT_MAX {
                    return Err(Reject::TooOften);
                }
                let seen = known.map_or(0, |known| known.counter.max(known.seen));
                let (counter, boot_id) = (hello.boot_counter, hello.boot_id);
                self.admission.peers.insert(from, PeerBoot { counter, boot_id, seen, counted });
                let record = Record::PeerBoot { replica: from, counter, boot_id, seen };
                (seen, self.persist(step, record))
            }
        };
        let reply = HelloReply { boot_id: hello.boot_id, seen };
        step.send(from, Message::HelloReply(reply), after);
        Ok(())
    }

    /// A weak quorum that remembers a start as late as this one makes this replica an amnesiac;
    /// enough peers that do not let it in. With at most f liars among them, neither happens by
    /// the word of liars alone.
    pub(super) fn on_hello_reply(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        reply: &HelloReply,
    ) -> Result<(), Reject> {
        if reply.boot_id != self.boot.id || !self.admission.awaits(from) {
            return Err(Reject::Stale);
        }
        if reply.seen >= self.boot.counter {
            self.admission.accused.insert(from, reply.seen);
            let accusers = self.admission.accused.len();
            if accusers >= self.config.quorums.weak() {
                let seen = self.admission.accused.values().copied().min().unwrap_or(reply.seen);
                self.halt(step, HaltReason::Amnesia { own: self.boot.counter, seen });
            }
            return Ok(());
        }
        self.admission.confirmed.insert(from);
        if self.admission.confirmed.len() >= self.config.quorums.quorum_of_others() {
            self.admission.admitted = true;
            step.event(Event::Admitted);
            self.resume(step);
        }
        Ok(())
    }

    /// Goes on where the last start left off.
    fn resume(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        self.hasten_status(now);
        self.timers.checkpoint_fill = Some(now.after(self.config.parameters.checkpoint_fill_after));
        if !self.active && self.view_changes.contains_key(&self.id) {
            self.timers.view_change_resend = Some(now);
        }
        self.try_activate(step);
        self.consider_new_view_timer(step);
        self.try_propose(step);
    }
}
