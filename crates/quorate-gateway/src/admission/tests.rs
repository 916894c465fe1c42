use super::*;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::service::AxumRouter;
use tonic::transport::server::TcpConnectInfo;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Admission to a service that returns what it is sent.
fn admission() -> Admission {
    let echo = AxumRouter::new().fallback(async |request: http::Request<AxumBody>| {
        http::Response::new(request.into_body())
    });
    Admission::new(Routes::from(echo), TIMEOUT)
}

fn connection() -> ClientConnection {
    ClientConnection::new(TcpConnectInfo { local_addr: None, remote_addr: None })
}

fn request_on(connection: &ClientConnection, body: AxumBody) -> http::Request<Body> {
    let mut request = http::Request::new(Body::new(body));
    request.extensions_mut().insert(connection.clone());
    request
}

/// A message that has so many bytes with its prefix.
fn message(bytes: usize) -> Vec<u8> {
    let length = u32::try_from(bytes - MESSAGE_PREFIX_BYTES).unwrap();
    let mut message = vec![0; bytes];
    message[1..MESSAGE_PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    message
}

fn request(bytes: usize) -> http::Request<Body> {
    request_on(&connection(), message(bytes).into())
}

/// A request of which no more comes than this. It ends when the sender is dropped.
fn half_sent(bytes: Vec<u8>) -> (mpsc::Sender<Result<Bytes, Status>>, http::Request<Body>) {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(Ok(bytes.into())).unwrap();
    let body = AxumBody::from_stream(ReceiverStream::new(receiver));
    (sender, request_on(&connection(), body))
}

async fn answer(admission: &mut Admission, request: http::Request<Body>) -> http::Response<Body> {
    let Ok(answer) = admission.call(request).await;
    answer
}

fn status(answer: &http::Response<Body>) -> Option<Status> {
    Status::from_header_map(answer.headers())
}

/// The next bytes of an answer, as HTTP/2 takes them when the client lets it.
async fn taken(answer: &mut http::Response<Body>) -> Option<Bytes> {
    let frame = poll_fn(|cx| Pin::new(answer.body_mut()).poll_frame(cx)).await;
    frame.map(|frame| frame.unwrap().into_data().unwrap())
}

/// Lets every task that can go on do so.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_request_too_many_is_refused_before_it_is_read() {
    let mut admission = admission();
    let mut under_way = Vec::new();
    for _ in 0..REQUESTS_COUNT_MAX {
        let (sender, request) = half_sent(vec![0]);
        under_way.push((sender, admission.call(request)));
    }
    let refused = status(&answer(&mut admission, request(10)).await).unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.message(), "etcdserver: too many requests");
    under_way.pop();
    assert!(status(&answer(&mut admission, request(10)).await).is_none());
}

#[tokio::test]
async fn bytes_of_half_sent_requests_are_bounded() {
    const BYTES: usize = 1 << 20;
    let mut admission = admission();
    let mut under_way: Vec<(_, JoinHandle<_>)> = Vec::new();
    for _ in 0..REQUESTS_BYTES_MAX / BYTES {
        let (sender, request) = half_sent(message(BYTES + 1)[..BYTES].to_vec());
        under_way.push((sender, tokio::spawn(admission.call(request))));
    }
    settle().await;
    let refused = status(&answer(&mut admission, request(10)).await).unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let (_, given_up) = under_way.pop().unwrap();
    given_up.abort();
    settle().await;
    assert!(status(&answer(&mut admission, request(10)).await).is_none());
}

#[tokio::test(start_paused = true)]
async fn half_sent_request_is_answered_when_its_time_is_up() {
    let mut admission = admission();
    let began = Instant::now();
    let (_sender, request) = half_sent(message(1000)[..999].to_vec());
    let refused = status(&answer(&mut admission, request).await).unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(
        refused.message(),
        "quorate: the request did not arrive in time; it was not executed"
    );
    assert_eq!(began.elapsed(), TIMEOUT);
    assert_eq!(admission.room.requests.available_permits(), REQUESTS_COUNT_MAX);
    assert_eq!(admission.room.request_bytes.available_permits(), REQUESTS_BYTES_MAX);
}

#[tokio::test]
async fn a_request_is_answered_once_its_message_is_there_or_too_long() {
    let mut admission = admission();
    let too_long = message(REQUEST_BYTES_READ_MAX + MESSAGE_PREFIX_BYTES + 1);
    for bytes in [message(100), too_long[..MESSAGE_PREFIX_BYTES].to_vec()] {
        let (sender, request) = half_sent(bytes.clone());
        let mut echoed = answer(&mut admission, request).await;
        assert!(sender.is_closed());
        assert_eq!(taken(&mut echoed).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn an_answer_keeps_its_place_until_its_last_byte_has_left() {
    let mut admission = admission();
    let room = admission.room.clone();
    let left = || (room.requests.available_permits(), room.answer_bytes.available_permits());
    let before = left();
    let mut answer = answer(&mut admission, request(ANSWER_BYTES_FREE + 100)).await;
    assert_eq!(left(), (before.0 - 1, before.1 - 100));
    let mut bytes = taken(&mut answer).await.unwrap();
    drop(answer);
    drop(bytes.split_to(1000));
    assert_eq!(left(), (before.0 - 1, before.1 - 100));
    drop(bytes);
    assert_eq!(left(), before);
}

#[tokio::test]
async fn answers_nobody_takes_are_bounded_and_short_ones_are_always_delivered() {
    const BYTES: usize = 1 << 20;
    let mut admission = admission();
    let mut untaken = Vec::new();
    let refused = loop {
        let answer = answer(&mut admission, request(BYTES)).await;
        match status(&answer) {
            Some(refused) => break refused,
            None => untaken.push(answer),
        }
    };
    assert_eq!(untaken.len(), ANSWERS_BYTES_MAX / (BYTES - ANSWER_BYTES_FREE));
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the operation was executed"), "{refused}");
    assert!(status(&answer(&mut admission, request(ANSWER_BYTES_FREE)).await).is_none());
}

#[tokio::test(start_paused = true)]
async fn connection_ends_when_an_answer_on_it_is_not_taken_in_time() {
    let mut admission = admission();
    let (quick, slow) = (connection(), connection());
    let request = |connection| request_on(connection, message(100).into());
    drop(answer(&mut admission, request(&quick)).await);
    let began = Instant::now();
    let _untaken = answer(&mut admission, request(&slow)).await;
    tokio::select! {
        () = slow.ended() => {}
        () = quick.ended() => panic!("what was taken in time ended its connection"),
    }
    assert_eq!(began.elapsed(), DELIVERY_TIMEOUT);
}
