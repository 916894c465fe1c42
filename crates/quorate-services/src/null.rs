//! The service of the papers' micro-benchmarks: it does nothing, and answers with as many bytes as
//! it is asked for (OSDI '99 section 7.1).

use pbft::{Context, Reading, Service, State, StateRead};

/// Executes operations that have no effect.
///
/// An operation begins with the length of its result, four bytes, little-endian; what follows is
/// there for its size only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

/// No result is longer, in bytes, whatever an operation asks for.
pub const RESULT_BYTES_MAX: usize = 64 << 10;

/// An operation of `argument` bytes beside its head, which asks for `result` bytes.
pub fn operation(argument: usize, result: u32) -> Vec<u8> {
    let mut body = result.to_le_bytes().to_vec();
    body.resize(body.len() + argument, 0);
    body
}

fn answer(operation: &[u8]) -> Vec<u8> {
    let wanted = operation.first_chunk::<4>().map_or(0, |head| u32::from_le_bytes(*head));
    let length = usize::try_from(wanted).unwrap_or(RESULT_BYTES_MAX).min(RESULT_BYTES_MAX);
    vec![0; length]
}

impl Service for Null {
    fn execute(&mut self, _: &Context<'_>, operation: &[u8], _: &mut dyn State) -> Vec<u8> {
        answer(operation)
    }

    fn query(&self, _: &Context<'_>, operation: &[u8], _: &dyn StateRead) -> Option<Reading> {
        Some(answer(operation).into())
    }

    fn restored(&mut self, _: &dyn StateRead) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_is_as_long_as_the_operation_asks_for_within_the_limit() {
        for (argument, result) in [(0, 0), (4096, 0), (0, 4096)] {
            let body = operation(argument, result);
            assert_eq!(body.len(), argument + 4);
            assert_eq!(answer(&body).len(), result as usize);
        }
        assert_eq!(answer(&operation(0, u32::MAX)).len(), RESULT_BYTES_MAX);
        assert_eq!(answer(&[1, 2]).len(), 0, "no head asks for nothing");
    }
}
