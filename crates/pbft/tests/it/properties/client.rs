//! A client among f liars: whatever they say and whenever, it believes what correct replicas
//! computed or nothing, and once all correct replicas have answered it has every result.

use crate::cluster::{client_key, test_config};
use pbft::message::{
    Certainty, Message, Operation, Outcome, Reply, ReplyBody, Request, RequestBody, ServiceId,
};
use pbft::{
    Client, ClientId, ClientOutput, ClientParameters, Completion, Digest, OperationId, ReplicaId,
    ReplyRule, Session, Time, Timestamp, View,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Submit(u8),
    /// A correct replica answers the n-th request it has not answered yet.
    Answer {
        replica: u32,
        which: usize,
        by_digest: bool,
        certainty: Certainty,
    },
    /// A liar says anything about a recent or future request.
    Lie {
        liar: u32,
        back: u64,
        lie: Lie,
        certainty: Certainty,
        view: u64,
    },
    Wait(u64),
}

#[derive(Clone, Debug)]
enum Lie {
    Executed(u8),
    TrueDigest,
    Digest(u8),
    Fenced(u64),
    OutsideWindow,
    SessionOpened,
    Before(u8),
    /// That the true result was lost.
    TrueBefore,
    TooFew,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        (0..3_u8).prop_map(Lie::Executed),
        Just(Lie::TrueDigest),
        any::<u8>().prop_map(Lie::Digest),
        (0..9_u64).prop_map(Lie::Fenced),
        Just(Lie::OutsideWindow),
        Just(Lie::SessionOpened),
        any::<u8>().prop_map(Lie::Before),
        Just(Lie::TrueBefore),
        Just(Lie::TooFew),
    ]
}

fn certainty() -> impl Strategy<Value = Certainty> {
    use Certainty::{Committed, CommittedInView, Tentative};
    prop_oneof![Just(Committed), Just(Tentative), Just(CommittedInView)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Submit),
        6 => (any::<u32>(), 0..4_usize, any::<bool>(), certainty()).prop_map(
            |(replica, which, by_digest, certainty)| Step::Answer {
                replica, which, by_digest, certainty,
            }
        ),
        6 => (any::<u32>(), 0..4_u64, lie(), certainty(), any::<u64>()).prop_map(
            |(liar, back, lie, certainty, view)| Step::Lie { liar, back, lie, certainty, view }
        ),
        1 => (1..3000_u64).prop_map(Step::Wait),
    ]
}

/// The correct replicas execute a request by turning each body around, at most three operations
/// of a request: the others come back in a later request [CL8].
fn truth(request: &Request) -> Outcome {
    match &request.body {
        RequestBody::OpenSession => Outcome::SessionOpened,
        RequestBody::Operations(operations) => {
            let turned = |operation: &Operation| operation.body.iter().rev().copied().collect();
            Outcome::Executed(operations.iter().take(3).map(turned).collect())
        }
    }
}

/// The client, what it was asked for and what it said.
struct World {
    client: Client,
    now: Time,
    correct: Vec<u32>,
    liars: Vec<u32>,
    /// Every request sent, in the order of first sending.
    sent: Vec<Request>,
    /// Requests each correct replica has yet to answer.
    unanswered: BTreeMap<u32, Vec<Request>>,
    submitted: BTreeMap<OperationId, Vec<u8>>,
    completed: BTreeMap<OperationId, Vec<u8>>,
}

impl World {
    fn new(n: u32, rule: ReplyRule) -> Self {
        let parameters = ClientParameters { reply_rule: rule, ..ClientParameters::default() };
        let config = Arc::new(test_config(n));
        let client =
            Client::new(config, ClientId::ZERO, client_key(0), Session::new(5), parameters);
        // The liars have the lowest ids, the correct ones the others.
        let f = (n - 1) / 3;
        let correct: Vec<u32> = (f..n).collect();
        let unanswered = correct.iter().map(|replica| (*replica, Vec::new())).collect();
        Self {
            client,
            now: Time::ZERO,
            liars: (0..f).collect(),
            correct,
            sent: Vec::new(),
            unanswered,
            submitted: BTreeMap::new(),
            completed: BTreeMap::new(),
        }
    }

    fn absorb(&mut self, outputs: Vec<ClientOutput>) -> Result<(), TestCaseError> {
        for output in outputs {
            match output {
                ClientOutput::Send { message, .. } => {
                    let Message::Request(request) = &*message else { continue };
                    let request = request.request().clone();
                    if !self.sent.contains(&request) {
                        let again = self.sent.iter().any(|r| r.timestamp == request.timestamp);
                        prop_assert!(!again, "one timestamp, two requests");
                        self.sent.push(request.clone());
                    }
                    for waiting in self.unanswered.values_mut() {
                        waiting.push(request.clone());
                    }
                }
                ClientOutput::Completed(id, Completion::Executed(result)) => {
                    let body = self.submitted.get(&id).expect("a submitted operation");
                    let expected: Vec<u8> = body.iter().rev().copied().collect();
                    prop_assert_eq!(&result, &expected, "a liar was believed");
                    prop_assert!(self.completed.insert(id, result).is_none(), "twice");
                }
                ClientOutput::Completed(_, other) => {
                    prop_assert!(false, "a liar was believed: {other:?}");
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, replica: u32, reply: Reply) -> Result<(), TestCaseError> {
        let mut outputs = Vec::new();
        self.client.on_reply(self.now, ReplicaId::new(replica), reply, &mut outputs);
        self.absorb(outputs)
    }

    fn reply(timestamp: Timestamp, certainty: Certainty, body: ReplyBody) -> Reply {
        Reply {
            view: View::new(2),
            session: Session::new(5),
            timestamp,
            certainty,
            designated: ReplicaId::ZERO,
            body,
        }
    }

    fn answer(
        &mut self,
        replica: u32,
        which: usize,
        by_digest: bool,
        certainty: Certainty,
    ) -> Result<(), TestCaseError> {
        let replica = self.correct[replica as usize % self.correct.len()];
        let waiting = self.unanswered.get_mut(&replica).expect("a correct replica");
        if waiting.is_empty() {
            return Ok(());
        }
        let request = waiting.remove(which % waiting.len());
        let outcome = truth(&request);
        let body =
            if by_digest { ReplyBody::Digest(outcome.digest()) } else { ReplyBody::Full(outcome) };
        self.hear(replica, Self::reply(request.timestamp, certainty, body))
    }

    fn lie(
        &mut self,
        liar: u32,
        back: u64,
        lie: &Lie,
        certainty: Certainty,
        view: u64,
    ) -> Result<(), TestCaseError> {
        let liar = self.liars[liar as usize % self.liars.len()];
        let last = self.sent.last().map_or(0, |request| request.timestamp.get());
        let timestamp = Timestamp::new((last + 1).saturating_sub(back));
        let about = self.sent.iter().find(|request| request.timestamp == timestamp);
        let true_digest = about.map(truth).map_or(Digest::default(), |outcome| outcome.digest());
        let full = ReplyBody::Full;
        let body = match lie {
            Lie::Executed(count) => {
                full(Outcome::Executed(vec![b"lie".to_vec(); usize::from(*count)]))
            }
            Lie::TrueDigest => ReplyBody::Digest(true_digest),
            Lie::Digest(byte) => ReplyBody::Digest(Digest::from_bytes([*byte; 32])),
            Lie::Fenced(session) => full(Outcome::Fenced { current: Session::new(*session) }),
            Lie::OutsideWindow => full(Outcome::OutsideWindow),
            Lie::SessionOpened => full(Outcome::SessionOpened),
            Lie::Before(byte) => full(Outcome::ExecutedBefore(Digest::from_bytes([*byte; 32]))),
            Lie::TrueBefore => full(Outcome::ExecutedBefore(true_digest)),
            Lie::TooFew => full(Outcome::Executed(Vec::new())),
        };
        let reply = Reply { view: View::new(view), ..Self::reply(timestamp, certainty, body) };
        self.hear(liar, reply)
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Submit(byte) => {
                let body = vec![*byte, self.submitted.len() as u8];
                let operation = Operation { service: ServiceId(0), body: body.clone() };
                let id = self.client.submit(operation).expect("nothing fenced it");
                self.submitted.insert(id, body);
                let mut outputs = Vec::new();
                self.client.flush(self.now, &mut outputs);
                self.absorb(outputs)
            }
            Step::Answer { replica, which, by_digest, certainty } => {
                self.answer(*replica, *which, *by_digest, *certainty)
            }
            Step::Lie { liar, back, lie, certainty, view } => {
                self.lie(*liar, *back, lie, *certainty, *view)
            }
            Step::Wait(millis) => {
                self.now = self.now.after(Duration::from_millis(*millis));
                let mut outputs = Vec::new();
                self.client.on_tick(self.now, &mut outputs);
                self.absorb(outputs)
            }
        }
    }

    /// From now on the correct replicas answer everything whole and committed.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..400 {
            if self.client.unfinished() == 0 {
                return Ok(());
            }
            self.take(&Step::Wait(5000))?;
            for replica in 0..self.correct.len() as u32 {
                while !self.unanswered[&self.correct[replica as usize]].is_empty() {
                    self.answer(replica, 0, false, Certainty::Committed)?;
                }
            }
        }
        prop_assert!(false, "{} operations never finished", self.client.unfinished());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    /// [CL1] [CL3] [CL5] [CL8] [DR4]
    #[test]
    fn client_believes_the_truth_or_nothing_in_spite_of_f_liars(
        n in prop_oneof![Just(4_u32), Just(7)],
        papers_rule in any::<bool>(),
        steps in vec(step(), 0..120),
    ) {
        let rule =
            if papers_rule { ReplyRule::WeakUnlessTentative } else { ReplyRule::AlwaysQuorum };
        let mut world = World::new(n, rule);
        for step in &steps {
            world.take(step)?;
            prop_assert!(world.client.view() <= View::new(2), "liars moved the view");
        }
        world.settle()?;
        prop_assert_eq!(world.completed.len(), world.submitted.len());
    }
}
