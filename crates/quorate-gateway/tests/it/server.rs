//! Addresses, connections, beginnings and endings.

use crate::harness::{gateway_answering, gateway_before};
use quorate_gateway::etcd::etcdserverpb::{PutRequest, RangeRequest};
use quorate_gateway::limits::{DELIVERY_TIMEOUT, KEEPALIVE_INTERVAL};
use quorate_gateway::{Answer, Config, Exposure, Gateway, GatewayError};
use quorate_services::store::{Outcome, PutResponse, RangeResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Code;

fn empty_range() -> Outcome {
    Outcome { revision: 1, result: Ok(Response::Range(RangeResponse::default())) }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

#[tokio::test]
async fn an_address_that_is_not_loopback_must_be_asked_for() {
    let any = "0.0.0.0:0".parse().unwrap();
    let refused = Gateway::bind(Config::loopback(any)).await.unwrap_err();
    assert!(matches!(refused, GatewayError::NotLoopback(addr) if addr == any));
    assert!(!refused.to_string().contains('\n'));
    let exposed = Config { exposure: Exposure::Network, ..Config::loopback(any) };
    assert_ne!(Gateway::bind(exposed).await.unwrap().local_addr().port(), 0);
    for loopback in ["127.0.0.1:0", "127.9.9.9:0"] {
        let listen = loopback.parse().unwrap();
        assert!(Gateway::bind(Config::loopback(listen)).await.is_ok(), "{loopback}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let first = Gateway::bind(Config::loopback("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let refused = Gateway::bind(Config::loopback(first.local_addr())).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "cannot listen on {}: the port is in use; stop what uses it or choose another port",
            first.local_addr()
        )
    );
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_under_way() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let gateway = gateway_before(move |submission| arrived.try_send(submission).unwrap()).await;
    let mut kv = gateway.kv();
    let put = PutRequest { key: b"k".to_vec(), ..PutRequest::default() };
    let request = tokio::spawn(async move { kv.put(put).await });
    let submission = arrivals.recv().await.unwrap();
    let addr = gateway.addr;
    let stopping = tokio::spawn(gateway.stop());
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let outcome = Outcome { revision: 2, result: Ok(Response::Put(PutResponse::default())) };
    let view = pbft::View::new(1);
    submission.answer.send(Ok(Answer { result: outcome.encode(), view })).unwrap();
    let header = request.await.unwrap().unwrap().into_inner().header.unwrap();
    assert_eq!(header.revision, 2);
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn garbage_ends_its_own_connection_and_no_other() {
    let gateway = gateway_answering(|_| Ok(empty_range())).await;
    let mut kv = gateway.kv();
    kv.range(get("before")).await.unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &b"PRI * HTTP/3.0\r\n"[..]] {
        let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // Whether it ends with a GOAWAY or a reset does not matter; it must end.
        let _ = stream.read_to_end(&mut rest).await;
    }
    kv.range(get("after")).await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_named_in_the_refusal() {
    let gateway = gateway_answering(|_| Ok(empty_range())).await;
    let mut client = tonic::client::Grpc::new(gateway.channel());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<RangeRequest, RangeRequest>::default();
    let path = "/etcdserverpb.Lease/LeaseGrant".parse().unwrap();
    let request = tonic::Request::new(get("k"));
    let refused = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.message(), "quorate: etcdserverpb.Lease/LeaseGrant is not supported yet");
}

#[tokio::test]
async fn a_silent_connection_keeps_neither_another_one_nor_the_end_waiting() {
    let gateway = gateway_answering(|_| Ok(empty_range())).await;
    let mut silent = TcpStream::connect(gateway.addr).await.unwrap();
    gateway.kv().range(get("k")).await.unwrap();
    gateway.stop().await.unwrap();
    // The server's greeting, and then the end, in one way or another.
    let _ = silent.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_leave_is_cut_off() {
    let gateway = gateway_answering(|_| Ok(empty_range())).await;
    let mut mute = TcpStream::connect(gateway.addr).await.unwrap();
    // The preface and empty settings; the pings that follow stay without an answer.
    mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    gateway.kv().range(get("k")).await.unwrap();
    gateway.stop().await.unwrap();
    let _ = mute.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let gateway = gateway_answering(|_| Ok(empty_range())).await;
    let began = Instant::now();
    let mut deaf = TcpStream::connect(gateway.addr).await.unwrap();
    deaf.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // Answers may have 0 bytes until further notice.
    deaf.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0").await.unwrap();
    // POST http /etcdserverpb.KV/Range application/grpc, and a request for the key "k".
    let headers = b"\x83\x86\x44\x16/etcdserverpb.KV/Range\x5f\x10application/grpc";
    let length = u8::try_from(headers.len()).unwrap();
    deaf.write_all(&[0, 0, length, 1, 4, 0, 0, 0, 1]).await.unwrap();
    deaf.write_all(headers).await.unwrap();
    deaf.write_all(b"\0\0\x08\0\x01\0\0\0\x01\0\0\0\0\x03\x0a\x01k").await.unwrap();
    let _ = deaf.read_to_end(&mut Vec::new()).await;
    let waited = began.elapsed();
    assert!((DELIVERY_TIMEOUT..KEEPALIVE_INTERVAL).contains(&waited), "{waited:?}");
    gateway.kv().range(get("k")).await.unwrap();
}
