//! HELLO: being let in after a start. A replica whose disk was emptied, or rolled back to before
//! its last start, cannot see that by itself; its peers can, because they durably remember its
//! starts and it does not know them [RJ1].

use super::rejoin::Amnesia;
use super::{Replica, Step};
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{BootId, Hello, HelloReply, Message, STARTS_TOLD_MAX, StartId};
use crate::record::Record;
use crate::wire::WIRE_VERSION;
use crate::{Incarnation, Position, ReplicaId, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// Where this replica stands with its peers, and what it knows of their starts.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    admitted: bool,
    /// Where this start's own record was persisted.
    pub(super) booted_at: Position,
    /// Every start that this disk remembers, the present one included; the oldest go first.
    own_starts: BTreeMap<u64, BootId>,
    /// Peers that remember no start but those.
    confirmed: BTreeSet<ReplicaId>,
    /// Peers that remember another one, and the counter of that.
    accused: BTreeMap<ReplicaId, u64>,
    /// Set while this replica knows that it lost its memory, and until it has rejoined.
    pub(super) amnesia: Option<Amnesia>,
    /// What this replica remembers of its peers.
    pub(super) peers: BTreeMap<ReplicaId, PeerBoot>,
}

/// How many starts of its own a replica remembers. One that was started more often is let in by
/// peers that remember an older one.
const OWN_STARTS_MAX: usize = 1 << 16;

/// The latest start of a peer, and the other ones that it is told.
#[derive(Clone, Debug)]
pub(super) struct PeerBoot {
    /// In which incarnation. What is remembered of an older one is void: it has rejoined since.
    pub(super) incarnation: Incarnation,
    pub(super) start: StartId,
    /// **Invariant:** the first is the last start in which the peer was seen to take part, as long
    /// as it was not seen to take part in a later one: an emptied disk must not get in by starting
    /// again and again. It is `start` itself once the peer takes part since then. The others are
    /// those heard of since: in each it may have taken part unseen.
    pub(super) seen: Vec<StartId>,
    /// Since when starts of the peer are counted, and how many were noted since: one that claims
    /// start after start is not followed, since each costs a durable record.
    pub(super) counted: (Time, u32),
}

/// So many starts of one peer are noted in [`BOOT_COUNT_SPAN`].
const BOOT_COUNT_MAX: u32 = 16;
const BOOT_COUNT_SPAN: Duration = Duration::from_secs(60);

impl PeerBoot {
    pub(super) fn new(
        incarnation: Incarnation,
        start: StartId,
        seen: Vec<StartId>,
        counted: (Time, u32),
    ) -> Self {
        Self { incarnation, start, seen, counted }
    }

    fn highest(&self) -> u64 {
        let others = self.seen.iter().map(|start| start.counter).max().unwrap_or(0);
        self.start.counter.max(others)
    }

    /// Whether the peer was seen to take part since its latest start, hence was let in.
    fn takes_part(&self) -> bool {
        self.seen.first() == Some(&self.start)
    }

    fn is(&self, incarnation: Incarnation, start: &StartId) -> bool {
        self.incarnation == incarnation && self.start.boot_id == start.boot_id
    }

    /// Whether that start can only be a later one.
    fn precedes(&self, incarnation: Incarnation, start: &StartId) -> bool {
        let is_same = incarnation == self.incarnation;
        incarnation > self.incarnation || (is_same && start.counter > self.highest())
    }

    /// What is made durable of it.
    pub(super) fn record(&self, replica: ReplicaId) -> Record {
        let (incarnation, start, seen) = (self.incarnation, self.start, self.seen.clone());
        Record::PeerBoot { replica, incarnation, start, seen }
    }

    fn all(&self) -> Vec<StartId> {
        let others = self.seen.iter().copied().filter(|seen| *seen != self.start);
        others.chain([self.start]).collect()
    }

    /// What the peer is told at its next start.
    fn seen_by_the_next(&self) -> Vec<StartId> {
        let mut all = self.all();
        if all.len() >= STARTS_TOLD_MAX {
            // A peer that comes and goes so often without ever taking part must not fill this disk.
            all.remove(1);
        }
        all
    }
}

impl Admission {
    pub(super) fn new(peers: BTreeMap<ReplicaId, PeerBoot>) -> Self {
        Self {
            admitted: false,
            booted_at: Position::ZERO,
            own_starts: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            accused: BTreeMap::new(),
            amnesia: None,
            peers,
        }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The peers that remember a start of which this disk knows nothing, while that may be why this
    /// replica is not let in.
    pub(super) fn accusers(&self) -> Vec<ReplicaId> {
        if self.admitted { Vec::new() } else { self.accused.keys().copied().collect() }
    }

    /// Whether this replica takes in what the others say: it was let in, or it may follow them
    /// without promising anything [RJ6].
    pub(super) fn follows(&self) -> bool {
        self.admitted || self.amnesia.is_some()
    }

    /// Whether this replica asks its peers for their views, and not yet to let it in.
    fn asks_for_views(&self) -> bool {
        self.amnesia.as_ref().is_some_and(|amnesia| amnesia.returns_as.is_none())
    }

    pub(super) fn remember_own(&mut self, start: StartId) {
        self.own_starts.insert(start.counter, start.boot_id);
        if self.own_starts.len() > OWN_STARTS_MAX {
            self.own_starts.pop_first();
        }
    }

    pub(super) fn own_starts(&self) -> impl Iterator<Item = StartId> {
        self.own_starts.iter().map(|(counter, boot_id)| {
            let (counter, boot_id) = (*counter, *boot_id);
            StartId { counter, boot_id }
        })
    }

    fn is_own(&self, start: &StartId) -> bool {
        let forgotten = self.own_starts.len() == OWN_STARTS_MAX
            && self.own_starts.keys().next().is_some_and(|oldest| start.counter < *oldest);
        forgotten || self.own_starts.get(&start.counter) == Some(&start.boot_id)
    }

    /// Whether a peer still has to answer our HELLO, be it needed for letting us in or not: it is
    /// to remember this start.
    pub(super) fn awaits(&self, peer: ReplicaId) -> bool {
        if self.asks_for_views() {
            return self.amnesia.as_ref().is_some_and(|amnesia| !amnesia.knows_view_of(peer));
        }
        !self.confirmed.contains(&peer) && !self.accused.contains_key(&peer)
    }
}

impl Replica {
    /// Sends HELLO to a peer whose link came up.
    pub(super) fn introduce_to(&mut self, step: &mut Step<'_>, peer: ReplicaId) {
        if peer == self.id || peer.get() >= self.config.replica_count() {
            return;
        }
        let hello = Hello {
            config: self.config.digest,
            versions: (WIRE_VERSION, WIRE_VERSION),
            key_epoch: 0,
            boot_counter: self.boot.counter,
            boot_id: self.boot.id,
            incarnation: self.incarnation(),
            amnesiac: self.admission.asks_for_views(),
        };
        step.send(peer, Message::Hello(hello), self.admission.booted_at);
        if self.admission.is_admitted() {
            self.hasten_status(step.now.monotonic);
        }
    }

    /// The incarnation that this replica introduces itself as.
    fn incarnation(&self) -> Incarnation {
        let amnesia = self.admission.amnesia.as_ref();
        amnesia.and_then(|amnesia| amnesia.returns_as).unwrap_or(self.boot.incarnation)
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
        let start = StartId { counter: hello.boot_counter, boot_id: hello.boot_id };
        let incarnation = hello.incarnation;
        let known = self.admission.peers.get(&from);
        let replaced_by = self.rejoins.of(from).copied();
        let replaced_by = replaced_by.filter(|last| incarnation < last.incarnation);
        let (seen, after) = match (known, replaced_by) {
            // It wants no more than the view, and is not let in by this.
            _ if hello.amnesiac => (Vec::new(), Position::ZERO),
            // The memory it starts with was given up when another one rejoined.
            (_, Some(last)) => (alloc::vec![last.start], Position::ZERO),
            (Some(known), None) if known.is(incarnation, &start) => {
                (known.seen.clone(), self.position)
            }
            (Some(known), None) if !known.precedes(incarnation, &start) => {
                (known.all(), Position::ZERO)
            }
            (_, None) => {
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
                let of_incarnation = known.filter(|known| known.incarnation == incarnation);
                let seen = of_incarnation.map(PeerBoot::seen_by_the_next).unwrap_or_default();
                let noted = PeerBoot::new(incarnation, start, seen.clone(), counted);
                let record = noted.record(from);
                self.admission.peers.insert(from, noted);
                (seen, self.persist(step, record))
            }
        };
        let (boot_id, view) = (hello.boot_id, self.view);
        let reply = HelloReply { boot_id, incarnation, view, seen };
        step.send(from, Message::HelloReply(reply), after);
        Ok(())
    }

    /// The peer sent STATUS. That it takes part is said by the start in which it was let in, if it
    /// is the latest: STATUS may come before HELLO, or be of an earlier start.
    pub(super) fn note_part(
        &mut self,
        step: &mut Step<'_>,
        peer: ReplicaId,
        admitted: Option<BootId>,
    ) {
        let Some(known) = self.admission.peers.get_mut(&peer) else {
            return;
        };
        if admitted == Some(known.start.boot_id) && !known.takes_part() {
            known.seen = alloc::vec![known.start];
            let record = known.record(peer);
            self.persist(step, record);
        }
    }

    /// A weak quorum that remembers a start of which this disk knows nothing makes this replica an
    /// amnesiac; enough peers that do not let it in. With at most f liars among them, neither
    /// happens by the word of liars alone. Where a few remember one and too few are left to let it
    /// in, it waits, and says who remembers: were it to stop, liars could stop it while correct
    /// peers are away.
    pub(super) fn on_hello_reply(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        reply: &HelloReply,
    ) -> Result<(), Reject> {
        let is_answer = (reply.boot_id, reply.incarnation) == (self.boot.id, self.incarnation());
        if !is_answer || !self.admission.awaits(from) {
            return Err(Reject::Stale);
        }
        if self.admission.asks_for_views() {
            if let Some(amnesia) = &mut self.admission.amnesia {
                amnesia.note_view(from, reply.view);
            }
            self.send_rejoin(step);
            return Ok(());
        }
        let unknown = reply.seen.iter().filter(|start| !self.admission.is_own(start));
        if let Some(counter) = unknown.map(|start| start.counter).max() {
            self.admission.accused.insert(from, counter);
            step.event(Event::StartNotKnown { peer: from, seen: counter });
            let accusers = self.admission.accused.len();
            if accusers >= self.config.quorums.weak() {
                let seen = self.admission.accused.values().copied().min().unwrap_or(counter);
                self.halt(step, HaltReason::Amnesia { own: self.boot.counter, seen });
            }
            return Ok(());
        }
        self.admission.confirmed.insert(from);
        let enough = self.admission.confirmed.len() >= self.config.quorums.quorum_of_others();
        if enough && !self.admission.is_admitted() {
            self.boot.incarnation = self.incarnation();
            if self.admission.amnesia.take().is_some() {
                // A REPLY is a vote like the others, whenever its request was executed [RJ3].
                self.executed_after = self.persist(step, Record::Rejoined(self.boot.incarnation));
            }
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
        self.confirm_own_checkpoints(step);
        self.leave_for_rejoins(step);
        self.follow_weak_quorum(step);
        self.try_activate(step);
        self.consider_new_view_timer(step);
        self.try_propose(step);
    }
}
