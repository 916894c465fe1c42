//! How long a request may take: until a little before the client gives up, or until the
//! gateway's own limit, whichever comes first.

use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// The most by which an answer is due before the client's deadline.
const MARGIN_MAX: Duration = Duration::from_millis(500);

/// The moment by which a request is answered, one way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) set_by: SetBy,
}

/// Whose patience decides; the answer to a late request depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetBy {
    Client,
    Gateway,
}

impl Deadline {
    /// The deadline of a request that came at `now` with these headers.
    pub(crate) fn of(
        headers: &HeaderMap,
        now: Instant,
        request_timeout: Duration,
    ) -> Result<Self, Status> {
        let gateway = Self { at: now + request_timeout, set_by: SetBy::Gateway };
        let Some(value) = headers.get("grpc-timeout") else {
            return Ok(gateway);
        };
        let timeout = value.to_str().ok().and_then(parse).ok_or_else(|| {
            Status::internal(format!("malformed grpc-timeout: {:?}", value.as_bytes()))
        })?;
        let client_at = now.checked_add(timeout - margin(timeout));
        match client_at {
            Some(at) if at <= gateway.at => Ok(Self { at, set_by: SetBy::Client }),
            _ => Ok(gateway),
        }
    }
}

/// How much earlier than the client's deadline the answer is due, so that it arrives while the
/// client still listens and its sentence is read.
fn margin(timeout: Duration) -> Duration {
    (timeout / 10).min(MARGIN_MAX)
}

/// Reads a timeout as gRPC writes it: one to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    const FIVE_SECONDS: Duration = Duration::from_secs(5);

    fn headers(timeout: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", timeout.parse().expect("a header value"));
        headers
    }

    fn deadline(timeout: &str, now: Instant) -> Result<Deadline, Status> {
        Deadline::of(&headers(timeout), now, FIVE_SECONDS)
    }

    #[test]
    fn without_a_timeout_the_gateways_limit_holds() {
        let now = Instant::now();
        let deadline = Deadline::of(&HeaderMap::new(), now, FIVE_SECONDS).unwrap();
        assert_eq!(deadline, Deadline { at: now + FIVE_SECONDS, set_by: SetBy::Gateway });
    }

    #[test]
    fn a_shorter_timeout_of_the_client_wins_and_leaves_time_for_the_answer() {
        let now = Instant::now();
        let one_second = deadline("1S", now).unwrap();
        assert_eq!(one_second.set_by, SetBy::Client);
        assert_eq!(one_second.at, now + Duration::from_millis(900));
        let four_seconds = deadline("4S", now).unwrap();
        assert_eq!(four_seconds.at, now + Duration::from_millis(3600));
        let six_seconds = Deadline::of(&headers("6S"), now, Duration::from_secs(60)).unwrap();
        assert_eq!(six_seconds.at, now + Duration::from_millis(5500));
        let ten_millis = deadline("10000u", now).unwrap();
        assert_eq!(ten_millis.at, now + Duration::from_millis(9));
    }

    #[test]
    fn a_longer_timeout_of_the_client_loses() {
        let now = Instant::now();
        for timeout in ["6S", "1M", "99999999H"] {
            assert_eq!(deadline(timeout, now).unwrap().set_by, SetBy::Gateway, "{timeout}");
        }
    }

    #[test]
    fn every_unit_is_read() {
        let nanos = |text| parse(text).map(|timeout| timeout.as_nanos());
        assert_eq!(nanos("2H"), Some(7_200_000_000_000));
        assert_eq!(nanos("2M"), Some(120_000_000_000));
        assert_eq!(nanos("2S"), Some(2_000_000_000));
        assert_eq!(nanos("2m"), Some(2_000_000));
        assert_eq!(nanos("2u"), Some(2_000));
        assert_eq!(nanos("2n"), Some(2));
    }

    #[test]
    fn malformed_timeouts_are_refused() {
        let now = Instant::now();
        for timeout in ["", "S", "5", "-5S", "+5S", "5s", "5.0S", "123456789S", "5 S"] {
            let refused = deadline(timeout, now).expect_err(timeout);
            assert_eq!(refused.code(), Code::Internal, "{timeout}");
        }
    }
}
