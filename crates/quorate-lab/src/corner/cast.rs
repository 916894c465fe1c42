//! The cluster of the exploration: four replicas, a window that ends behind the numbers explored,
//! and correct cores that were started, let each other in and hold requests.

use super::{Bounds, REPLICA_COUNT};
use core::time::Duration;
use pbft::message::{Batch, CheckpointId, Request, RequestBody};
use pbft::{
    ClientId, Config, Digest, Domain, Epoch, Input, Message, Now, Output, Parameters, Recipients,
    Recovered, Replica, ReplicaId, Sender, SeqNum, Session, SignedRequest, SigningKey, StateMirror,
    Time, Timestamp, WallTime,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a backup waits for a request, and a replica for a NEW-VIEW.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Timers that play no part here never fire.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// Who takes part, with which keys, and what a faulty primary may propose.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) config: Arc<Config>,
    keys: Vec<SigningKey>,
    /// Two batches between which a faulty primary equivocates.
    pub(super) batches: [Arc<Batch>; 2],
    requests: Vec<Arc<SignedRequest>>,
}

impl Cast {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let key = |kind: &str, index: u32| {
            let seed =
                Digest::of("quorate lab 1 corner key", &[kind.as_bytes(), &index.to_le_bytes()]);
            SigningKey::from_seed((*seed.as_bytes()).into())
        };
        let keys: Vec<_> = (0..REPLICA_COUNT).map(|id| key("replica", id)).collect();
        // More requests than numbers: one always waits, so that a backup may always time out.
        let client_count = bounds.numbers as u32 + 2;
        let clients: Vec<_> = (0..client_count).map(|id| key("client", id)).collect();
        let domain =
            Domain { cluster: Digest::of("quorate lab 1 corner cluster", &[]), epoch: Epoch::ZERO };
        let config = Config::new(
            domain,
            Digest::of("quorate lab 1 corner configuration", &[]),
            keys.iter().map(SigningKey::verification_key).collect(),
            clients.iter().map(SigningKey::verification_key).collect(),
            parameters(bounds.numbers),
        )
        .expect("the parameters are valid");
        let requests: Vec<_> = (0..client_count)
            .zip(&clients)
            .map(|(id, key)| Arc::new(SignedRequest::sign(&domain, key, opening(id))))
            .collect();
        let batch = |request: &Arc<SignedRequest>| {
            let requests = vec![Arc::clone(request)];
            Arc::new(Batch { time: wall(), choice: Vec::new(), requests, rejoins: Vec::new() })
        };
        let batches = [batch(&requests[0]), batch(&requests[1])];
        Self { config: Arc::new(config), keys, batches, requests }
    }

    pub(super) fn key(&self, id: ReplicaId) -> &SigningKey {
        &self.keys[id.get() as usize]
    }

    pub(super) fn genesis(&self) -> CheckpointId {
        let root = Digest::of("quorate lab 1 corner state", &[]);
        CheckpointId { state_root: root, history_root: root }
    }

    /// All four cores, started and let in. Requests have not reached them.
    pub(super) fn started(&self) -> Vec<Replica> {
        let now = clock(Time::ZERO);
        let mut under_way: VecDeque<(ReplicaId, ReplicaId, Message)> = VecDeque::new();
        let mut cores: Vec<Replica> =
            self.config.replica_ids().map(|id| self.recover(id)).collect();
        let act = |cores: &mut Vec<Replica>, at: ReplicaId, input: Input| {
            let mut outputs = Vec::new();
            cores[at.get() as usize].step(now, input, &mut outputs);
            self.sent(at, outputs)
        };
        for at in self.config.replica_ids() {
            under_way.extend(act(&mut cores, at, Input::Tick));
        }
        while let Some((from, to, message)) = under_way.pop_front() {
            let verified = self.config.admit(Sender::Replica(from), message);
            let verified = verified.expect("a correct replica's message passes the door");
            under_way.extend(act(&mut cores, to, Input::Message(verified)));
        }
        for at in self.config.replica_ids() {
            for peer in self.config.replica_ids().filter(|peer| *peer != at) {
                // Having been heard and having been asked soon for STATUS are no differences
                // between states that are explored.
                let harmless = Message::FetchBatch(Digest::default());
                let heard = self.config.admit(Sender::Replica(peer), harmless);
                act(&mut cores, at, Input::Message(heard.expect("a fetch passes the door")));
                act(&mut cores, at, Input::Connected(peer));
            }
        }
        assert!(cores.iter().all(|core| core.status().admitted), "all were let in");
        cores
    }

    /// The requests as their clients send them, in the order in which every replica gets them.
    pub(super) fn requests(&self) -> impl Iterator<Item = Input> {
        self.requests.iter().map(|request| {
            let sender = Sender::Client(request.request().client);
            let message = Message::Request(Arc::clone(request));
            Input::Message(self.config.admit(sender, message).expect("the request is valid"))
        })
    }

    fn recover(&self, id: ReplicaId) -> Replica {
        let recovered = Recovered {
            genesis: self.genesis(),
            checkpoint: (SeqNum::ZERO, self.genesis()),
            state: StateMirror::default(),
            is_lost: false,
            records: Vec::new(),
        };
        let boot_id = [id.get() as u8 + 1; 16];
        let (config, key) = (Arc::clone(&self.config), self.key(id).clone());
        let now = clock(Time::ZERO);
        Replica::recover(config, id, key, boot_id, now, recovered, &mut Vec::new())
    }

    /// What outputs of a start put on the network: HELLO and its answer.
    fn sent(&self, from: ReplicaId, outputs: Vec<Output>) -> Vec<(ReplicaId, ReplicaId, Message)> {
        let mut sent = Vec::new();
        for output in outputs {
            if let Output::Send { to: Recipients::One(to), message, .. } = output
                && matches!(*message, Message::Hello(_) | Message::HelloReply(_))
            {
                sent.push((from, to, Message::clone(&message)));
            }
        }
        sent
    }
}

/// Both clocks of a step: only the monotonic one moves.
pub(super) fn clock(monotonic: Time) -> Now {
    Now { monotonic, wall: wall() }
}

fn wall() -> WallTime {
    WallTime::from_millis(1_800_000_000_000)
}

/// A client opens its session: a request that needs nothing executed before it.
fn opening(client: u32) -> Request {
    Request {
        client: ClientId::new(client),
        session: Session::new(1),
        timestamp: Timestamp::ZERO,
        acknowledged_below: Timestamp::ZERO,
        replier: None,
        body: RequestBody::OpenSession,
    }
}

/// One request a batch, correct primaries propose exactly the numbers explored, and of the timers
/// only those fire that lead out of a view; timeouts do not double. What replicas execute tentatively
/// sways no vote and no decision, and no primary is slow.
fn parameters(numbers: u64) -> Parameters {
    Parameters {
        checkpoint_period: numbers,
        log_window: 2 * numbers,
        instances_in_flight_max: numbers,
        batch_requests_max: 1,
        view_change_timeout: TIMEOUT,
        view_change_timeout_max: TIMEOUT,
        view_change_resend: NEVER,
        status_interval: NEVER,
        status_interval_idle: NEVER,
        checkpoint_fill_after: NEVER,
        state_transfer_patience: NEVER,
        tentative_execution: false,
        throughput_floor: false,
        ..Parameters::default()
    }
}
