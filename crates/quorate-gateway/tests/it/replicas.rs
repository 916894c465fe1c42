//! The gateway before four replicas behind mutual TLS, some of which lie or say nothing. Each
//! executes what it is asked at once: there is one client here, so the order is its own.

use crate::harness::{Memory, PATIENCE, TestGateway, gateway_with};
use pbft::message::{
    Certainty, Outcome, Read, ReadReply, Reply, ReplyBody, Request, RequestBody, ServiceId,
};
use pbft::{
    ClientId, ClientParameters, Config, Context, Digest, Domain, Epoch, Message, Parameters,
    ReplicaId, SeqNum, Service, VerificationKey, View, WallTime, wire,
};
use quorate_gateway::Submitter;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_net::identity::SecretKeys;
use quorate_net::limits::WRITE_BYTES_MAX;
use quorate_net::metrics::NetMetrics;
use quorate_net::{
    AllowList, Client, ClientInbox, ClientLimits, ClientSettings, Clients, Identity, Listener,
    PeerAddress, Peers,
};
use quorate_services::store::{self, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::Code;

const CLIENT: ClientId = ClientId::new(0);
const EPOCH: Epoch = Epoch::new(0);
const VIEW: View = View::new(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Honest,
    /// Pretends that every store is further on than it is: the liars agree with each other.
    Lie,
    Silent,
    /// Shows readers what was so before the last request, unless they ask for what came then.
    Behind,
    /// Is not there at all.
    Down,
}
use Script::{Behind, Down, Honest, Lie, Silent};

/// A gateway and its replicas, which live as long as this.
struct Cluster {
    gateway: TestGateway,
    /// How many operations were ordered, at each replica.
    ordered: Arc<AtomicUsize>,
    _replicas: JoinSet<()>,
}

async fn cluster_of(scripts: [Script; 4], request_timeout: Duration) -> Cluster {
    let ordered = Arc::new(AtomicUsize::new(0));
    let mut replicas = JoinSet::new();
    let mut addresses = Vec::new();
    for (id, script) in (0..).map(ReplicaId::new).zip(scripts) {
        let allowed = [(client_keys().public().link, Identity::Client(CLIENT))];
        let metrics = Arc::new(NetMetrics::default());
        let keys = replica_keys(id);
        let allowed = AllowList::new(allowed).unwrap();
        let listener = Listener::bind("127.0.0.1:0", &keys, allowed, Arc::clone(&metrics)).await;
        let listener = listener.unwrap();
        let address = listener.local_address().unwrap().to_string();
        addresses.push(PeerAddress { id, address, link_key: keys.public().link });
        if script == Down {
            continue;
        }
        let (_, peers, door) = Peers::start(id, &keys, &[], &metrics, WRITE_BYTES_MAX).unwrap();
        let (clients, inbox) = Clients::new(ClientLimits::default(), &metrics);
        let accepted = clients.clone();
        replicas.spawn(async move {
            let _peers = peers;
            match listener.run(door, accepted).await {}
        });
        replicas.spawn(answer_all(id, script, clients, inbox, Arc::clone(&ordered)));
    }
    let client = Client::start(ClientSettings {
        config: Arc::new(config()),
        id: CLIENT,
        keys: client_keys(),
        replicas: addresses,
        parameters: ClientParameters::default(),
    });
    let client = client.unwrap();
    while client.connected().len() < scripts.iter().filter(|script| **script != Down).count() {
        tokio::task::yield_now().await;
    }
    let submitter = Submitter::cluster(client, ServiceId(0));
    let gateway = gateway_with(submitter, request_timeout).await;
    Cluster { gateway, ordered, _replicas: replicas }
}

async fn answer_all(
    id: ReplicaId,
    script: Script,
    clients: Clients,
    mut inbox: ClientInbox,
    ordered: Arc<AtomicUsize>,
) {
    let mut store = Store::new();
    let mut state = Memory::default();
    // After the last request, and before it.
    let mut shown = [(SeqNum::ZERO, Memory::default()), (SeqNum::ZERO, Memory::default())];
    loop {
        let (client, frame) = inbox.recv(|_| true).await;
        let message = wire::decode(EPOCH, &frame);
        if script == Silent {
            continue;
        }
        let request = match message {
            Ok(Message::Request(request)) => request,
            Ok(Message::Read(read)) => {
                let reply = Message::ReadReply(read_reply(&read, script, &shown));
                clients.send(client, &wire::encode(EPOCH, &reply).into());
                continue;
            }
            _ => panic!("the client sent something else than a request"),
        };
        let request = request.request();
        let reply = Reply {
            view: VIEW,
            session: request.session,
            timestamp: request.timestamp,
            certainty: Certainty::Committed,
            designated: id,
            body: ReplyBody::Full(outcome(request, script, &mut store, &mut state)),
        };
        clients.send(client, &wire::encode(EPOCH, &Message::Reply(reply)).into());
        if let RequestBody::Operations(operations) = &request.body {
            ordered.fetch_add(operations.len(), Ordering::Relaxed);
            shown.rotate_right(1);
            shown[0] = (SeqNum::new(request.timestamp.get()), state.clone());
        }
    }
}

fn read_reply(read: &Read, script: Script, shown: &[(SeqNum, Memory); 2]) -> ReadReply {
    let [now, before] = shown;
    let (seq, state) = if script == Behind && read.not_before <= before.0 { before } else { now };
    let mut store = Store::new();
    store.restored(state);
    let context = Context { client: CLIENT, seq: *seq, time: WallTime::default(), choice: &[] };
    let readings = read.operations.iter().map(|operation| {
        let mut reading = store.query(&context, &operation.body, state)?;
        if script == Lie {
            reading.revision = u64::MAX;
            reading.content.reverse();
        }
        Some(reading)
    });
    ReadReply {
        session: read.session,
        number: read.number,
        executed: *seq,
        readings: readings.collect(),
    }
}

fn outcome(request: &Request, script: Script, store: &mut Store, state: &mut Memory) -> Outcome {
    let RequestBody::Operations(operations) = &request.body else {
        return Outcome::SessionOpened;
    };
    let results = operations.iter().map(|operation| {
        let seq = SeqNum::new(request.timestamp.get());
        let context = Context { client: CLIENT, seq, time: WallTime::default(), choice: &[] };
        let result = store.execute(&context, &operation.body, state);
        if script != Lie {
            return result;
        }
        let mut outcome = store::Outcome::decode(&result).unwrap();
        outcome.revision += 100;
        outcome.encode()
    });
    Outcome::Executed(results.collect())
}

fn config() -> Config {
    let key =
        |keys: SecretKeys| VerificationKey::from_bytes(*keys.public().signing.as_bytes()).unwrap();
    let digest = Digest::of("test", &[]);
    let replicas = (0..4).map(|id| key(replica_keys(ReplicaId::new(id)))).collect();
    let domain = Domain { cluster: digest, epoch: EPOCH };
    // These replicas order nothing, so each answers what it is sent itself.
    let parameters = Parameters { requests_to_primary: false, ..Parameters::default() };
    Config::new(domain, digest, replicas, vec![key(client_keys())], parameters).unwrap()
}

fn replica_keys(replica: ReplicaId) -> SecretKeys {
    let seed = u8::try_from(replica.get()).unwrap();
    SecretKeys::from_seeds([seed; 32], [seed + 100; 32])
}

fn client_keys() -> SecretKeys {
    SecretKeys::from_seeds([200; 32], [201; 32])
}

fn put(value: &str) -> pb::PutRequest {
    pb::PutRequest { key: b"k".to_vec(), value: value.into(), ..pb::PutRequest::default() }
}

fn get() -> pb::RangeRequest {
    pb::RangeRequest { key: b"k".to_vec(), ..pb::RangeRequest::default() }
}

#[tokio::test]
async fn one_replica_that_lies_or_is_silent_or_missing_changes_nothing() {
    for faulty in [Lie, Silent, Down] {
        let cluster = cluster_of([Honest, faulty, Honest, Honest], PATIENCE).await;
        let mut kv = cluster.gateway.kv();
        for (value, revision) in [("one", 2), ("two", 3)] {
            let header = kv.put(put(value)).await.unwrap().into_inner().header.unwrap();
            assert_eq!(header.revision, revision);
            assert_eq!(header.raft_term, VIEW.get() + 1);
            let range = kv.range(get()).await.unwrap().into_inner();
            assert_eq!(range.kvs[0].value, value.as_bytes());
            assert_eq!(range.header.unwrap().revision, revision);
        }
        let status = cluster.gateway.maintenance().status(pb::StatusRequest {}).await.unwrap();
        assert_eq!(status.into_inner().raft_index, 3);
    }
}

/// A gateway that has put two values, the second one at revision 3.
async fn written_twice(scripts: [Script; 4]) -> Cluster {
    let cluster = cluster_of(scripts, PATIENCE).await;
    for value in ["old", "new"] {
        cluster.gateway.kv().put(put(value)).await.unwrap();
    }
    cluster
}

/// What is read is not ordered: where replicas agree it takes one round trip, and two where some
/// were caught before a write, or one was and another one lies.
#[tokio::test]
async fn a_read_is_not_ordered_unless_replicas_cannot_agree() {
    for scripts in [
        [Honest, Honest, Honest, Honest],
        [Honest, Lie, Honest, Honest],
        [Honest, Honest, Behind, Honest],
        [Honest, Honest, Behind, Behind],
        [Honest, Silent, Behind, Honest],
    ] {
        let cluster = written_twice(scripts).await;
        let ordered = cluster.ordered.load(Ordering::Relaxed);
        let range = cluster.gateway.kv().range(get()).await.unwrap().into_inner();
        assert_eq!(range.kvs[0].value, b"new");
        assert_eq!(range.header.unwrap().revision, 3);
        let at_two = pb::RangeRequest { revision: 2, ..get() };
        let range = cluster.gateway.kv().range(at_two).await.unwrap().into_inner();
        assert_eq!(range.kvs[0].value, b"old");
        assert_eq!(cluster.ordered.load(Ordering::Relaxed), ordered);
    }
}

/// What replicas do not agree on in two rounds is ordered, and so is a transaction that only reads,
/// which names no revision.
#[tokio::test]
async fn a_read_on_which_nobody_agrees_is_ordered() {
    // Now and then the lie, about the revision too, is among the first three answers.
    let cluster = written_twice([Honest, Lie, Behind, Behind]).await;
    let ordered = cluster.ordered.load(Ordering::Relaxed);
    for _ in 0..20 {
        let range = cluster.gateway.kv().range(get()).await.unwrap().into_inner();
        assert_eq!(range.kvs[0].value, b"new");
    }
    assert!(cluster.ordered.load(Ordering::Relaxed) > ordered);

    let cluster = written_twice([Honest, Honest, Behind, Behind]).await;
    let ordered = cluster.ordered.load(Ordering::Relaxed);
    let step = pb::RequestOp { request: Some(pb::request_op::Request::RequestRange(get())) };
    let reads = pb::TxnRequest { success: vec![step], ..pb::TxnRequest::default() };
    let answer = cluster.gateway.kv().txn(reads).await.unwrap().into_inner();
    assert_eq!(answer.header.unwrap().revision, 3);
    assert!(cluster.ordered.load(Ordering::Relaxed) > ordered);
}

#[tokio::test]
async fn without_a_quorum_of_equal_answers_there_is_an_error_and_never_an_answer() {
    let scripts = [
        // As many liars as honest replicas: the client believes neither.
        ([Honest, Lie, Honest, Lie], "did not agree on a result in time"),
        ([Honest, Silent, Silent, Honest], "did not agree on a result in time"),
        ([Honest, Lie, Honest, Silent], "did not agree on a result in time"),
        ([Honest, Down, Down, Honest], "only 2 replicas can be reached and 3 must agree"),
    ];
    for (scripts, said) in scripts {
        let cluster = cluster_of(scripts, Duration::from_millis(300)).await;
        let refused = cluster.gateway.kv().put(put("v")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert!(refused.message().contains(said), "{refused}");
    }
}
