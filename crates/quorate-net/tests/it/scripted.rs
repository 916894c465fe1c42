//! A cluster whose replicas follow a script instead of the protocol: what a client sees of one.

use pbft::{
    ClientId, ClientParameters, Config, Digest, Domain, Epoch, Message, Parameters, ReplicaId,
    Session, VerificationKey, View,
    message::{Certainty, Operation, Outcome, Reply, ReplyBody, Request, RequestBody, ServiceId},
    wire,
};
use quorate_net::limits::WRITE_BYTES_MAX;
use quorate_net::{
    AllowList, Client, ClientLimits, ClientSettings, Clients, Identity, Listener, PeerAddress,
    Peers, identity::SecretKeys, metrics::NetMetrics,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};
use tokio::task::JoinSet;

pub(crate) const REPLICA_COUNT: u32 = 4;
const CLIENT: ClientId = ClientId::new(0);
const EPOCH: Epoch = Epoch::new(0);

/// What a replica does with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Returns every operation reversed.
    Honest,
    /// Returns something else.
    Lie,
    /// Answers with bytes that are no message.
    Garbage,
    /// Announces more results than there are operations, and not one of them.
    Junk,
    /// Sends its answer, a lie, again and again.
    Repeat,
    /// Opens sessions, and then says nothing.
    FallSilent,
    /// Says nothing.
    Silent,
    /// Says that another session is open.
    Fence(Session),
}

/// Four replicas and one client.
pub(crate) struct ScriptedCluster {
    addresses: Vec<PeerAddress>,
    replicas: Vec<Option<ScriptedReplica>>,
}

struct ScriptedReplica {
    script: Arc<Mutex<Script>>,
    requests: Arc<AtomicUsize>,
    clients: Clients,
    tasks: JoinSet<()>,
}

impl ScriptedCluster {
    pub(crate) async fn start(scripts: [Script; REPLICA_COUNT as usize]) -> Self {
        static CLUSTERS: AtomicU8 = AtomicU8::new(1);
        let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        // The other tests of this process count up from 1, these down from the end.
        let host = format!("127.{high}.{low}.{}", 255 - cluster);
        let mut addresses = Vec::new();
        let mut replicas = Vec::new();
        for (id, script) in (0..REPLICA_COUNT).map(ReplicaId::new).zip(scripts) {
            let (replica, address) = ScriptedReplica::start(id, &format!("{host}:0"), script).await;
            replicas.push(Some(replica));
            addresses.push(PeerAddress { id, address, link_key: replica_keys(id).public().link });
        }
        Self { addresses, replicas }
    }

    pub(crate) fn client(&self, parameters: ClientParameters) -> Client {
        Client::start(ClientSettings {
            config: Arc::new(config()),
            id: CLIENT,
            keys: client_keys(),
            replicas: self.addresses.clone(),
            parameters,
        })
        .unwrap()
    }

    pub(crate) fn set(&self, replica: u32, script: Script) {
        *self.replica(replica).script.lock().unwrap() = script;
    }

    /// Requests a replica has received.
    pub(crate) fn requests(&self, replica: u32) -> usize {
        self.replica(replica).requests.load(Ordering::Relaxed)
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.replicas.iter().flatten().map(|replica| replica.clients.connection_count()).sum()
    }

    pub(crate) async fn stop(&mut self, replica: u32) {
        let stopped = self.replicas[replica as usize].take().unwrap();
        let ScriptedReplica { mut tasks, .. } = stopped;
        tasks.shutdown().await;
    }

    pub(crate) async fn restart(&mut self, replica: u32) {
        let PeerAddress { id, address, .. } = &self.addresses[replica as usize];
        let (restarted, _) = ScriptedReplica::start(*id, address, Script::Honest).await;
        self.replicas[replica as usize] = Some(restarted);
    }

    fn replica(&self, replica: u32) -> &ScriptedReplica {
        self.replicas[replica as usize].as_ref().unwrap()
    }
}

impl ScriptedReplica {
    async fn start(id: ReplicaId, address: &str, script: Script) -> (Self, String) {
        let metrics = Arc::new(NetMetrics::default());
        let allowed =
            AllowList::new([(client_keys().public().link, Identity::Client(CLIENT))]).unwrap();
        let keys = replica_keys(id);
        let listener = Listener::bind(address, &keys, allowed, Arc::clone(&metrics)).await;
        let listener = listener.unwrap();
        let address = listener.local_address().unwrap().to_string();
        let (_, peer_inbox, door) =
            Peers::start(id, &keys, &[], &metrics, WRITE_BYTES_MAX).unwrap();
        let (clients, mut inbox) = Clients::new(ClientLimits::default(), &metrics);
        let script = Arc::new(Mutex::new(script));
        let requests = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let clients = clients.clone();
            async move {
                let _held = peer_inbox;
                match listener.run(door, clients).await {}
            }
        });
        tasks.spawn({
            let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
            let clients = clients.clone();
            async move {
                loop {
                    let (client, frame) = inbox.recv(|_| true).await;
                    requests.fetch_add(1, Ordering::Relaxed);
                    let script = *script.lock().unwrap();
                    if let Some(answer) = answer(id, script, &frame).map(bytes::Bytes::from) {
                        let times = if script == Script::Repeat { 100 } else { 1 };
                        (0..times).for_each(|_| clients.send(client, &answer));
                    }
                }
            }
        });
        (Self { script, requests, clients, tasks }, address)
    }
}

fn answer(id: ReplicaId, script: Script, frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Message::Request(request)) = wire::decode(EPOCH, frame) else {
        panic!("the client sent something else than a request");
    };
    let request = request.request();
    let opens = request.body == RequestBody::OpenSession;
    let outcome = match script {
        Script::Silent => return None,
        Script::FallSilent if !opens => return None,
        Script::Garbage => return Some(vec![0xee; 40]),
        Script::Fence(current) if !opens => Outcome::Fenced { current },
        Script::Junk if !opens => Outcome::Executed(vec![Vec::new(); 100_000]),
        Script::Lie | Script::Repeat if !opens => Outcome::Executed(vec![b"a lie".to_vec()]),
        _ => execute(request),
    };
    let reply = Reply {
        view: View::new(3),
        session: request.session,
        timestamp: request.timestamp,
        certainty: Certainty::Committed,
        designated: id,
        body: ReplyBody::Full(outcome),
    };
    Some(wire::encode(EPOCH, &Message::Reply(reply)))
}

fn execute(request: &Request) -> Outcome {
    match &request.body {
        RequestBody::OpenSession => Outcome::SessionOpened,
        RequestBody::Operations(operations) => {
            let reversed = |operation: &Operation| operation.body.iter().rev().copied().collect();
            Outcome::Executed(operations.iter().map(reversed).collect())
        }
    }
}

pub(crate) fn operation(body: &str) -> Operation {
    Operation { service: ServiceId(1), body: body.as_bytes().to_vec() }
}

fn config() -> Config {
    let key =
        |keys: SecretKeys| VerificationKey::from_bytes(*keys.public().signing.as_bytes()).unwrap();
    let domain = Domain { cluster: Digest::of("test", &[]), epoch: EPOCH };
    let replicas = (0..REPLICA_COUNT).map(|id| key(replica_keys(ReplicaId::new(id)))).collect();
    let digest = Digest::of("test", &[]);
    Config::new(domain, digest, replicas, vec![key(client_keys())], Parameters::default()).unwrap()
}

fn replica_keys(replica: ReplicaId) -> SecretKeys {
    crate::replica::keys(replica)
}

fn client_keys() -> SecretKeys {
    SecretKeys::from_seeds([200; 32], [201; 32])
}
