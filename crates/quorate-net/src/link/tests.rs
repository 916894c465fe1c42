use super::*;
use crate::send_queue::QueueLimit;
use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};
use tokio::{
    io::{DuplexStream, ReadBuf, duplex},
    time::{Instant, advance, sleep},
};

const FRAME_BYTES_MAX: usize = 1 << 20;

fn queue() -> SendQueue {
    SendQueue::new(QueueLimit { count_max: 10_000, bytes_max: 8 << 20 }, WRITE_BYTES_MAX)
}

fn frame(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

/// Two ends of a link with a buffer of so many bytes in between.
fn pair(buffer_bytes: usize) -> [(LinkReader<DuplexStream>, LinkWriter<DuplexStream>); 2] {
    let (left, right) = duplex(buffer_bytes);
    [left, right].map(|stream| split(stream, FRAME_BYTES_MAX, &Arc::default()))
}

/// Runs `test` while the writers of both ends pump their queues.
async fn while_pumping(
    writers: [(&mut LinkWriter<DuplexStream>, &SendQueue); 2],
    test: impl Future<Output = ()>,
) {
    let [(left, left_queue), (right, right_queue)] = writers;
    tokio::select! {
        end = left.pump(left_queue) => panic!("left ended: {end}"),
        end = right.pump(right_queue) => panic!("right ended: {end}"),
        () = test => {}
    }
}

#[tokio::test(start_paused = true)]
async fn frames_cross_in_order_in_both_directions() {
    let [(mut left_in, mut left_out), (mut right_in, mut right_out)] = pair(1000);
    let (to_right, to_left) = (queue(), queue());
    for number in 0..1000 {
        to_right.push(frame(number));
        to_left.push(frame(number + 1000));
    }
    let large = Bytes::from(vec![9; FRAME_BYTES_MAX]);
    to_right.push(large.clone());
    let receive = async {
        for number in 0..1000 {
            assert_eq!(right_in.next().await.unwrap(), frame(number));
            assert_eq!(left_in.next().await.unwrap(), frame(number + 1000));
        }
        assert_eq!(right_in.next().await.unwrap(), large);
    };
    while_pumping([(&mut left_out, &to_right), (&mut right_out, &to_left)], receive).await;
    assert_eq!(left_out.open.counters.frames_sent.get(), 1001);
    assert_eq!(right_in.counters.frames_received.get(), 1001);
}

#[tokio::test(start_paused = true)]
async fn idle_link_stays_up() {
    let [(mut left_in, mut left_out), (mut right_in, mut right_out)] = pair(1000);
    let idle = async {
        tokio::select! {
            end = left_in.next() => panic!("{end:?}"),
            end = right_in.next() => panic!("{end:?}"),
            () = sleep(Duration::from_secs(3600)) => {}
        }
    };
    while_pumping([(&mut left_out, &queue()), (&mut right_out, &queue())], idle).await;
}

#[tokio::test(start_paused = true)]
async fn frozen_peer_is_noticed_by_its_silence() {
    let [(mut left_in, _left_out), _right] = pair(1000);
    let began = Instant::now();
    assert!(matches!(left_in.next().await, Err(LinkEnd::Silent)));
    assert_eq!(began.elapsed(), SILENCE_MAX);
    assert_eq!(left_in.counters.silences.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn peer_that_reads_nothing_is_noticed_and_the_queue_stays_bounded() {
    let [(_left_in, mut left_out), _right] = pair(1000);
    let queue = SendQueue::new(QueueLimit { count_max: 10, bytes_max: 10_000 }, WRITE_BYTES_MAX);
    let dropped: usize = (0..100).map(|_| queue.push(Bytes::from(vec![1; 1000]))).sum();
    assert_eq!(dropped, 90);
    assert!(matches!(left_out.pump(&queue).await, LinkEnd::Stalled));
    assert_eq!(left_out.open.counters.stalls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn slow_link_is_not_taken_for_a_dead_one() {
    let (left, mut right) = duplex(16 << 10);
    let (_left_in, mut left_out) = split(left, FRAME_BYTES_MAX, &Arc::default());
    let queue = queue();
    queue.push(Bytes::from(vec![1; FRAME_BYTES_MAX]));
    let drip = async {
        let mut piece = vec![0; 16 << 10];
        let mut received = 0;
        // A quarter of a piece every third of the limit: the whole frame takes many limits.
        while received < LENGTH_BYTES + FRAME_BYTES_MAX {
            received += right.read(&mut piece).await.unwrap();
            advance(STALL_MAX / 16).await;
        }
    };
    tokio::select! {
        end = left_out.pump(&queue) => panic!("{end}"),
        () = drip => {}
    }
}

#[tokio::test(start_paused = true)]
async fn oversize_frame_ends_the_link_before_its_bytes_arrive() {
    let (mut left, right) = duplex(1000);
    let (mut reader, _writer) = split(right, FRAME_BYTES_MAX, &Arc::default());
    left.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    assert!(matches!(reader.next().await, Err(LinkEnd::Oversize(_))));
    assert_eq!(reader.counters.frames_oversize.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn link_that_babbles_is_ended_and_one_that_sends_its_signs_of_life_late_is_not() {
    let (mut left, right) = duplex(10_000);
    let (mut reader, _writer) = split(right, FRAME_BYTES_MAX, &Arc::default());
    let send = |count| length_field(0).repeat(count);
    left.write_all(&[send(64), length_field(1).to_vec(), vec![7]].concat()).await.unwrap();
    assert_eq!(reader.next().await.unwrap(), &[7][..]);
    left.write_all(&send(64)).await.unwrap();
    assert!(matches!(reader.next().await, Err(LinkEnd::Babbling)));
}

#[tokio::test(start_paused = true)]
async fn truncated_frame_is_never_delivered() {
    let (mut left, right) = duplex(1000);
    let (mut reader, _writer) = split(right, FRAME_BYTES_MAX, &Arc::default());
    left.write_all(&[&length_field(10)[..], b"too short"].concat()).await.unwrap();
    drop(left);
    assert!(matches!(reader.next().await, Err(LinkEnd::Closed)));
    assert_eq!(reader.counters.frames_received.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn open_connections_are_counted_until_they_are_gone() {
    let counters = Arc::default();
    let (left, _right) = duplex(1000);
    let link = split(left, FRAME_BYTES_MAX, &counters);
    assert_eq!(counters.connections.get(), 1);
    drop(link);
    assert_eq!(counters.connections.get(), 0);
    assert_eq!(counters.connections_opened.get(), 1);
}

/// Swallows everything and counts the calls.
struct CountWrites(Arc<AtomicUsize>);

impl AsyncRead for CountWrites {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for CountWrites {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn queued_votes_leave_in_one_write() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (_reader, mut writer) =
        split(CountWrites(Arc::clone(&calls)), FRAME_BYTES_MAX, &Arc::default());
    let queue = queue();
    for number in 0..500 {
        queue.push(frame(number));
    }
    tokio::select! {
        biased;
        end = writer.pump(&queue) => panic!("{end}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(writer.open.counters.frames_sent.get(), 500);
    // One for the first keep-alive, one for all the votes.
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
