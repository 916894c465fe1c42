use super::*;
use crate::world::cluster;
use pbft::message::{Certainty, Reply, ReplyBody, Vote};
use pbft::{Epoch, SeqNum, Session};

/// What is made of one COMMIT of replica 3 that came to replica 0 twice.
fn judged(kind_of_replica_3: &str) -> Outcome {
    judged_with(kind_of_replica_3, |_| Vec::new())
}

/// And of these things that clients saw.
fn judged_with(kind_of_replica_3: &str, clients: impl Fn(Epoch) -> Vec<ClientEntry>) -> Outcome {
    let text = format!(
        "format = 1\ntitle = \"t\"\n[[start]]\nat = 0\nhonest_node = 3\n{kind_of_replica_3} = 1\n"
    );
    let scenario = Scenario::parse("s.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let (config, ..) = cluster(&scenario.options);
    let vote = Vote { view: View::ZERO, seq: SeqNum::new(1), digest: Digest::of("t", &[]) };
    let frame = wire::encode(config.domain.epoch, &Message::Commit(vote));
    let arrived = |at| {
        let (from, fate) = (Party::Replica(ReplicaId::new(3)), Arrival::Handled);
        Entry { at, what: What::Arrived { from, frame: frame.clone(), fate } }
    };
    let mut replicas = vec![Vec::new(); 4];
    replicas[0] = vec![arrived(10), arrived(20)];
    let recorded = Recorded {
        scenario: &scenario,
        time_scale: 1.0,
        config: &config,
        began: 0,
        ended: 30,
        replicas,
        clients: clients(config.domain.epoch),
        faults: Vec::new(),
        history: &History::default(),
        evidence: Vec::new(),
        stopped: Vec::new(),
        view: View::ZERO,
        unfinished: None,
        worked: Worked::default(),
    };
    judge(&recorded, &mut |_| {})
}

/// On a busy machine anybody says again what seems to be late, a liar like the others.
#[test]
fn message_that_is_sent_again_because_it_is_late_counts_as_repair() {
    for kind in ["slow_nodes", "faulty_node", "faulty_replies_node"] {
        let counts = judged(kind).messages;
        assert_eq!((counts.commit, counts.other), (1, 1), "{kind}");
    }
}

/// What a client sent to all may come to one replica when that has executed it and told the result.
#[test]
fn second_reply_to_a_request_counts_as_repair_although_more_is_known_by_then() {
    let told = |epoch, at, certainty| {
        let from = ReplicaId::new(2);
        let body = ReplyBody::Digest(Digest::of("t", &[]));
        let (view, session, timestamp) = (View::ZERO, Session::default(), Timestamp::new(1));
        let reply = Reply { view, session, timestamp, certainty, designated: from, body };
        let frame = wire::encode(epoch, &Message::Reply(reply));
        ClientEntry { at, client: 0, saw: ClientSaw::Reply { from, frame } }
    };
    let twice =
        |epoch| vec![told(epoch, 11, Certainty::Tentative), told(epoch, 12, Certainty::Committed)];
    let counts = judged_with("slow_nodes", twice).messages;
    assert_eq!((counts.reply, counts.other), (1, 2));
}

#[test]
fn message_that_is_repeated_on_purpose_counts_each_time() {
    let counts = judged("dos_attacker").messages;
    assert_eq!((counts.commit, counts.other), (2, 0));
}
