//! How numbers and names are written for people, on pages and terminals alike.

use crate::trace::Party;
use pbft::Digest;
use pbft::message::CheckpointId;

/// A duration in milliseconds, as precise as it is readable.
pub fn millis(micros: u64) -> String {
    if micros == 0 {
        return "0 ms".to_owned();
    }
    let thousandths = micros % 1_000;
    match micros / 1_000 {
        whole @ 0..10 => format!("{whole}.{:02} ms", thousandths / 10),
        whole @ 10..100_000 => format!("{}.{} ms", grouped(whole), thousandths / 100),
        whole => format!("{} ms", grouped(whole)),
    }
}

/// A moment, by its distance from the moment zero.
pub(crate) fn moment(at: u64, zero: u64) -> String {
    let sign = if at < zero { "−" } else { "+" };
    format!("{sign}{}", millis(at.abs_diff(zero)))
}

/// A number with a comma at every third digit.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two digits behind the point, or none if it is whole.
pub fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
}

/// So many of something.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Things in a row: "a", "a and b", "a, b and c".
pub(crate) fn listed(things: &[String]) -> String {
    match things {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Replicas by their ids, which are in order.
pub(crate) fn replicas(ids: &[u32]) -> String {
    match ids {
        [] => "no replica".to_owned(),
        [only] => format!("replica {only}"),
        _ => format!("replicas {}", numbers(ids)),
    }
}

/// Clients by their ids, which are in order.
pub(crate) fn clients(ids: &[u32]) -> String {
    match ids {
        [only] => format!("client {only}"),
        _ => format!("clients {}", numbers(ids)),
    }
}

/// Numbers in order, runs of more than three of them as "4 to 9".
pub(crate) fn numbers<T: Copy + Into<u64>>(ids: &[T]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for id in ids.iter().map(|id| (*id).into()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => runs.push((id, id)),
        }
    }
    let words: Vec<String> = runs
        .into_iter()
        .flat_map(|(first, last)| match last - first {
            0..3 => (first..=last).map(|id| id.to_string()).collect(),
            _ => vec![format!("{first} to {last}")],
        })
        .collect();
    listed(&words)
}

/// A replica or client by its name.
pub(crate) fn party(party: Party) -> String {
    match party {
        Party::Replica(replica) => format!("replica {replica}"),
        Party::Client(client) => format!("client {client}"),
    }
}

/// A state by the digests of it and of what led to it.
pub(crate) fn state(id: &CheckpointId) -> String {
    format!("state {} and history {}", id.state_root, id.history_root)
}

/// The batches that a new view chooses, from its start on.
pub(crate) fn choices(chosen: &[Digest]) -> String {
    let chosen: Vec<String> = chosen.iter().map(ToString::to_string).collect();
    listed(&chosen)
}

/// The beginning of a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_precise_as_they_are_readable() {
        assert_eq!(millis(1_676), "1.67 ms");
        assert_eq!(millis(12_345), "12.3 ms");
        assert_eq!(millis(2_002_384), "2,002.3 ms");
        assert_eq!(moment(1_001_676, 1_000_000), "+1.67 ms");
        assert_eq!(moment(0, 1_000_000), "−1,000.0 ms");
        assert_eq!(moment(7, 7), "+0 ms");
    }

    #[test]
    fn numbers_are_rounded_and_lists_are_short() {
        assert_eq!(rounded(26.807_017_543), "26.81");
        assert_eq!(rounded(36.0), "36");
        assert_eq!(numbers(&[1_u32, 2, 5, 6, 7, 8, 9]), "1, 2 and 5 to 9");
        assert_eq!(replicas(&[3]), "replica 3");
    }
}
