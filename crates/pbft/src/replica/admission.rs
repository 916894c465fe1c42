//! HELLO: being let in after a start. A replica whose disk was emptied, or rolled back to before
//! its last start, cannot see that by itself; its peers can, because they durably remember its
//! starts and it does not know them [RJ1].

use super::answers::Answers;
use super::peer_starts::{Heard, PeerStarts};
use super::rejoin::{Amnesia, Told};
use super::{Replica, Step};
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{
    Answer, BootId, Hello, HelloReply, Introduction, Message, Question, Remembered, STARTS_MAX,
    Start, StartId,
};
use crate::record::Record;
use crate::wire::WIRE_VERSION;
use crate::{Incarnation, Position, ReplicaId, Signed, Time, View, WallTime};
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
    /// The peers that let this start in, as far as they have said so.
    pub(super) answers: Answers,
    /// The peers that do not, and the starts that they remember.
    named: BTreeMap<ReplicaId, Vec<StartId>>,
    /// Peers that were reported to keep this replica out, each once.
    reported: BTreeSet<ReplicaId>,
    /// What each peer has told last, in which start of its own, of the starts of others. *(While this
    /// replica rejoins.)*
    told_of_others: BTreeMap<ReplicaId, (BootId, Vec<Signed<Start>>)>,
    /// Set while this replica knows that it lost its memory, and until it has rejoined.
    pub(super) amnesia: Option<Amnesia>,
    /// What this replica remembers of its peers.
    pub(super) peers: BTreeMap<ReplicaId, PeerStarts>,
}

/// How many starts of its own a replica remembers. Peers that remember an older one keep it out.
const OWN_STARTS_MAX: usize = 1 << 16;

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            admitted: false,
            booted_at: Position::ZERO,
            own_starts: BTreeMap::new(),
            answers: Answers::default(),
            named: BTreeMap::new(),
            reported: BTreeSet::new(),
            told_of_others: BTreeMap::new(),
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
        let keeps_out = |peer: &ReplicaId| !self.admitted && self.keeps_out(*peer);
        self.named.keys().copied().filter(keeps_out).collect()
    }

    /// Whether a peer remembers a start of which this disk knows nothing.
    fn keeps_out(&self, peer: ReplicaId) -> bool {
        self.named.get(&peer).is_some_and(|named| self.last_unknown(named).is_some())
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

    pub(super) fn own_starts(&self) -> impl DoubleEndedIterator<Item = StartId> {
        self.own_starts.iter().map(|(counter, boot_id)| {
            let (counter, boot_id) = (*counter, *boot_id);
            StartId { counter, boot_id }
        })
    }

    /// What is remembered of a peer's starts.
    fn starts_of(&mut self, peer: ReplicaId, now: Time) -> &mut PeerStarts {
        self.peers.entry(peer).or_insert_with(|| PeerStarts::new(Vec::new(), now))
    }

    fn is_own(&self, start: &StartId) -> bool {
        self.own_starts.get(&start.counter) == Some(&start.boot_id)
    }

    /// The counter of the last one of these starts of which this disk knows nothing.
    fn last_unknown(&self, named: &[StartId]) -> Option<u64> {
        named.iter().filter(|start| !self.is_own(start)).map(|start| start.counter).max()
    }

    /// What a peer need not remember beside the present start: what it has named, if this disk knows
    /// it, and the last ones before the present one. And once this replica was let in, all that
    /// the peer has named: nobody who was needed for that remembers these, and so this replica took
    /// part in none of them.
    fn needless_starts(&self, peer: ReplicaId) -> Vec<StartId> {
        let named = self.named.get(&peer).into_iter().flatten();
        let needless = named.filter(|start| self.admitted || self.is_own(start)).copied();
        needless.chain(self.own_starts().rev().skip(1)).take(STARTS_MAX).collect()
    }

    /// Whether a peer still has to answer our HELLO, be it needed for letting us in or not: it is
    /// to remember this start. Before we are let in all are asked again and again, since enough must
    /// remember it at one moment, but those that keep us out; after that, these as well. For its
    /// view and clock every one is asked again and again, since they change.
    pub(super) fn awaits(&self, peer: ReplicaId) -> bool {
        let is_settled =
            if self.admitted { self.answers.is_kept_by(peer) } else { self.keeps_out(peer) };
        self.asks_for_views() || !is_settled
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
                knows: self.admission.needless_starts(peer),
                round: self.admission.answers.round(),
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
        let body = Start { incarnation: self.incarnation(), id: self.boot.start() };
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
            // The view of whoever lost its memory, or may have, bounds nothing [RJ4].
            Question::View(_) if !self.admission.is_admitted() => Err(Reject::Starting),
            Question::View(boot_id) => {
                let answer = Answer::View(self.view, step.now.wall);
                let reply = HelloReply { boot_id: *boot_id, answer };
                step.send(from, Message::HelloReply(reply), Position::ZERO);
                Ok(())
            }
            Question::Admission(introduction) => self.on_introduction(step, from, introduction),
        }
    }

    /// Remembers the peer's start, durably, before letting it in. Whoever lost its own memory knows of
    /// nothing that keeps a peer out, and says nothing before it has taken over what others
    /// remember.
    fn on_introduction(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        introduction: &Introduction,
    ) -> Result<(), Reject> {
        let Start { incarnation, id } = introduction.start.body;
        if self.admission.amnesia.is_some() {
            return Err(Reject::Starting);
        }
        let others = if introduction.takes_over {
            let count: usize = self.admission.peers.values().map(|known| known.all().len()).sum();
            if !self.repair.may_answer(from, count * size_of::<Signed<Start>>()) {
                return Err(Reject::TooOften);
            }
            self.starts_of_others(from)
        } else {
            Vec::new()
        };
        let replaced_by = self.rejoins.of(from).filter(|last| incarnation < last.incarnation);
        let (seen, after) = match replaced_by {
            // The memory it starts with was given up when another one rejoined.
            Some(last) => (alloc::vec![last.start], Position::ZERO),
            None => self.let_in(step, from, introduction)?,
        };
        let remembered = Remembered {
            incarnation,
            seen,
            others,
            is_confirmed: self.is_confirmed(),
            by: self.boot.id,
            round: introduction.round,
        };
        let answer = Answer::Starts(remembered);
        let reply = HelloReply { boot_id: id.boot_id, answer };
        step.send(from, Message::HelloReply(reply), after);
        Ok(())
    }

    /// The starts that keep the peer out; if there are none it is let in, and from which position on
    /// it may be told so.
    fn let_in(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        introduction: &Introduction,
    ) -> Result<(Vec<StartId>, Position), Reject> {
        let now = step.now.monotonic;
        let known = self.admission.starts_of(from, now);
        Ok(match known.hear(introduction, now)? {
            Heard::Noted => {
                let record = known.record(from);
                let present = introduction.start.body.id.boot_id;
                self.admission.answers.forget_other_start(from, present);
                (Vec::new(), self.persist(step, record))
            }
            Heard::Known => (Vec::new(), self.position),
            Heard::KeptOut(starts) => (starts, Position::ZERO),
        })
    }

    /// Every start that is remembered of any replica but `asker`, this one's own included.
    fn starts_of_others(&self, asker: ReplicaId) -> Vec<Signed<Start>> {
        let peers = self.admission.peers.iter().filter(|(peer, _)| **peer != asker);
        let of_peers = peers.flat_map(|(_, known)| known.all().iter().copied());
        of_peers.chain([self.own_start()]).collect()
    }

    /// These peers, each in one start of its own, remember starts of others. They are those who let
    /// this replica in at one moment: others may have told what an old disk remembers, one after the
    /// other, but not more than f at a time. Durable before the first vote.
    fn take_over(&mut self, step: &mut Step<'_>, from: &BTreeMap<ReplicaId, BootId>) {
        let now = step.now.monotonic;
        let mut changed = BTreeSet::new();
        for (teller, (by, others)) in core::mem::take(&mut self.admission.told_of_others) {
            if from.get(&teller) != Some(&by) {
                continue;
            }
            for start in others.iter().filter(|start| start.signer != self.id) {
                if self.admission.starts_of(start.signer, now).learn(start) {
                    changed.insert(start.signer);
                }
            }
        }
        for peer in changed {
            let record = self.admission.starts_of(peer, now).record(peer);
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
            Answer::View(view, wall) => self.on_view_told(step, from, view, wall),
            Answer::Starts(remembered) => self.on_starts_told(step, from, &remembered),
        }
    }

    fn on_view_told(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        view: View,
        wall: WallTime,
    ) -> Result<(), Reject> {
        let told = Told { view, wall, at: step.now.monotonic };
        match &mut self.admission.amnesia {
            Some(amnesia) if amnesia.returns_as.is_none() => {
                if amnesia.note_told(from, told) {
                    self.send_rejoin(step);
                }
                Ok(())
            }
            _ => Err(Reject::Stale),
        }
    }

    fn on_starts_told(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        remembered: &Remembered,
    ) -> Result<(), Reject> {
        let Remembered { incarnation, seen, others, is_confirmed, by, round } = remembered;
        if *incarnation != self.incarnation() || self.admission.asks_for_views() {
            return Err(Reject::Stale);
        }
        if self.admission.amnesia.is_some() && *is_confirmed {
            self.admission.told_of_others.insert(from, (*by, others.clone()));
        }
        if !seen.is_empty() {
            self.on_kept_out(step, from, seen);
            return Ok(());
        }
        self.admission.named.remove(&from);
        self.admission.answers.note(from, *by, *round, *is_confirmed);
        let enough = self.config.quorums.quorum_of_others();
        if self.admission.answers.have_become_enough(enough) {
            self.greet_silent_peers(step);
        }
        self.consider_admission(step);
        Ok(())
    }

    /// A peer remembers starts that it was not told to be known here. If they are, it is told so.
    ///
    /// A weak quorum that remembers a start of which this disk knows nothing makes this replica an
    /// amnesiac; enough peers that do not let it in. With at most f liars among them, neither
    /// happens by the word of liars alone. Where a few remember one and too few are left to let it
    /// in, it waits, and says who remembers: were it to stop, liars could stop it while correct
    /// peers are away.
    fn on_kept_out(&mut self, step: &mut Step<'_>, from: ReplicaId, seen: &[StartId]) {
        self.admission.answers.forget(from);
        self.admission.named.insert(from, seen.to_vec());
        let Some(counter) = self.admission.last_unknown(seen) else {
            return self.hasten_status(step.now.monotonic);
        };
        if self.admission.reported.insert(from) {
            step.event(Event::StartNotKnown { peer: from, seen: counter });
        }
        let accusers = self.admission.accusers();
        if accusers.len() >= self.config.quorums.weak() {
            let named = accusers.iter().filter_map(|peer| self.admission.named.get(peer));
            let lowest = named.filter_map(|named| self.admission.last_unknown(named)).min();
            let (own, seen) = (self.boot.counter, lowest.unwrap_or(counter));
            self.halt(step, HaltReason::Amnesia { own, seen });
        }
    }

    /// Whether this disk is the right one: enough peers remember no start that it lacks.
    fn is_confirmed(&self) -> bool {
        let enough = self.config.quorums.quorum_of_others();
        self.admission.is_admitted()
            || (self.admission.amnesia.is_none() && self.admission.answers.are_enough_once(enough))
    }

    /// One replica alone has nobody to be let in by: it goes on with the memory that it has, if it
    /// has one.
    pub(super) fn admit_alone(&mut self, step: &mut Step<'_>) {
        if self.config.replica_count() == 1 && self.admission.amnesia.is_none() {
            self.consider_admission(step);
        }
    }

    fn consider_admission(&mut self, step: &mut Step<'_>) {
        if self.admission.is_admitted() {
            return;
        }
        let enough = self.config.quorums.quorum_of_others();
        let Some(let_in_by) = self.admission.answers.at_one_moment(enough) else { return };
        self.boot.incarnation = self.incarnation();
        if self.admission.amnesia.take().is_some() {
            self.take_over(step, &let_in_by);
            // A REPLY is a vote like the others, whenever its request was executed [RJ3].
            self.executed_after = self.persist(step, Record::Rejoined(self.boot.incarnation));
        }
        self.admission.admitted = true;
        step.event(Event::Admitted);
        self.resume(step);
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
