//! The service. An operation is a line of text: `open LOT SECONDS`, `bid LOT AMOUNT` or
//! `show LOT`; so is a result.
//!
//! Who bids is who signed the request, and when a lot closes is decided by the time on which the
//! replicas agree. So there is nothing here that could differ between two of them.

use quorate::{ClientId, Context, Reading, Service, State, StateRead, WallTime};
use std::time::Duration;

/// The auction. All it knows is in the replicated state: for each lot, a [`Lot`] as text.
pub struct Auction;

impl Service for Auction {
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        let words = words(operation);
        let answer = match words.as_slice() {
            ["open", name, seconds] => open(context, state, name, seconds),
            ["bid", name, amount] => bid(context, state, name, amount),
            ["show", name] => show(context, state, name),
            _ => "no such operation".to_owned(),
        };
        answer.into_bytes()
    }

    fn query(
        &self,
        context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading> {
        match words(operation).as_slice() {
            ["show", name] => Some(show(context, state, name).into_bytes().into()),
            _ => None,
        }
    }

    fn restored(&mut self, _: &dyn StateRead) {}
}

/// No words at all if `operation` is not text.
fn words(operation: &[u8]) -> Vec<&str> {
    std::str::from_utf8(operation).unwrap_or_default().split_whitespace().collect()
}

/// The longest name of a lot, in bytes: names are keys of the state, and those have a limit.
const NAME_BYTES_MAX: usize = 100;

/// What is known of one lot. A leader of 0 with an amount of 0 is nobody: bids are above 0.
struct Lot {
    closes: WallTime,
    amount: u64,
    leader: ClientId,
}

impl Lot {
    fn read(state: &dyn StateRead, name: &str) -> Option<Self> {
        let text = state.get(name.as_bytes())?;
        let mut numbers =
            std::str::from_utf8(&text).ok()?.split(' ').map(|word| word.parse::<u64>().ok());
        let closes = WallTime::from_millis(numbers.next()??);
        let amount = numbers.next()??;
        let leader = ClientId::new(numbers.next()??.try_into().ok()?);
        Some(Self { closes, amount, leader })
    }

    fn write(&self, state: &mut dyn State, name: &str) {
        let Self { closes, amount, leader } = self;
        let text = format!("{} {amount} {}", closes.as_millis(), leader.get());
        state.put(name.as_bytes(), text.into_bytes());
    }

    fn is_closed(&self, context: &Context<'_>) -> bool {
        context.time >= self.closes
    }
}

fn open(context: &Context<'_>, state: &mut dyn State, name: &str, seconds: &str) -> String {
    let Ok(seconds) = seconds.parse::<u32>() else {
        return format!("not a number of seconds: {seconds}");
    };
    if name.len() > NAME_BYTES_MAX {
        return format!("a name has at most {NAME_BYTES_MAX} bytes");
    }
    if Lot::read(state, name).is_some() {
        return format!("{name} was opened before");
    }
    let closes = context.time.as_millis().saturating_add(u64::from(seconds) * 1000);
    let lot = Lot { closes: WallTime::from_millis(closes), amount: 0, leader: ClientId::new(0) };
    lot.write(state, name);
    format!("{name} is open for {:?}", Duration::from_secs(seconds.into()))
}

fn bid(context: &Context<'_>, state: &mut dyn State, name: &str, amount: &str) -> String {
    let Ok(amount) = amount.parse::<u64>() else { return format!("not an amount: {amount}") };
    let Some(mut lot) = Lot::read(state, name) else { return no_such_lot(name) };
    if lot.is_closed(context) || amount <= lot.amount {
        return format!("no: {}", show(context, state, name));
    }
    lot.amount = amount;
    lot.leader = context.client;
    lot.write(state, name);
    show(context, state, name)
}

fn show(context: &Context<'_>, state: &dyn StateRead, name: &str) -> String {
    let Some(lot) = Lot::read(state, name) else { return no_such_lot(name) };
    let Lot { amount, leader, .. } = lot;
    match (lot.is_closed(context), amount) {
        (true, 0) => format!("{name} is closed, nobody wanted it"),
        (true, _) => format!("{name} is sold to client {leader} for {amount}"),
        (false, 0) => format!("{name} is open, nobody has bid"),
        (false, _) => format!("{name} is open, client {leader} leads with {amount}"),
    }
}

fn no_such_lot(name: &str) -> String {
    format!("there is no lot {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate::SeqNum;
    use std::collections::BTreeMap;

    /// A state in memory: a service can be tested without a cluster.
    #[derive(Default)]
    struct InMemory(BTreeMap<Vec<u8>, Vec<u8>>);

    impl StateRead for InMemory {
        fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.0.get(key).cloned()
        }

        fn scan(
            &self,
            start: &[u8],
            end: Option<&[u8]>,
            visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
        ) {
            let from_start = self.0.range(start.to_vec()..);
            let within =
                from_start.take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end));
            for (key, value) in within {
                if !visit(key, value) {
                    return;
                }
            }
        }
    }

    impl State for InMemory {
        fn put(&mut self, key: &[u8], value: Vec<u8>) {
            self.0.insert(key.to_vec(), value);
        }

        fn delete(&mut self, key: &[u8]) {
            self.0.remove(key);
        }
    }

    fn at(millis: u64, client: u32) -> Context<'static> {
        let time = WallTime::from_millis(millis);
        Context { client: ClientId::new(client), seq: SeqNum::new(1), time, choice: &[] }
    }

    fn execute(state: &mut InMemory, context: Context<'_>, operation: &str) -> String {
        let result = Auction.execute(&context, operation.as_bytes(), state);
        String::from_utf8(result).unwrap()
    }

    #[test]
    fn the_highest_bid_before_the_agreed_time_wins() {
        let state = &mut InMemory::default();
        assert_eq!(execute(state, at(0, 1), "open vase 10"), "vase is open for 10s");
        assert_eq!(execute(state, at(1, 1), "bid vase 5"), "vase is open, client 1 leads with 5");
        assert_eq!(
            execute(state, at(2, 2), "bid vase 5"),
            "no: vase is open, client 1 leads with 5"
        );
        assert_eq!(
            execute(state, at(9_999, 2), "bid vase 6"),
            "vase is open, client 2 leads with 6"
        );
        assert_eq!(
            execute(state, at(10_000, 1), "bid vase 7"),
            "no: vase is sold to client 2 for 6"
        );
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let state = &mut InMemory::default();
        for operation in ["", "bid vase 5", "bid vase x", "open vase -1", "open vase", "sell"] {
            execute(state, at(0, 1), operation);
        }
        Auction.execute(&at(0, 1), &[0xff, 0xfe], state);
        assert!(state.0.is_empty());
    }

    #[test]
    fn a_query_answers_what_is_asked_and_writes_nothing() {
        let state = &mut InMemory::default();
        execute(state, at(0, 1), "open vase 10");
        let shown = Auction.query(&at(1, 1), b"show vase", state).unwrap();
        assert_eq!(shown.content, b"vase is open, nobody has bid");
        assert_eq!(Auction.query(&at(1, 1), b"bid vase 5", state), None);
    }
}
