//! Calls of a client, from the body of the request to the body of the answer.

use super::store::Alone;
use crate::script::Script;
use http_body::Body as _;
use pbft::{ClientId, Digest, View};
use prost::Message;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::{Answer, InProcess, Members, Submission, Submitter};
use quorate_services::store::{OPERATION_BYTES_MAX, Operation};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::service::AxumBody;
use tonic::{Code, Status};

/// So many calls are made in one input at most.
const CALLS_MAX: usize = 16;

/// What gRPC puts before a message: whether it is compressed, and its length.
const MESSAGE_PREFIX_BYTES: usize = 5;

/// Longer than any run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A call that a client can make.
pub struct Rpc {
    /// Where in HTTP it is.
    pub path: &'static str,
    /// Whether these bytes are an answer to it.
    is_answer: fn(&[u8]) -> bool,
}

impl Rpc {
    const fn new<T: Message + Default>(path: &'static str) -> Self {
        Self { path, is_answer: |bytes| T::decode(bytes).is_ok() }
    }
}

/// Every call of the interface, and one to a service that is not there.
pub const RPCS: [Rpc; 19] = [
    Rpc::new::<pb::RangeResponse>("/etcdserverpb.KV/Range"),
    Rpc::new::<pb::PutResponse>("/etcdserverpb.KV/Put"),
    Rpc::new::<pb::DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange"),
    Rpc::new::<pb::TxnResponse>("/etcdserverpb.KV/Txn"),
    Rpc::new::<pb::CompactionResponse>("/etcdserverpb.KV/Compact"),
    Rpc::new::<pb::MemberListResponse>("/etcdserverpb.Cluster/MemberList"),
    Rpc::new::<pb::StatusResponse>("/etcdserverpb.Maintenance/Status"),
    Rpc::new::<pb::AlarmResponse>("/etcdserverpb.Maintenance/Alarm"),
    Rpc::new::<pb::MemberAddResponse>("/etcdserverpb.Cluster/MemberAdd"),
    Rpc::new::<pb::MemberRemoveResponse>("/etcdserverpb.Cluster/MemberRemove"),
    Rpc::new::<pb::MemberUpdateResponse>("/etcdserverpb.Cluster/MemberUpdate"),
    Rpc::new::<pb::MemberPromoteResponse>("/etcdserverpb.Cluster/MemberPromote"),
    Rpc::new::<pb::DefragmentResponse>("/etcdserverpb.Maintenance/Defragment"),
    Rpc::new::<pb::HashResponse>("/etcdserverpb.Maintenance/Hash"),
    Rpc::new::<pb::HashKvResponse>("/etcdserverpb.Maintenance/HashKV"),
    Rpc::new::<pb::SnapshotResponse>("/etcdserverpb.Maintenance/Snapshot"),
    Rpc::new::<pb::MoveLeaderResponse>("/etcdserverpb.Maintenance/MoveLeader"),
    Rpc::new::<pb::DowngradeResponse>("/etcdserverpb.Maintenance/Downgrade"),
    Rpc::new::<()>("/etcdserverpb.Watch/Watch"),
];

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which of [`RPCS`] it was.
    pub rpc: usize,
    /// What its client was told.
    pub code: Code,
    /// Whether the gateway had an operation executed for it.
    pub is_submitted: bool,
    /// Whether the replicas' answer was of the script's making and not the store's.
    pub is_scripted: bool,
}

/// One call of a script: which one, how, and how often its message is repeated, each a byte; the
/// client's timeout as a header, behind a byte of length; what replicas answer, behind two bytes of
/// length, and if that is nothing the store answers; the message, behind two bytes of length.
struct Call<'a> {
    rpc: usize,
    timeout: &'a [u8],
    reply: &'a [u8],
    /// The body of the request: the message behind its prefix, or without, if the script has that.
    body: Vec<u8>,
}

impl<'a> Call<'a> {
    fn next(script: &mut Script<'a>) -> Option<Self> {
        let rpc = usize::from(script.byte()?) % RPCS.len();
        let (how, repetitions) = (script.byte()?, usize::from(script.byte()?));
        let timeout = usize::from(script.byte()?);
        let timeout = script.bytes(timeout);
        let reply = usize::from(script.short()?);
        let reply = script.bytes(reply);
        let message = usize::from(script.short()?);
        let message = script.bytes(message).repeat(1 + repetitions);
        let has_prefix = how % 2 != 0;
        let body = if has_prefix { message } else { with_prefix(&message) };
        Some(Self { rpc, timeout, reply, body })
    }
}

fn with_prefix(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// Makes the calls of a script. Each is answered with a code that etcd has, and an answer without
/// an error is one to its call. What the gateway has executed is no longer than the store takes,
/// has one encoding and passes the store's checks, and the store's answer can be read.
pub(super) fn answered(script: &mut Script<'_>) -> Vec<Answered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without sockets").block_on(async {
        let (submitter, mut submissions) = Submitter::queue();
        let members = Members::new(&Digest::default(), ClientId::new(0), vec!["r:1".to_owned()]);
        let advertised = SocketAddr::from((Ipv4Addr::LOCALHOST, 2379));
        let mut gateway = InProcess::new(members, submitter, advertised, REQUEST_TIMEOUT);
        let mut store = Alone::default();
        let mut answered = Vec::new();
        while answered.len() < CALLS_MAX
            && let Some(call) = Call::next(script)
        {
            answered.push(answer(&mut gateway, &mut submissions, &mut store, call).await);
        }
        answered
    })
}

async fn answer(
    gateway: &mut InProcess,
    submissions: &mut Receiver<Submission>,
    store: &mut Alone,
    call: Call<'_>,
) -> Answered {
    let rpc = &RPCS[call.rpc];
    let mut request = http::Request::post(rpc.path).header("content-type", "application/grpc");
    if !call.timeout.is_empty() {
        request = request.header("grpc-timeout", call.timeout);
    }
    let body = Body::new(AxumBody::from(call.body));
    let is_scripted = !call.reply.is_empty();
    let (mut code, mut is_submitted) = (None, false);
    // HTTP knows bytes that no header has.
    if let Ok(request) = request.body(body) {
        let mut answer = pin!(gateway.call(request));
        let response = loop {
            tokio::select! {
                biased;
                Some(submission) = submissions.recv() => {
                    assert!(!is_submitted, "an operation is submitted once");
                    is_submitted = true;
                    check(&submission.operation);
                    let result = match is_scripted {
                        true => call.reply.to_vec(),
                        false => store.execute(&submission.operation),
                    };
                    // The client's own deadline may have passed.
                    let _ = submission.answer.send(Ok(Answer { result, view: View::ZERO }));
                }
                response = &mut answer => break response,
            }
        };
        let Ok(response) = response;
        code = Some(read(rpc, response).await);
    }
    let code = code.unwrap_or(Code::Internal);
    if is_submitted && !is_scripted {
        assert_ne!(code, Code::Internal, "the gateway reads what its store answers");
        assert_ne!(code, Code::Unimplemented, "what is not supported is not submitted");
    }
    Answered { rpc: call.rpc, code, is_submitted, is_scripted }
}

/// What is submitted is what replicas accept.
fn check(encoded: &[u8]) {
    assert!(encoded.len() <= OPERATION_BYTES_MAX, "{} bytes", encoded.len());
    let operation = Operation::decode(encoded).expect("the store reads what it is sent");
    assert_eq!(operation.encode(), encoded, "an operation has one encoding");
    assert_eq!(operation.check(), Ok(()), "what is refused anyway is refused here");
}

/// The code of a response, which must be one of etcd's, with one answer if that is OK.
async fn read(rpc: &Rpc, response: http::Response<Body>) -> Code {
    assert_eq!(response.status(), http::StatusCode::OK, "gRPC has codes of its own");
    let (head, mut body) = response.into_parts();
    let (mut bytes, mut trailers) = (Vec::<u8>::new(), None);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.expect("the answer is all there").into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let headers = trailers.as_ref().unwrap_or(&head.headers);
    let status = Status::from_header_map(headers).expect("every answer has a status");
    match status.code() {
        Code::Ok => {
            let message = bytes.split_off(MESSAGE_PREFIX_BYTES.min(bytes.len()));
            assert_eq!([bytes, message.clone()].concat(), with_prefix(&message));
            assert!((rpc.is_answer)(&message), "{}", rpc.path);
        }
        Code::InvalidArgument
        | Code::NotFound
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DeadlineExceeded => assert!(bytes.is_empty(), "an error has no answer"),
        other => panic!("{other:?}: {status:?}"),
    }
    status.code()
}
