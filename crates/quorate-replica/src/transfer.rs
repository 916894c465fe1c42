//! State transfer, the requester's side: fetches the state at a checkpoint that a certificate
//! vouches for, part by digest-verified part, from several peers at once (TOCS 2002 section 5.3).
//!
//! No peer is trusted. What a peer can do is to be silent, slow, or wrong; each costs it a rest,
//! during which the others are asked, and none of it costs more than one request's worth of bytes.
//! What is to be fetched, and from which digest down, is the core's decision; see
//! [`pbft::Output::FetchState`].
//!
//! Under load the others have a newer checkpoint several times a second. They keep the one that is
//! being fetched for whoever fetches it (see [`server`]), so the fetch goes on with it to its end,
//! and turns to a newer one only then, or when nobody serves it any more [CU3].

mod peer;
mod server;

pub(crate) use server::StateServer;

use crate::tree::Tree;
use crate::tree::assembler::{Assembler, BadPart};
use crate::tree::part::PartId as TreePartId;
use borsh::BorshDeserialize;
use pbft::message::{CheckpointId, Message, PartId, Rest, StatePart, StatePartRequest, StateParts};
use pbft::{Digest, Reject, ReplicaId, SeqNum, Time};
use peer::Peer;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a checkpoint is fetched of which nothing comes, once there is a newer one.
const STANDSTILL_MAX: Duration = Duration::from_secs(2);

/// A fetch under way.
#[derive(Debug)]
pub(crate) struct Fetch {
    target: (SeqNum, CheckpointId),
    /// The latest checkpoint that could be fetched instead.
    newer: Option<(SeqNum, CheckpointId)>,
    assembler: Assembler,
    /// Whether the state was handed over.
    is_taken: bool,
    peers: BTreeMap<ReplicaId, Peer>,
    /// The parts asked for and not answered, and whom they were asked of. Those of a target that
    /// was given up stay here until they are answered or overdue. **Invariant:** a peer has parts
    /// here only while it has a deadline.
    in_flight: BTreeMap<TreePartId, ReplicaId>,
    parts_per_request_max: usize,
    /// When the target was chosen, or the last part came.
    moved: Option<Time>,
    parts_fetched: u64,
    bytes_fetched: u64,
}

/// How far a fetch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchProgress {
    /// The checkpoint being fetched.
    pub seq: SeqNum,
    /// Parts received and found right, for this and any earlier target.
    pub parts_fetched: u64,
    /// Their bytes.
    pub bytes_fetched: u64,
    /// Parts asked for at the moment.
    pub parts_in_flight: usize,
}

impl Fetch {
    /// Starts to fetch the state at `target` from `peers`. Whatever `base` shares with it is not
    /// fetched.
    pub(crate) fn new(
        target: (SeqNum, CheckpointId),
        base: Tree,
        peers: impl Iterator<Item = ReplicaId>,
        parts_per_request_max: usize,
    ) -> Self {
        Self {
            target,
            newer: None,
            assembler: Assembler::new(target.1.state_root, base),
            is_taken: false,
            peers: peers.map(|peer| (peer, Peer::default())).collect(),
            in_flight: BTreeMap::new(),
            parts_per_request_max,
            moved: None,
            parts_fetched: 0,
            bytes_fetched: 0,
        }
    }

    /// There is a newer checkpoint, which is fetched when the present one is whole, or cannot be
    /// had any more [CU3].
    pub(crate) fn aim(&mut self, newer: (SeqNum, CheckpointId)) {
        if newer.0 > self.target.0 {
            self.newer = Some(newer);
        }
    }

    /// The checkpoint being fetched.
    pub(crate) fn target(&self) -> (SeqNum, CheckpointId) {
        self.target
    }

    /// The state, once it is whole; once.
    pub(crate) fn take_finished(&mut self) -> Option<Tree> {
        let tree = self.assembler.finish().filter(|_| !self.is_taken)?;
        self.is_taken = true;
        Some(tree)
    }

    /// Whether the target turned out to be the digest of nothing that can be a state.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.in_flight.is_empty()
            && self.assembler.missing().next().is_none()
            && !self.assembler.is_finished()
    }

    pub(crate) fn progress(&self) -> FetchProgress {
        FetchProgress {
            seq: self.target.0,
            parts_fetched: self.parts_fetched,
            bytes_fetched: self.bytes_fetched,
            parts_in_flight: self.in_flight.len(),
        }
    }

    /// When [`ask`](Self::ask) is due again at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let standstill = self.moved.filter(|_| self.newer.is_some());
        let standstill = standstill.map(|moved| moved.after(STANDSTILL_MAX));
        self.peers.values().filter_map(Peer::next_deadline).chain(standstill).min()
    }

    /// Gives up on overdue answers, turns to the newer checkpoint if it is time, and asks every
    /// peer that is free for parts nobody was asked for yet. Those for whom there are none, and those
    /// who may not have the checkpoint, are asked to keep it.
    pub(crate) fn ask(&mut self, now: Time) -> Vec<(ReplicaId, Message)> {
        self.expire(now);
        if self.newer.is_some() && (self.assembler.is_finished() || self.is_given_up(now)) {
            self.turn_to_newer(now);
        }
        self.moved.get_or_insert(now);
        if self.assembler.is_finished() {
            return Vec::new();
        }
        let free = self.free_peers();
        let (sources, others): (Vec<_>, Vec<_>) =
            free.into_iter().partition(|id| self.is_source(*id));
        let unasked = self.unasked_parts(sources.len());
        let share = unasked.len().div_ceil(sources.len().max(1)).max(1);
        let mut shares = unasked.chunks(share).map(<[_]>::to_vec);
        let of_sources = sources.into_iter().map(|id| (id, shares.next().unwrap_or_default()));
        let asked: Vec<_> = of_sources.chain(others.into_iter().map(|id| (id, vec![]))).collect();
        let mut requests = Vec::new();
        for (id, parts) in asked {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if parts.is_empty() && peer.holds == Some(true) {
                continue;
            }
            peer.ask(now, self.target.0, parts.len());
            let (seq, CheckpointId { state_root, .. }) = self.target;
            let names = parts.iter().map(wire_part_id).collect();
            let request = StatePartRequest { seq, state_root, parts: names };
            requests.push((id, Message::FetchState(request)));
            self.in_flight.extend(parts.into_iter().map(|part| (part, id)));
        }
        requests
    }

    /// Takes parts that a peer sent, or its word why there are none.
    ///
    /// # Errors
    /// If one was not asked of this peer, or is wrong; those before it are taken.
    pub(crate) fn on_parts(
        &mut self,
        now: Time,
        from: ReplicaId,
        message: StateParts,
    ) -> Result<(), Reject> {
        let peer = self.peers.get(&from).ok_or(Reject::Unsolicited)?;
        let is_awaited = peer.awaits(message.seq);
        if !is_awaited && message.parts.is_empty() {
            return Err(Reject::Unsolicited);
        }
        for part in message.parts {
            self.on_part(now, from, part)?;
        }
        if let Some(peer) = self.peers.get_mut(&from).filter(|_| is_awaited)
            && message.rest != Rest::Follows
        {
            peer.on_end(now, message.rest);
            self.in_flight.retain(|_, asked| *asked != from);
        }
        Ok(())
    }

    fn on_part(&mut self, now: Time, from: ReplicaId, part: StatePart) -> Result<(), Reject> {
        let asked = tree_part_id(&part.part).filter(|id| self.in_flight.get(id) == Some(&from));
        let (Some(id), Some(peer)) = (asked, self.peers.get_mut(&from)) else {
            return Err(Reject::Unsolicited);
        };
        let accepted = match self.assembler.accept(&id, &part.content) {
            Err(BadPart::NotWanted) => self.assembler.keep(&id, &part.content),
            accepted => accepted,
        };
        if accepted == Err(BadPart::WrongDigest) {
            peer.on_wrong_part(now);
            self.in_flight.retain(|_, asked| *asked != from);
            return Err(Reject::WrongDigest);
        }
        peer.on_part();
        self.in_flight.remove(&id);
        self.moved = Some(now);
        self.parts_fetched += 1;
        self.bytes_fetched += part.content.len() as u64;
        Ok(())
    }

    /// Lets others be asked for what is overdue.
    fn expire(&mut self, now: Time) {
        for (id, peer) in &mut self.peers {
            if peer.expire(now) {
                self.in_flight.retain(|_, asked| asked != id);
            }
        }
    }

    /// Whether the checkpoint can hardly be had any more: so many say that they do not have it that
    /// the rest may all be faulty, or nothing came for a while.
    fn is_given_up(&self, now: Time) -> bool {
        let lacking = self.peers.values().filter(|peer| peer.holds == Some(false)).count();
        let faulty_max = self.peers.len() / 3;
        lacking >= (self.peers.len() - faulty_max).max(1)
            || self.moved.is_some_and(|moved| now.since(moved) >= STANDSTILL_MAX)
    }

    /// What was fetched and is the same in the newer checkpoint is kept. A peer that lacked the old
    /// one is asked again, one that sent wrong parts keeps its record.
    fn turn_to_newer(&mut self, now: Time) {
        let Some(newer) = self.newer.take() else { return };
        self.target = newer;
        self.is_taken = false;
        self.moved = Some(now);
        self.assembler.retarget(newer.1.state_root);
        self.peers.values_mut().for_each(Peer::on_new_target);
    }

    /// Those to ask, the most promising first. Who sent a wrong part is asked only while everybody
    /// with fewer of them rests.
    fn free_peers(&self) -> Vec<ReplicaId> {
        let awake = || self.peers.iter().filter(|(_, peer)| !peer.rests());
        let fewest_wrong = awake().map(|(_, peer)| peer.wrong_parts).min();
        let mut free: Vec<_> = awake()
            .filter(|(_, peer)| !peer.is_asked() && Some(peer.wrong_parts) == fewest_wrong)
            .collect();
        free.sort_by_key(|(id, peer)| (peer.timeouts, **id));
        free.into_iter().map(|(id, _)| *id).collect()
    }

    /// Whether a peer is asked for parts: it said that it has the checkpoint, or nobody has said so
    /// and it did not deny it. What one is asked for who does not answer comes late.
    fn is_source(&self, id: ReplicaId) -> bool {
        let holds = self.peers.get(&id).and_then(|peer| peer.holds);
        let is_known = self.peers.values().any(|peer| peer.holds == Some(true));
        holds.unwrap_or(!is_known)
    }

    /// The next missing parts that nobody was asked for, as many as go into so many requests.
    fn unasked_parts(&self, requests: usize) -> Vec<TreePartId> {
        if requests == 0 {
            return Vec::new();
        }
        let unasked = self.assembler.missing().filter(|part| !self.in_flight.contains_key(part));
        unasked.take(requests * self.parts_per_request_max).collect()
    }
}

/// A part's name as it travels: the tree's own encoding, its digest in a field of its own.
fn wire_part_id(id: &TreePartId) -> PartId {
    let mut path = borsh::to_vec(id).expect("writing to memory cannot fail");
    let digest = path.split_off(path.len() - size_of::<Digest>());
    let digest = digest.try_into().expect("the encoding of a part's name ends with its digest");
    PartId { path, digest: Digest::from_bytes(digest) }
}

/// The part with this name; `None` if it is no name of a part.
fn tree_part_id(id: &PartId) -> Option<TreePartId> {
    let encoded = [&id.path[..], id.digest.as_bytes()].concat();
    TreePartId::try_from_slice(&encoded).ok()
}

#[cfg(test)]
mod tests;
