//! What the clients of a run called, what they got and how long it took, for people.

use crate::trace::Line;
use std::collections::BTreeMap;

/// Of so many calls each has a line of its own.
const CALLS_SHOWN_MAX: usize = 10;

/// The calls of a run, collected from its trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    calls: BTreeMap<usize, Call>,
}

#[derive(Clone, Debug, PartialEq)]
struct Call {
    client: u32,
    what: String,
    at: u64,
    answer: Option<(u64, String)>,
}

impl Call {
    /// How long the answer took, in microseconds.
    fn latency(&self) -> Option<u64> {
        self.answer.as_ref().map(|(at, _)| at.saturating_sub(self.at))
    }
}

impl Answers {
    /// Takes in a line of the trace.
    pub fn see(&mut self, line: &Line) {
        match line {
            Line::Called { at, client, operation, what } => {
                let call = Call { client: *client, what: what.clone(), at: *at, answer: None };
                self.calls.insert(*operation, call);
            }
            Line::Answered { at, operation, result, .. } => {
                if let Some(call) = self.calls.get_mut(operation) {
                    call.answer = Some((*at, result.clone()));
                }
            }
            _ => {}
        }
    }

    /// When a client called first, in seconds of the run.
    pub fn first_call(&self) -> Option<f64> {
        self.calls.values().map(|call| call.at).min().map(seconds)
    }

    /// When a client had its last reply, in seconds of the run.
    pub fn last_reply(&self) -> Option<f64> {
        let replies = self.calls.values().filter_map(|call| call.answer.as_ref());
        replies.map(|(at, _)| *at).max().map(seconds)
    }

    /// A line for each call, or, of many, one for all: who called what, and after how many seconds
    /// the reply was there.
    pub fn lines(&self) -> Vec<String> {
        if self.calls.len() > CALLS_SHOWN_MAX {
            return vec![self.in_one_line()];
        }
        let line = |call: &Call| {
            let Call { client, what, at, answer } = call;
            match (call.latency(), answer) {
                (Some(latency), Some((_, result))) => format!(
                    "client {client} had its reply after {:.6} s: {what}: {result}",
                    seconds(latency)
                ),
                _ => format!("client {client} had no reply: {what}, called at {} s", seconds(*at)),
            }
        };
        self.calls.values().map(line).collect()
    }

    fn in_one_line(&self) -> String {
        let mut latencies: Vec<u64> = self.calls.values().filter_map(Call::latency).collect();
        latencies.sort_unstable();
        let answered =
            format!("{} of {} calls had their replies", latencies.len(), self.calls.len());
        match latencies.last() {
            None => answered,
            Some(worst) => format!(
                "{answered}, after {:.6} s in the median and {:.6} s at worst",
                seconds(latencies[latencies.len() / 2]),
                seconds(*worst)
            ),
        }
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(calls: u64) -> Answers {
        let mut answers = Answers::default();
        for number in 0..calls {
            let (operation, at) = (number as usize, 1_000_000);
            let what = format!("put key-{number} v");
            answers.see(&Line::Called { at, client: 7, operation, what });
            let at = at + (number + 1) * 1_000;
            answers.see(&Line::Answered { at, client: 7, operation, result: "done".to_owned() });
        }
        answers
    }

    #[test]
    fn each_of_few_calls_has_a_line_with_its_latency() {
        let answers = answers(2);
        assert_eq!((answers.first_call(), answers.last_reply()), (Some(1.0), Some(1.002)));
        assert_eq!(
            answers.lines(),
            [
                "client 7 had its reply after 0.001000 s: put key-0 v: done",
                "client 7 had its reply after 0.002000 s: put key-1 v: done",
            ]
        );
    }

    #[test]
    fn many_calls_share_one_line_with_the_median_and_the_worst() {
        let line = "101 of 101 calls had their replies, after 0.051000 s in the median and \
                    0.101000 s at worst";
        assert_eq!(answers(101).lines(), [line]);
    }

    #[test]
    fn a_call_without_a_reply_is_told_too() {
        let mut answers = Answers::default();
        let what = "get key-0".to_owned();
        answers.see(&Line::Called { at: 1_500_000, client: 0, operation: 0, what });
        assert_eq!(answers.lines(), ["client 0 had no reply: get key-0, called at 1.5 s"]);
        assert_eq!(Answers::default().lines(), [""; 0]);
    }
}
