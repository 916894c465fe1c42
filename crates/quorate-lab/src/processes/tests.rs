use super::*;
use crate::world::cluster;
use pbft::SeqNum;
use pbft::message::Vote;

/// What replica 0 made of one COMMIT of replica 3 that came twice.
fn judged(kind_of_replica_3: &str) -> Outcome {
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
        clients: Vec::new(),
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

#[test]
fn message_that_is_repeated_on_purpose_counts_each_time() {
    let counts = judged("dos_attacker").messages;
    assert_eq!((counts.commit, counts.other), (2, 0));
}
