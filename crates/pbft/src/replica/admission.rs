//! HELLO: being let in after a start. A replica whose disk was emptied, or rolled back to before
//! its last start, cannot see that by itself; its peers can, because they durably remember its
//! starts and it does not know them [RJ1].

use super::peer_starts::{Heard, PeerStarts};
use super::rejoin::Amnesia;
use super::{Replica, Step};
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{
    Answer, BootId, Hello, HelloReply, Introduction, Message, Question, Remembered,
    STARTS_OF_OTHERS_MAX, STARTS_TOLD_MAX, Start, StartId,
};
use crate::record::Record;
use crate::wire::WIRE_VERSION;
use crate::{Incarnation, Position, ReplicaId, Signed, View};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

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
    /// Starts of this disk that each peer has told, where it had no room for the present one.
    told: BTreeMap<ReplicaId, Vec<StartId>>,
    /// Set while this replica knows that it lost its memory, and until it has rejoined.
    pub(super) amnesia: Option<Amnesia>,
    /// What this replica remembers of its peers.
    pub(super) peers: BTreeMap<ReplicaId, PeerStarts>,
}

/// How many starts of its own a replica remembers. One that was started more often is let in by
/// peers that remember an older one.
const OWN_STARTS_MAX: usize = 1 << 16;

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            admitted: false,
            booted_at: Position::ZERO,
            own_starts: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            accused: BTreeMap::new(),
            told: BTreeMap::new(),
            amnesia: None,
            peers: BTreeMap::new(),
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

    /// The starts that this replica names to a peer as known: those that it was told by that, and
    /// its last ones.
    fn known_to_say(&self, peer: ReplicaId) -> Vec<StartId> {
        let told = self.told.get(&peer).into_iter().flatten().copied();
        let own = self.own_starts.iter().rev().skip(1).take(STARTS_TOLD_MAX);
        let own = own.map(|(counter, boot_id)| StartId { counter: *counter, boot_id: *boot_id });
        told.chain(own).collect()
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
        let question = if self.admission.asks_for_views() {
            Question::View(self.boot.id)
        } else {
            Question::Admission(Introduction {
                start: self.own_start(),
                knows: self.admission.known_to_say(peer),
                takes_over: self.admission.amnesia.is_some(),
            })
        };
        let versions = (WIRE_VERSION, WIRE_VERSION);
        let hello = Hello { config: self.config.digest, versions, key_epoch: 0, question };
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

    fn own_start(&self) -> Signed<Start> {
        let id = StartId { counter: self.boot.counter, boot_id: self.boot.id };
        let body = Start { incarnation: self.incarnation(), id };
        Signed::sign(&self.config.domain, &self.key, self.id, body)
    }

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
        match &hello.question {
            Question::View(boot_id) => {
                let answer = Answer::View(self.view);
                let reply = HelloReply { boot_id: *boot_id, answer };
                step.send(from, Message::HelloReply(reply), Position::ZERO);
                Ok(())
            }
            Question::Admission(introduction) => self.on_introduction(step, from, introduction),
        }
    }

    /// Remembers the peer's start, durably, before saying what is known of its others. Whoever lost
    /// its own memory knows of nothing that keeps a peer out, and says nothing before it has taken
    /// over what others remember.
    fn on_introduction(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        introduction: &Introduction,
    ) -> Result<(), Reject> {
        if self.admission.amnesia.is_some() {
            return Err(Reject::Starting);
        }
        let Start { incarnation, id } = introduction.start.body;
        let others =
            if introduction.takes_over { self.starts_of_others(from)? } else { Vec::new() };
        let replaced_by = self.rejoins.of(from).filter(|last| incarnation < last.incarnation);
        let (seen, after) = match replaced_by {
            // The memory it starts with was given up when another one rejoined.
            Some(last) => (alloc::vec![last.start], Position::ZERO),
            None => self.remember_start(step, from, introduction)?,
        };
        let answer = Answer::Starts(Remembered { incarnation, seen, others });
        let reply = HelloReply { boot_id: id.boot_id, answer };
        step.send(from, Message::HelloReply(reply), after);
        Ok(())
    }

    /// What is remembered of the peer's other starts, and from which position on it may be told.
    fn remember_start(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        introduction: &Introduction,
    ) -> Result<(Vec<StartId>, Position), Reject> {
        let now = step.now.monotonic;
        let nothing = || PeerStarts::new(Vec::new(), now);
        let known = self.admission.peers.entry(from).or_insert_with(nothing);
        let heard = known.hear(introduction, now)?;
        let (seen, record) = (known.others_than(&introduction.start.body), known.record(from));
        let after = match heard {
            Heard::Noted => self.persist(step, record),
            Heard::Known => self.position,
            Heard::Refused => Position::ZERO,
        };
        Ok((seen, after))
    }

    /// Every start that is remembered of any replica but `asker`, this one's own included.
    fn starts_of_others(&self, asker: ReplicaId) -> Result<Vec<Signed<Start>>, Reject> {
        let peers = self.admission.peers.iter().filter(|(peer, _)| **peer != asker);
        let of_peers = peers.flat_map(|(_, known)| known.all().iter().copied());
        let all: Vec<_> = of_peers.chain([self.own_start()]).collect();
        if all.len() > STARTS_OF_OTHERS_MAX { Err(Reject::OverLimit) } else { Ok(all) }
    }

    /// Another peer remembers these starts; durable before the first vote.
    fn take_over(&mut self, step: &mut Step<'_>, others: &[Signed<Start>]) {
        let now = step.now.monotonic;
        let mut changed = BTreeSet::new();
        for start in others.iter().filter(|start| start.signer != self.id) {
            let nothing = || PeerStarts::new(Vec::new(), now);
            let known = self.admission.peers.entry(start.signer).or_insert_with(nothing);
            if known.learn(start) {
                changed.insert(start.signer);
            }
        }
        for peer in changed {
            if let Some(record) = self.admission.peers.get(&peer).map(|known| known.record(peer)) {
                self.persist(step, record);
            }
        }
    }

    /// The peer sent STATUS. That it takes part is said by the start in which it was let in: STATUS
    /// may come before HELLO, or be of an earlier start.
    pub(super) fn note_part(
        &mut self,
        step: &mut Step<'_>,
        peer: ReplicaId,
        admitted: Option<BootId>,
    ) {
        let known = self.admission.peers.get_mut(&peer);
        if let (Some(known), Some(admitted)) = (known, admitted)
            && known.note_admitted(admitted)
        {
            let record = known.record(peer);
            self.persist(step, record);
        }
    }

    pub(super) fn on_hello_reply(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        reply: HelloReply,
    ) -> Result<(), Reject> {
        if reply.boot_id != self.boot.id || !self.admission.awaits(from) {
            return Err(Reject::Stale);
        }
        match reply.answer {
            Answer::View(view) => self.on_view_told(step, from, view),
            Answer::Starts(remembered) => self.on_starts_told(step, from, &remembered),
        }
    }

    fn on_view_told(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        view: View,
    ) -> Result<(), Reject> {
        match &mut self.admission.amnesia {
            Some(amnesia) if amnesia.returns_as.is_none() => amnesia.note_view(from, view),
            _ => return Err(Reject::Stale),
        }
        self.send_rejoin(step);
        Ok(())
    }

    /// A weak quorum that remembers a start of which this disk knows nothing makes this replica an
    /// amnesiac; enough peers that do not let it in. With at most f liars among them, neither
    /// happens by the word of liars alone. Where a few remember one and too few are left to let it
    /// in, it waits, and says who remembers: were it to stop, liars could stop it while correct
    /// peers are away.
    fn on_starts_told(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        remembered: &Remembered,
    ) -> Result<(), Reject> {
        let Remembered { incarnation, seen, others } = remembered;
        if *incarnation != self.incarnation() || self.admission.asks_for_views() {
            return Err(Reject::Stale);
        }
        if self.admission.amnesia.is_some() {
            self.take_over(step, others);
        }
        let unknown = seen.iter().filter(|start| !self.admission.is_own(start));
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
        if seen.len() >= STARTS_TOLD_MAX {
            // It has no room for this start before it is told which of those this disk knows.
            self.admission.told.insert(from, seen.clone());
            return Ok(());
        }
        self.admission.told.remove(&from);
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
