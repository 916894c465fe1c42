//! State transfer, the requester's side: fetches the state at a checkpoint that a certificate
//! vouches for, part by digest-verified part, from several peers at once (TOCS 2002 section 5.3).
//!
//! No peer is trusted. What a peer can do is to be silent, slow, or wrong; each costs it a rest,
//! during which the others are asked, and none of it costs more than one request's worth of bytes.
//! What is to be fetched, and from which digest down, is the core's decision; see
//! [`pbft::Output::FetchState`].

mod server;

pub(crate) use server::StateServer;

use crate::tree::Tree;
use crate::tree::assembler::{Assembler, BadPart};
use crate::tree::part::PartId as TreePartId;
use borsh::BorshDeserialize;
use pbft::message::{CheckpointId, Message, PartId, StatePart, StatePartRequest};
use pbft::{Digest, Reject, ReplicaId, SeqNum, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a peer has to answer a request in full. What it has not sent by then is asked of
/// others, so a peer that drips parts holds nothing up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer rests that does not have the checkpoint (yet, or any more).
const LACKING_REST: Duration = Duration::from_millis(250);

/// The first rest of a peer that was silent or wrong; it doubles with every further one.
const FIRST_REST: Duration = Duration::from_millis(500);

/// No rest is longer.
const REST_MAX: Duration = Duration::from_secs(16);

/// A fetch under way.
#[derive(Debug)]
pub(crate) struct Fetch {
    target: (SeqNum, CheckpointId),
    assembler: Assembler,
    peers: BTreeMap<ReplicaId, Peer>,
    /// The parts asked for and not answered, and whom they were asked of. **Invariant:** a peer
    /// has parts here exactly while it has a deadline.
    in_flight: BTreeMap<PartId, ReplicaId>,
    parts_per_request_max: usize,
    parts_fetched: u64,
    bytes_fetched: u64,
}

/// What is known of a peer as a source.
#[derive(Debug, Default)]
struct Peer {
    /// When what it was asked for is asked of others.
    deadline: Option<Time>,
    /// Whether it sent anything of what it was asked for last.
    has_answered: bool,
    /// It is not asked before this; `None` if it does not rest.
    rests_until: Option<Time>,
    /// How often in a row it let a deadline pass.
    timeouts: u32,
    /// How many wrong parts it sent.
    wrong_parts: u32,
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
            assembler: Assembler::new(target.1.state_root, base),
            peers: peers.map(|peer| (peer, Peer::default())).collect(),
            in_flight: BTreeMap::new(),
            parts_per_request_max,
            parts_fetched: 0,
            bytes_fetched: 0,
        }
    }

    /// Aims at another checkpoint; what was fetched and is the same there is kept. A peer that
    /// lacked the old one is asked again, one that sent wrong parts keeps its record.
    pub(crate) fn retarget(&mut self, target: (SeqNum, CheckpointId)) {
        self.target = target;
        self.assembler.retarget(target.1.state_root);
        self.in_flight.clear();
        for peer in self.peers.values_mut() {
            peer.deadline = None;
            if peer.wrong_parts == 0 {
                peer.rests_until = None;
            }
        }
    }

    /// The checkpoint being fetched.
    pub(crate) fn target(&self) -> (SeqNum, CheckpointId) {
        self.target
    }

    /// The state, once it is whole.
    pub(crate) fn finish(&self) -> Option<Tree> {
        self.assembler.finish()
    }

    /// Whether the target turned out to be the digest of nothing that can be a state.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.in_flight.is_empty() && self.finish().is_none() && self.assembler.wanted(1).is_empty()
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
        self.peers.values().filter_map(|peer| peer.deadline.or(peer.rests_until)).min()
    }

    /// Gives up on overdue answers, and asks every peer that is free for parts nobody was asked
    /// for yet.
    pub(crate) fn ask(&mut self, now: Time) -> Vec<(ReplicaId, Message)> {
        self.expire(now);
        self.wake(now);
        let mut requests = Vec::new();
        for peer in self.free_peers() {
            let parts = self.unasked_parts();
            if parts.is_empty() {
                break;
            }
            self.in_flight.extend(parts.iter().map(|part| (part.clone(), peer)));
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.deadline = Some(now.after(ANSWER_TIMEOUT));
                peer.has_answered = false;
            }
            let (seq, CheckpointId { state_root, .. }) = self.target;
            let request = StatePartRequest { seq, state_root, parts };
            requests.push((peer, Message::FetchState(request)));
        }
        requests
    }

    /// Takes a part that a peer sent, or its word that there is nothing more to come: that it
    /// does not have the checkpoint, or has sent as much as it sends at once.
    ///
    /// # Errors
    /// If it was not asked of this peer, or is wrong.
    pub(crate) fn on_part(
        &mut self,
        now: Time,
        from: ReplicaId,
        part: StatePart,
    ) -> Result<(), Reject> {
        if self.in_flight.get(&part.part) != Some(&from) {
            return Err(Reject::Unsolicited);
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            return Err(Reject::Unsolicited);
        };
        let Some(content) = part.content else {
            if !peer.has_answered {
                peer.rests_until = Some(now.after(LACKING_REST));
            }
            self.release(from);
            return Ok(());
        };
        let accepted = tree_part_id(&part.part)
            .map_or(Err(BadPart::NotWanted), |id| self.assembler.accept(&id, &content));
        if accepted == Err(BadPart::WrongDigest) {
            peer.wrong_parts += 1;
            peer.rests_until = Some(now.after(rest(peer.wrong_parts)));
            self.release(from);
            return Err(Reject::WrongDigest);
        }
        peer.has_answered = true;
        peer.timeouts = 0;
        self.parts_fetched += 1;
        self.bytes_fetched += content.len() as u64;
        self.in_flight.remove(&part.part);
        if !self.in_flight.values().any(|peer| *peer == from) {
            peer.deadline = None;
        }
        Ok(())
    }

    fn expire(&mut self, now: Time) {
        let is_overdue = |peer: &Peer| peer.deadline.is_some_and(|deadline| deadline <= now);
        let overdue = self.peers.iter().filter(|(_, peer)| is_overdue(peer));
        for id in overdue.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.release(id);
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.timeouts += 1;
                peer.rests_until = Some(now.after(rest(peer.timeouts)));
            }
        }
    }

    fn wake(&mut self, now: Time) {
        for peer in self.peers.values_mut() {
            peer.rests_until = peer.rests_until.filter(|until| *until > now);
        }
    }

    /// Lets others be asked for what was asked of this peer.
    fn release(&mut self, peer: ReplicaId) {
        self.in_flight.retain(|_, asked| *asked != peer);
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.deadline = None;
        }
    }

    /// Those to ask, the most promising first. Who sent a wrong part is asked only while everybody
    /// with fewer of them rests.
    fn free_peers(&self) -> Vec<ReplicaId> {
        let awake = |peer: &&Peer| peer.rests_until.is_none();
        let fewest_wrong = self.peers.values().filter(awake).map(|peer| peer.wrong_parts).min();
        let mut free: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| awake(peer) && peer.deadline.is_none())
            .filter(|(_, peer)| Some(peer.wrong_parts) == fewest_wrong)
            .collect();
        free.sort_by_key(|(id, peer)| (peer.timeouts, **id));
        free.into_iter().map(|(id, _)| *id).collect()
    }

    /// The next missing parts that nobody was asked for, as many as go into a request.
    fn unasked_parts(&self) -> Vec<PartId> {
        let missing = self.assembler.wanted(self.in_flight.len() + self.parts_per_request_max);
        let missing = missing.iter().map(wire_part_id);
        let unasked = missing.filter(|part| !self.in_flight.contains_key(part));
        unasked.take(self.parts_per_request_max).collect()
    }
}

/// The rest after so many failures, doubling.
fn rest(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_REST.saturating_mul(factor).min(REST_MAX)
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
