//! What must hold in every run, one property a file.
//!
//! The checkers see what correct replicas send, what they say happened to them and what clients
//! accept, and judge it with arithmetic of their own: no threshold and no predicate comes from the
//! code under test.

mod acceptances;
mod agreement;
mod amnesia;
mod certificates;
mod decisions;
mod determinism;
mod durability;
mod equivocation;
mod exactly_once;
mod left_views;
mod memory;
mod new_views;
mod quorums;
mod rates;
mod readings;
mod rejoins;
mod state;
mod view_changes;

use crate::watched::Step;
use crate::world::Options;
use core::fmt;
use core::time::Duration;
use pbft::message::{Reply, Request, ViewChange};
use pbft::{
    ClientId, Digest, Event, Held, Message, Parameters, Record, ReplicaId, ReplyRule, SeqNum, Time,
};
use quorate_adversary::Endpoint;
use std::collections::BTreeMap;

/// Something the checkers are shown. Unless said otherwise it concerns correct replicas only.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation<'a> {
    /// A replica sent a message; it is on the wire.
    Sent {
        /// Who.
        from: ReplicaId,
        /// To whom.
        to: Endpoint,
        /// What.
        message: &'a Message,
    },
    /// A replica takes a message that has passed the door.
    Handled {
        /// Who.
        at: ReplicaId,
        /// From whom.
        from: Endpoint,
        /// What.
        message: &'a Message,
    },
    /// A replica learns that a link was established.
    Linked {
        /// Who.
        at: ReplicaId,
        /// With whom.
        peer: ReplicaId,
    },
    /// A replica's disk has made records durable.
    Durable {
        /// Who.
        at: ReplicaId,
        /// Whether the replica starts, and these are all that its disk remembers.
        starts: bool,
        /// Which.
        records: &'a [Record],
    },
    /// A replica that starts goes on from the snapshot on its disk.
    Restored {
        /// Who.
        at: ReplicaId,
        /// The checkpoint of the snapshot.
        seq: SeqNum,
    },
    /// How much a replica holds in memory, whenever it has recorded something.
    Holds {
        /// Who.
        at: ReplicaId,
        /// Its core.
        held: &'a Held,
        /// How many messages wait for its disk.
        messages: usize,
    },
    /// A replica has fetched a state.
    Fetched {
        /// Who.
        at: ReplicaId,
        /// The digest that its tree has kept of itself.
        kept: Digest,
        /// The digest of a tree made anew of the same entries.
        made_anew: Digest,
    },
    /// A replica says that something happened.
    Happened {
        /// Which replica.
        at: ReplicaId,
        /// What.
        event: &'a Event,
    },
    /// What a replica would tell were it to leave its view now, whenever that may have changed;
    /// nothing while it is down or must not tell anything.
    Remembers {
        /// Which replica.
        at: ReplicaId,
        /// As the next view's VIEW-CHANGE.
        tells: Option<&'a ViewChange>,
    },
    /// A replica lost its memory.
    Lost {
        /// Which replica.
        at: ReplicaId,
    },
    /// A replica has a disk again that lacks nothing of what it promised.
    Regained {
        /// Which replica.
        at: ReplicaId,
    },
    /// A replica's service executed an operation.
    Executed {
        /// Which replica.
        at: ReplicaId,
        /// Which generation of its state: a restart, a transfer or a rollback makes a new one.
        generation: u64,
        /// In the batch with this number.
        seq: SeqNum,
        /// The client who asked.
        client: ClientId,
        /// What, in the service's encoding.
        operation: &'a [u8],
        /// What the service did; empty where that was not noted.
        steps: &'a [Step],
    },
    /// What a replica's service executed in batches from this number on was undone, or counts no
    /// longer since its state was replaced.
    Undone {
        /// Which replica.
        at: ReplicaId,
        /// The number.
        from: SeqNum,
    },
    /// A correct client sends a request.
    Requested {
        /// Which.
        request: &'a Request,
    },
    /// A correct client is handed a REPLY, of whomever.
    Told {
        /// Which client.
        client: ClientId,
        /// By which replica.
        from: ReplicaId,
        /// What it says.
        reply: &'a Reply,
    },
    /// A correct client was told that its operation was executed and the result is lost.
    GivenUp {
        /// Which client.
        client: ClientId,
        /// Which operation.
        operation: &'a [u8],
    },
    /// A correct client accepted a result.
    Accepted {
        /// Which client.
        client: ClientId,
        /// Of which operation.
        operation: &'a [u8],
        /// The result.
        result: &'a [u8],
    },
}

/// A property that was found not to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property.
    pub property: &'static str,
    /// When it was noticed, in virtual time.
    pub at: Time,
    /// What was seen.
    pub what: String,
}

/// One property.
pub(crate) trait Checker: fmt::Debug {
    /// The property in a few words.
    fn property(&self) -> &'static str;

    /// It is `now` when the next observation is made.
    fn pass_time(&mut self, _now: Time) {}

    /// Judges the next observation.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String>;
}

/// What is judged beside the properties of [`Checkers`]: of every proof and every replica when it
/// happens, of all answers at the end.
pub(crate) const ONLY_THE_FAULTY_ARE_CONVICTED: &str = "only the faulty are convicted";
pub(crate) const OWN_INVARIANTS: &str = "the replica's own invariants";
pub(crate) const LINEARIZABILITY: &str = "linearizability";

/// All properties that can be judged step by step.
#[derive(Debug)]
pub(crate) struct Checkers {
    all: Vec<Box<dyn Checker>>,
}

impl Checkers {
    pub(crate) fn new(replica_count: u32, parameters: &Parameters) -> Self {
        let Parameters { checkpoint_period, log_window, .. } = *parameters;
        Self {
            all: vec![
                // First: where a service is not deterministic, that is why others do not hold.
                Box::<determinism::Determinism>::default(),
                Box::<agreement::Agreement>::default(),
                Box::<state::EqualStates>::default(),
                Box::<equivocation::NoEquivocation>::default(),
                Box::<left_views::LeftViews>::default(),
                Box::new(view_changes::ViewChanges { checkpoint_period, log_window }),
                Box::new(amnesia::Amnesia {
                    checkpoint_period,
                    log_window,
                    incarnations: BTreeMap::new(),
                    lost: BTreeMap::new(),
                }),
                Box::<rejoins::Rejoins>::default(),
                Box::new(decisions::Decisions::new(replica_count)),
                Box::new(new_views::NewViews::new(replica_count, log_window)),
                Box::<exactly_once::ExactlyOnce>::default(),
                Box::<certificates::ReplyCertificates>::default(),
                Box::<readings::Readings>::default(),
            ],
        }
    }

    /// All that can be judged of a world with these options.
    pub(crate) fn of_a_world(options: &Options) -> Self {
        let Options { replica_count, parameters, sync: (_, slowest_sync), .. } = options;
        let believes_weak_quorums = options.client.reply_rule == ReplyRule::WeakUnlessTentative;
        let acceptances = acceptances::Acceptances::new(*replica_count, believes_weak_quorums);
        let mut checkers = Self::new(*replica_count, parameters);
        checkers.all.push(Box::new(acceptances));
        checkers.with_promises(*replica_count).with_bounds(
            *replica_count,
            options.client_count(),
            parameters,
            *slowest_sync,
        )
    }

    /// What a replica may say because of its disk and of what it was handed. Only a world shows both.
    fn with_promises(mut self, replica_count: u32) -> Self {
        self.all.push(Box::<durability::Durability>::default());
        self.all.push(Box::new(quorums::WholeCertificates::new(replica_count)));
        self
    }

    /// What bounds a replica's messages and memory. It needs to be shown what replicas handle and
    /// hold, and times that do not depend on how busy a machine is.
    fn with_bounds(
        mut self,
        replica_count: u32,
        client_count: u32,
        parameters: &Parameters,
        slowest_sync: Duration,
    ) -> Self {
        let rates = rates::Rates::new(replica_count, parameters.clone(), slowest_sync);
        let memory = memory::Memory {
            replica_count: replica_count as usize,
            client_count: client_count as usize,
            parameters: parameters.clone(),
        };
        self.all.push(Box::new(rates));
        self.all.push(Box::new(memory));
        self
    }

    /// The properties in a few words each.
    pub(crate) fn properties(&self) -> Vec<&'static str> {
        self.all.iter().map(|checker| checker.property()).collect()
    }

    /// Shows the observation to every property; returns the first that does not hold.
    pub(crate) fn observe(&mut self, at: Time, observation: &Observation<'_>) -> Option<Violation> {
        self.all.iter_mut().find_map(|checker| {
            checker.pass_time(at);
            let what = checker.observe(observation).err()?;
            Some(Violation { property: checker.property(), at, what })
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_micros() / 1_000_000;
        let micros = self.at.as_micros() % 1_000_000;
        write!(f, "'{}' does not hold at {seconds}.{micros:06} s: {}", self.property, self.what)
    }
}

#[cfg(test)]
mod tests;
