use super::*;
use crate::node::checker::tests::{config, forged_request, frame, pre_prepare, request};
use pbft::message::Message;
use pbft::{ClientId, ReplicaId};

/// How many messages of a sender whose lane is always full are checked before the one message of
/// another sender.
async fn overtaken_by(
    checker: Arc<Checker>,
    (flooder, flood): (Sender, Bytes),
    (other, single): (Sender, Bytes),
) -> usize {
    // Of two threads one may lose its processor with the message in hand.
    let (verifier, mut results) = Verifier::with_threads(checker, 1).unwrap();
    let fill = || {
        while verifier.has_room(flooder) {
            assert!(verifier.take(flooder, flood.clone(), Company::Among).is_none());
        }
    };
    fill();
    assert!(verifier.has_room(other));
    assert!(verifier.take(other, single, Company::Among).is_none());
    let checked_before = results.len();
    let mut count = 0;
    loop {
        let checked = results.recv().await.unwrap();
        if checked.sender == other {
            checked.result.unwrap();
            break;
        }
        count += 1;
        fill();
    }
    verifier.finish();
    count - checked_before.min(count)
}

/// One message was under way, and one was checked whose result was not counted yet.
const OVERTAKEN_MAX: usize = 2;

#[tokio::test]
async fn replica_that_floods_delays_another_by_one_message() {
    let config = config();
    let [flooder, primary] = [2, 0].map(|id| Sender::Replica(ReplicaId::new(id)));
    // The last of its signatures is forged, so all of them are checked each time.
    let requests = (1..512).map(|timestamp| request(&config, 0, timestamp));
    let flood = pre_prepare(&config, 0, requests.chain([forged_request(&config, 0, 512)]));
    let single = pre_prepare(&config, 0, [request(&config, 1, 1)]);
    let checker = Arc::new(Checker::new(config, true));
    let count = overtaken_by(checker, (flooder, flood), (primary, single)).await;
    assert!(count <= OVERTAKEN_MAX, "{count}");
}

#[tokio::test]
async fn client_that_floods_delays_another_by_one_message() {
    let config = config();
    let [flooder, other] = [0, 2].map(|id| Sender::Client(ClientId::new(id)));
    let [flood, single] = [0, 2].map(|id| frame(&Message::Request(request(&config, id, 1))));
    let checker = Arc::new(Checker::new(config, true));
    let count = overtaken_by(checker, (flooder, flood), (other, single)).await;
    assert!(count <= OVERTAKEN_MAX, "{count}");
}

#[tokio::test]
async fn short_message_is_checked_at_once_only_when_nothing_else_waits() {
    let config = config();
    let sender = Sender::Client(ClientId::new(0));
    let short = frame(&Message::Request(request(&config, 0, 1)));
    let (verifier, mut results) = Verifier::start(Arc::new(Checker::new(config, true))).unwrap();
    let checked = verifier.take(sender, short.clone(), Company::Alone).unwrap();
    checked.result.unwrap();
    assert!(verifier.take(sender, short.clone(), Company::Alone).is_none(), "the first waits");
    drop(checked._place);
    assert!(verifier.take(sender, short, Company::Among).is_none());
    for _ in 0..2 {
        results.recv().await.unwrap().result.unwrap();
    }
    verifier.finish();
}

#[tokio::test]
async fn few_short_messages_that_came_together_are_checked_at_once() {
    let config = config();
    let group = |count: u32| {
        let sent = |client| {
            let message = Message::Request(request(&config, client, 1));
            (Sender::Client(ClientId::new(client)), frame(&message))
        };
        (0..count).map(sent).collect::<Vec<_>>()
    };
    let (verifier, mut results) =
        Verifier::start(Arc::new(Checker::new(config.clone(), true))).unwrap();
    verifier.take_group(group(3));
    assert_eq!(results.len(), 3, "checked before the call returns");
    verifier.take_group(group(4));
    for _ in 0..7 {
        results.recv().await.unwrap().result.unwrap();
    }
    verifier.finish();
}
