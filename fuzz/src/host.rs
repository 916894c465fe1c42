//! A replica whose peers send it whatever the fuzzer thinks of.

use crate::{CONFIG, admitted};
use pbft::message::{Answer, CheckpointId, HelloReply, Remembered};
use pbft::{
    Config, Digest, Incarnation, Input, Message, Now, Output, Recovered, Replica, ReplicaId,
    ReplicaStatus, Sender, SeqNum, SigningKey, StateMirror, Time, WallTime,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Which replica is attacked: a backup of view 0 that is the primary of view 1.
const ATTACKED: u32 = 1;
/// How it names its start.
pub(crate) const BOOT_ID: [u8; 16] = [7; 16];

/// Frames one after the other: the sender, two bytes of length, the frame. A length of zero lets
/// time pass instead. The replica keeps its invariants after every step and does not panic.
pub fn replica(data: &[u8]) -> ReplicaStatus {
    let mut host = Host::start(&CONFIG);
    let mut rest = data;
    while let Some((frame, tail)) = split_frame(rest) {
        rest = tail;
        if frame.len() == 1 {
            host.now = host.now.after(Duration::from_millis(u64::from(frame[0])));
            host.feed(Input::Tick);
        } else if let Some(verified) = admitted(&CONFIG, &frame) {
            host.feed(Input::Message(verified));
        }
    }
    host.replica.status()
}

/// The next sender and frame, put together, and what comes behind.
pub(crate) fn split_frame(data: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (head, tail) = data.split_at_checked(3)?;
    let length = usize::from(u16::from_le_bytes([head[1], head[2]]));
    let (frame, rest) = tail.split_at_checked(length)?;
    Some(([&head[..1], frame].concat(), rest))
}

struct Host {
    replica: Replica,
    now: Time,
}

impl Host {
    /// A replica that its peers have let in.
    fn start(config: &Arc<Config>) -> Self {
        let mut outputs = Vec::new();
        let key = SigningKey::from_seed(Zeroizing::new([ATTACKED as u8 + 1; 32]));
        let id = ReplicaId::new(ATTACKED);
        let recovered = Recovered {
            genesis: state(),
            checkpoint: (SeqNum::ZERO, state()),
            state: StateMirror::default(),
            is_lost: false,
            records: Vec::new(),
        };
        let now = Time::from_micros(1_000_000);
        let config_of = Arc::clone(config);
        let clock = Now { monotonic: now, wall: WallTime::from_millis(0) };
        let replica = Replica::recover(config_of, id, key, BOOT_ID, clock, recovered, &mut outputs);
        let mut host = Self { replica, now };
        // Each is asked again, in another round, once enough have answered [RJ1].
        for (round, peer) in (0..=2).flat_map(|round| [0, 2, 3].map(|peer| (round, peer))) {
            let (incarnation, seen, others) = (Incarnation::ZERO, Vec::new(), Vec::new());
            let answer = Answer::Starts(Remembered {
                incarnation,
                seen,
                others,
                is_confirmed: true,
                by: [7; 16],
                round,
            });
            let reply = HelloReply { boot_id: BOOT_ID, answer };
            let reply = Message::HelloReply(reply);
            let sender = Sender::Replica(ReplicaId::new(peer));
            let verified = config.admit(sender, reply).expect("HELLO-REPLY passes the door");
            host.feed(Input::Message(verified));
        }
        assert!(host.replica.status().admitted, "the peers let it in");
        host
    }

    /// Takes one step and answers what it asks, like a host whose service does nothing.
    fn feed(&mut self, input: Input) {
        let (mut inputs, mut has_ticked) = (VecDeque::from([input]), false);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            let wall = WallTime::from_millis(self.now.as_micros() / 1000);
            self.replica.step(Now { monotonic: self.now, wall }, input, &mut outputs);
            assert_eq!(self.replica.broken_invariant(), None);
            inputs.extend(outputs.into_iter().filter_map(answer));
            // What is due at once, as the proposal of a request that has just come.
            let is_due = self.replica.next_deadline().is_some_and(|due| due <= self.now);
            if inputs.is_empty() && is_due && !std::mem::replace(&mut has_ticked, true) {
                inputs.push_back(Input::Tick);
            }
        }
    }
}

fn answer(output: Output) -> Option<Input> {
    match output {
        Output::Choose => Some(Input::Chosen(Vec::new())),
        Output::Execute { seq, .. } => {
            Some(Input::Executed { seq, executions: Vec::new(), rejoined: Vec::new() })
        }
        Output::TakeCheckpoint { seq } => Some(Input::CheckpointTaken { seq, id: state() }),
        Output::FetchState { seq, id } => {
            Some(Input::StateInstalled { seq, id, state: StateMirror::default() })
        }
        _ => None,
    }
}

fn state() -> CheckpointId {
    CheckpointId { state_root: Digest::default(), history_root: Digest::default() }
}
