//! Clients of the etcd interface, and the record of what they asked and were answered.

use anyhow::{Context, Result};
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use quorate_lab::linearizability::{Answer, Call, Expected, Found, History, Response};
use quorate_lab::rng::{MILLION, Seed, Stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Clients that call at the same time.
const CLIENT_COUNT: u32 = 8;

/// Keys they share, few enough that they meet.
const KEY_COUNT: usize = 24;

/// The pause of a client between two calls, in milliseconds.
const PAUSE_MS_MAX: u64 = 16;

/// The pause of a client that got no answer.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// How long a client waits for one answer; afterwards its outcome is unknown.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the cluster may take to serve its first call.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that was recorded.
pub(super) struct Recorded {
    pub(super) history: History,
    pub(super) longest_outage: Duration,
}

/// Running clients.
pub(super) struct Load {
    record: Arc<Mutex<Record>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

struct Record {
    history: History,
    last_answer: Instant,
    longest_outage: Duration,
}

impl Load {
    pub(super) async fn start(endpoint: &str, seed: Seed) -> Result<Self> {
        let record = Record {
            history: History::default(),
            last_answer: Instant::now(),
            longest_outage: Duration::ZERO,
        };
        let record = Arc::new(Mutex::new(record));
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for id in 0..CLIENT_COUNT {
            let client = Client {
                id,
                kv: connect(endpoint)?,
                stream: seed.stream_of("demo client", u64::from(id)),
                record: Arc::clone(&record),
                values: 0,
                seen: vec![0; KEY_COUNT],
            };
            clients.spawn(client.call_until(stopped.clone()));
        }
        Ok(Self { record, stop, clients })
    }

    /// Lets every client finish its call, and returns what they saw.
    pub(super) async fn finish(mut self) -> Recorded {
        // They are all listening, or have ended.
        let _ = self.stop.send(true);
        while self.clients.join_next().await.is_some() {}
        let mut record = lock(&self.record);
        record.note_gap();
        let history = std::mem::take(&mut record.history);
        Recorded { history, longest_outage: record.longest_outage }
    }
}

impl Record {
    /// Nobody was answered since the last answer.
    fn note_gap(&mut self) {
        let now = Instant::now();
        self.longest_outage = self.longest_outage.max(now - self.last_answer);
        self.last_answer = now;
    }
}

struct Client {
    id: u32,
    kv: KvClient<Channel>,
    stream: Stream,
    record: Arc<Mutex<Record>>,
    /// Counts the values written, so that each is written once.
    values: u64,
    /// The revision at which each key was last seen modified.
    seen: Vec<u64>,
}

impl Client {
    async fn call_until(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let index = self.stream.index(KEY_COUNT);
            let call = self.choose(index);
            self.call(index, call).await;
            sleep(Duration::from_millis(self.stream.within(0..=PAUSE_MS_MAX))).await;
        }
    }

    fn choose(&mut self, index: usize) -> Call {
        match self.stream.below(MILLION) {
            0..500_000 => Call::Get,
            500_000..800_000 => Call::Put(self.new_value()),
            800_000..950_000 => {
                let expected = Expected::ModRevision(self.seen.get(index).copied().unwrap_or(0));
                Call::CompareAndSwap { expected, value: self.new_value() }
            }
            _ => Call::Delete,
        }
    }

    fn new_value(&mut self) -> Vec<u8> {
        self.values += 1;
        format!("{}-{}", self.id, self.values).into_bytes()
    }

    async fn call(&mut self, index: usize, call: Call) {
        let key = format!("demo/{index}").into_bytes();
        let is_get = matches!(call, Call::Get);
        let operation = lock(&self.record).history.invoke(self.id, &key, call.clone());
        let Ok(Ok(answer)) = timeout(CALL_TIMEOUT, self.ask(&key, &call)).await else {
            // Whether it was executed is not known; the next call waits a moment.
            return sleep(PAUSE_AFTER_ERROR).await;
        };
        if let (Response::Got(found), Some(seen)) = (&answer.response, self.seen.get_mut(index)) {
            *seen = found.as_ref().map_or(0, |found| found.mod_revision);
        }
        let mut record = lock(&self.record);
        if is_get {
            record.history.complete_unordered(operation, answer);
        } else {
            record.history.complete(operation, answer);
        }
        record.note_gap();
    }

    async fn ask(&mut self, key: &[u8], call: &Call) -> Result<Answer, Status> {
        let key = key.to_vec();
        let (header, response) = match call {
            Call::Get => {
                let request = pb::RangeRequest { key, ..Default::default() };
                let answer = self.kv.range(request).await?.into_inner();
                let found = answer
                    .kvs
                    .into_iter()
                    .next()
                    .map(|kv| Found { mod_revision: unsigned(kv.mod_revision), value: kv.value });
                (answer.header, Response::Got(found))
            }
            Call::Put(value) => {
                let request = pb::PutRequest { key, value: value.clone(), ..Default::default() };
                (self.kv.put(request).await?.into_inner().header, Response::Put)
            }
            Call::Delete => {
                let request = pb::DeleteRangeRequest { key, ..Default::default() };
                let answer = self.kv.delete_range(request).await?.into_inner();
                (answer.header, Response::Deleted(answer.deleted > 0))
            }
            Call::CompareAndSwap { expected, value } => {
                let request = compare_and_swap(key, expected, value);
                let answer = self.kv.txn(request).await?.into_inner();
                (answer.header, Response::Swapped(answer.succeeded))
            }
        };
        let header = header.ok_or_else(|| Status::new(Code::Internal, "no header"))?;
        Ok(Answer { revision: unsigned(header.revision), response })
    }
}

fn compare_and_swap(key: Vec<u8>, expected: &Expected, value: &[u8]) -> pb::TxnRequest {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    let (target, union) = match expected {
        Expected::Value(value) => (CompareTarget::Value, TargetUnion::Value(value.clone())),
        Expected::ModRevision(revision) => {
            let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
            (CompareTarget::Mod, TargetUnion::ModRevision(revision))
        }
    };
    let compare = pb::Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: key.clone(),
        target_union: Some(union),
        ..Default::default()
    };
    let put = pb::PutRequest { key, value: value.to_vec(), ..Default::default() };
    let put = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) };
    pb::TxnRequest { compare: vec![compare], success: vec![put], failure: Vec::new() }
}

/// Waits until the cluster answers for the first time.
pub(super) async fn wait_until_served(endpoint: &str) -> Result<()> {
    let mut kv = connect(endpoint)?;
    let first = async {
        loop {
            let request = pb::RangeRequest { key: b"first".to_vec(), ..Default::default() };
            match kv.range(request).await {
                Ok(_) => return,
                Err(error) => tracing::debug!(%error, "not served yet"),
            }
        }
    };
    timeout(FIRST_TIMEOUT, first).await.context("the cluster did not answer in time; see its logs")
}

fn connect(endpoint: &str) -> Result<KvClient<Channel>> {
    let channel = Endpoint::from_shared(format!("http://{endpoint}"))?.connect_lazy();
    Ok(KvClient::new(channel))
}

/// Revisions are never negative.
fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
