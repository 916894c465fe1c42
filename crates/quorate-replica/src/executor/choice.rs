//! The primary's choice for a batch, taken apart by service.
//!
//! A batch carries one string of bytes; several services may each make a choice. A faulty primary
//! may put anything there, so what does not decode means, at every replica alike, that no service
//! made a choice.

use borsh::BorshDeserialize;
use pbft::CHOICE_BYTES_MAX;
use pbft::message::ServiceId;
use std::collections::BTreeMap;

/// The choice of each service that made one.
pub(super) type Choices = BTreeMap<ServiceId, Vec<u8>>;

/// What the encoding of a list takes, and of each of its entries besides the choice itself.
const LIST_BYTES: usize = 4;
const ENTRY_BYTES: usize = 2 + 4;

/// Puts the services' choices together; no bytes if there are none. A choice that does not fit
/// [`CHOICE_BYTES_MAX`] any more is cut.
pub(super) fn encode(choices: impl Iterator<Item = (ServiceId, Vec<u8>)>) -> Vec<u8> {
    let mut room = CHOICE_BYTES_MAX - LIST_BYTES;
    let mut kept = Choices::new();
    for (service, mut choice) in choices {
        if choice.is_empty() || room <= ENTRY_BYTES {
            continue;
        }
        choice.truncate(room - ENTRY_BYTES);
        room -= ENTRY_BYTES + choice.len();
        kept.insert(service, choice);
    }
    if kept.is_empty() { Vec::new() } else { super::layout::encode(&kept) }
}

/// Takes apart what [`encode`] made, or what a faulty primary made up.
pub(super) fn decode(choice: &[u8]) -> Choices {
    Choices::try_from_slice(choice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(choices: &[(u16, Vec<u8>)]) -> Vec<(u16, usize)> {
        let named = choices.iter().map(|(id, choice)| (ServiceId(*id), choice.clone()));
        let encoded = encode(named);
        assert!(encoded.len() <= CHOICE_BYTES_MAX);
        decode(&encoded).iter().map(|(id, choice)| (id.0, choice.len())).collect()
    }

    #[test]
    fn each_service_gets_its_own_choice() {
        assert_eq!(round_trip(&[(1, vec![7; 10]), (2, vec![]), (9, vec![8])]), [(1, 10), (9, 1)]);
        assert_eq!(encode([(ServiceId(1), vec![])].into_iter()), []);
    }

    #[test]
    fn too_long_choices_are_cut_to_fit() {
        let cut = round_trip(&[(1, vec![7; 600]), (2, vec![8; 600]), (3, vec![9; 600])]);
        assert_eq!(cut, [(1, 600), (2, 1024 - 4 - 606 - 6)]);
    }

    #[test]
    fn nonsense_of_a_faulty_primary_is_no_choice() {
        for nonsense in [&b"x"[..], &[0xff; 1024], &[2, 0, 0, 0, 1, 0]] {
            assert!(decode(nonsense).is_empty());
        }
    }
}
