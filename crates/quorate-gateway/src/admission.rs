//! The way of a request in and of its answer out: who may begin, how much is read and until when,
//! and that an answer is paid for until its last byte has left.
//!
//! A client decides when the bytes of its request come and when it takes those of its answer, so
//! both are held here and nowhere behind: a service sees a request once all of it is there, and
//! hands over its answer at once. What HTTP/2 keeps of an answer carries the request's place with
//! it.

use crate::deadline::Deadline;
use crate::limits::{
    ANSWER_BYTES_FREE, ANSWERS_BYTES_MAX, DELIVERY_TIMEOUT, REQUEST_BYTES_READ_MAX,
    REQUESTS_BYTES_MAX, REQUESTS_COUNT_MAX,
};
use crate::listener::ClientConnection;
use crate::refusal::{half_sent, no_room_for_answer, refused_by_store, too_many_requests};
use crate::transaction_size::has_too_many_parts;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use quorate_services::store::StoreError;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::{Service, http};
use tonic::service::{AxumBody, Routes};

/// The one method whose requests can be far longer decoded than encoded.
const TRANSACTION: &str = "/etcdserverpb.KV/Txn";

/// What gRPC puts before a message.
const MESSAGE_PREFIX_BYTES: usize = 5;

/// The services, behind the limits. Clones share both.
#[derive(Clone)]
pub(crate) struct Admission {
    services: Routes,
    room: Room,
    request_timeout: Duration,
}

/// What is left of the limits.
#[derive(Clone)]
struct Room {
    /// One permit for each request that may still begin.
    requests: Arc<Semaphore>,
    /// One permit for each byte of requests that may still be read.
    request_bytes: Arc<Semaphore>,
    /// One permit for each byte of answers that may still wait for their clients.
    answer_bytes: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(services: Routes, request_timeout: Duration) -> Self {
        let room = Room {
            requests: Arc::new(Semaphore::new(REQUESTS_COUNT_MAX)),
            request_bytes: Arc::new(Semaphore::new(REQUESTS_BYTES_MAX)),
            answer_bytes: Arc::new(Semaphore::new(ANSWERS_BYTES_MAX)),
        };
        Self { services, room, request_timeout }
    }

    /// Reads a request, has it answered, and makes the answer one that keeps its place.
    async fn answer(
        mut self,
        place: OwnedSemaphorePermit,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Status> {
        let (mut head, body) = request.into_parts();
        let deadline = Deadline::of(&head.headers, Instant::now(), self.request_timeout)?;
        let connection: ClientConnection =
            head.extensions.remove().expect("the server names the connection of every request");
        head.extensions.insert(connection.info.clone());
        head.extensions.insert(deadline);
        let read = timeout_at(deadline.at, self.room.read(body)).await;
        let (request, _room) = read.map_err(|_elapsed| half_sent(deadline.set_by))??;
        let message = request.get(MESSAGE_PREFIX_BYTES..).unwrap_or_default();
        if head.uri.path() == TRANSACTION && has_too_many_parts(message) {
            return Err(refused_by_store(StoreError::TooManyOperations));
        }
        let request = http::Request::from_parts(head, Body::new(AxumBody::from(request)));
        let Ok(answer) = self.services.call(request).await;
        let (head, body) = answer.into_parts();
        let (bytes, trailers) = collect(body).await?;
        let data = match bytes.is_empty() {
            true => None,
            false => Some(self.room.keep(bytes, place, connection)?),
        };
        Ok(http::Response::from_parts(head, Body::new(Answer { data, trailers })))
    }
}

impl Service<http::Request<Body>> for Admission {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Ok(place) = Arc::clone(&self.room.requests).try_acquire_owned() else {
            return Box::pin(async { Ok(too_many_requests().into_http()) });
        };
        let answer = self.clone().answer(place, request);
        Box::pin(async { Ok(answer.await.unwrap_or_else(Status::into_http)) })
    }
}

impl Room {
    /// Reads the one message of a request, or as much as shows that it is too long. The permit is
    /// for its bytes.
    async fn read(&self, mut body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Status> {
        let mut request = Vec::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while request.len() < wanted(&request)
            && let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            let Ok(data) = frame?.into_data() else { break };
            let more = take(&self.request_bytes, data.len()).ok_or_else(too_many_requests)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            request.extend_from_slice(&data);
        }
        Ok((request.into(), room))
    }

    /// Makes the bytes of an answer hold the request's place and their own room until the last of
    /// them has left. If that takes too long, the connection ends.
    fn keep(
        &self,
        bytes: Vec<u8>,
        place: OwnedSemaphorePermit,
        connection: ClientConnection,
    ) -> Result<Bytes, Status> {
        let charged = bytes.len().saturating_sub(ANSWER_BYTES_FREE);
        let room = take(&self.answer_bytes, charged).ok_or_else(no_room_for_answer)?;
        let (waiting, delivered) = oneshot::channel();
        let due = Instant::now() + DELIVERY_TIMEOUT;
        tokio::spawn(async move {
            tokio::select! {
                // Nothing is ever sent: it completes once the answer is gone.
                _ = delivered => {}
                () = sleep_until(due) => connection.end(),
            }
        });
        let held = HeldAnswer { bytes, _place: place, _room: room, _waiting: waiting };
        Ok(Bytes::from_owner(held))
    }
}

/// How many bytes of a request are to be read, as far as those read so far tell: the compression,
/// the message's length, and the message.
fn wanted(read: &[u8]) -> usize {
    match read {
        [_, a, b, c, d, ..] => match u32::from_be_bytes([*a, *b, *c, *d]) as usize {
            length if length <= REQUEST_BYTES_READ_MAX => MESSAGE_PREFIX_BYTES + length,
            _too_long => MESSAGE_PREFIX_BYTES,
        },
        _ => MESSAGE_PREFIX_BYTES,
    }
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    Arc::clone(room).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
}

/// The bytes of an answer that its client has not taken yet.
struct HeldAnswer {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
    _room: OwnedSemaphorePermit,
    _waiting: oneshot::Sender<Infallible>,
}

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes a service's answer, which is there at once, out of its body.
async fn collect(mut body: Body) -> Result<(Vec<u8>, Option<HeaderMap>), Status> {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

/// The body of an answer.
struct Answer {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match self.data.take() {
            Some(data) => Some(Frame::data(data)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
mod tests;
