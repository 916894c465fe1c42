//! The small values of a scenario file: times, shares, bandwidths and counts, and places in the file.

use core::fmt;
use core::time::Duration;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use std::num::NonZeroU64;

/// A place in a file, as an offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(pub(super) usize);

impl At {
    /// The number of the line, from 1.
    pub(super) fn line(self, text: &str) -> usize {
        1 + text.bytes().take(self.0).filter(|byte| *byte == b'\n').count()
    }
}

/// A span of time: a number of seconds, or a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

/// Times above this one are mistakes, and would overflow sums of them.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

impl Time {
    fn from_seconds(seconds: f64) -> Result<Self, String> {
        if seconds < 0.0 {
            return Err("a time cannot be negative".to_owned());
        }
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|span| *span <= TIME_MAX)
            .map(Self)
            .ok_or_else(|| "a time is at most a year".to_owned())
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('-') {
            return Err("a time cannot be negative".to_owned());
        }
        let time = quorate_adversary::parse_time(text).ok_or_else(|| {
            format!(
                "'{text}' is no time: write seconds, or a number with us, ms, s, m or h, as in \"20ms\""
            )
        })?;
        Self::from_seconds(time.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: seconds, or a number with us, ms, s, m or h, as in \"20ms\"")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Time, E> {
                Time::from_seconds(seconds as f64).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
                Time::from_seconds(seconds).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(TimeVisitor)
    }
}

/// A share of all messages: a number from 0 to 1, or per cent as in `"5%"`. In millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share(pub(super) u64);

impl Share {
    fn of(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) {
            // Within 0 and a million, so neither sign nor range is lost.
            return Ok(Self((share * 1e6).round() as u64));
        }
        Err("a share is a number from 0 to 1, or per cent, as in \"5%\"".to_owned())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;

        impl Visitor<'_> for ShareVisitor {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share from 0 to 1, or per cent, as in \"5%\"")
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<Share, E> {
                Share::of(share as f64).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<Share, E> {
                Share::of(share).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
                Share::of(percent.map_or(f64::NAN, |percent: f64| percent / 100.0))
                    .map_err(E::custom)
            }
        }

        deserializer.deserialize_any(ShareVisitor)
    }
}

/// How much a link carries: bytes in a second, or bits as in `"1Gbit"`. In bytes in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bandwidth(pub(super) NonZeroU64);

const BANDWIDTH: &str =
    "a bandwidth: bytes in a second, or bits, as in \"1Gbit\", \"100Mbit\" or \"64kbit\"";

/// A bandwidth above this one is a mistake.
const BYTES_PER_SECOND_MAX: u64 = 1_000_000_000_000;

impl Bandwidth {
    fn of(bytes: u64) -> Result<Self, String> {
        let bytes = Some(bytes).filter(|bytes| *bytes <= BYTES_PER_SECOND_MAX);
        let message =
            || format!("a bandwidth is from 1 to {BYTES_PER_SECOND_MAX} bytes in a second");
        bytes.and_then(NonZeroU64::new).map(Self).ok_or_else(message)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let units = [("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)];
        let bits = units.iter().find_map(|(unit, factor)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            Some(number * factor)
        });
        let bits = bits.ok_or_else(|| format!("'{text}' is no bandwidth: write {BANDWIDTH}"))?;
        // A number below zero, or none, becomes 0, and one too large the largest; both are refused.
        Self::of((bits / 8.0).round() as u64)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BandwidthVisitor;

        impl Visitor<'_> for BandwidthVisitor {
            type Value = Bandwidth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(BANDWIDTH)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bandwidth, E> {
                Bandwidth::of(u64::try_from(bytes).unwrap_or(0)).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bandwidth, E> {
                Bandwidth::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(BandwidthVisitor)
    }
}

/// How many nodes of a kind, and the kind's parameters: `3`, or `{ count = 3, delay = "1s" }`.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) count: u32,
    pub(super) parameters: toml::Table,
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;

        impl<'de> Visitor<'de> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("how many, or a table with count and the parameters of the kind")
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
                let count = u32::try_from(count)
                    .map_err(|_| E::custom("a count is a whole number from 0"))?;
                Ok(Count { count, parameters: toml::Table::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                let mut count = 1;
                let mut parameters = toml::Table::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "count" {
                        count = map.next_value()?;
                    } else {
                        parameters.insert(key, map.next_value()?);
                    }
                }
                Ok(Count { count, parameters })
            }
        }

        deserializer.deserialize_any(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Line {
        time: Option<Time>,
        share: Option<Share>,
        bandwidth: Option<Bandwidth>,
    }

    fn time(text: &str) -> Result<Duration, String> {
        let line: Line = toml::from_str(&format!("time = {text}")).map_err(|e| e.to_string())?;
        Ok(line.time.expect("the key is there").0)
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        assert_eq!(time("200"), Ok(Duration::from_secs(200)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("\"100us\""), Ok(Duration::from_micros(100)));
        assert_eq!(time("\"2m\""), Ok(Duration::from_secs(120)));
        for wrong in ["-1", "\"-1s\"", "\"5\"", "\"5 parsecs\"", "1e300", "nan"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bandwidths_are_bytes_or_have_a_unit_of_bits() {
        let bandwidth = |text: &str| {
            let line: Line = toml::from_str(&format!("bandwidth = {text}")).ok()?;
            line.bandwidth.map(|Bandwidth(bytes)| bytes.get())
        };
        assert_eq!(bandwidth("1500"), Some(1_500));
        assert_eq!(bandwidth("\"1Gbit\""), Some(125_000_000));
        assert_eq!(bandwidth("\"2.5 Mbit\""), Some(312_500));
        assert_eq!(bandwidth("\"64kbit\""), Some(8_000));
        for wrong in ["0", "-1", "1.5", "\"1\"", "\"1Gbyte\"", "\"-1Gbit\"", "\"1e9Gbit\""] {
            assert_eq!(bandwidth(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shares_are_fractions_or_per_cent() {
        let share = |text: &str| {
            toml::from_str::<Line>(&format!("share = {text}")).ok().and_then(|line| line.share)
        };
        assert_eq!(share("0.05"), Some(Share(50_000)));
        assert_eq!(share("\"5%\""), Some(Share(50_000)));
        assert_eq!(share("1"), Some(Share(1_000_000)));
        for wrong in ["1.5", "-0.1", "\"101%\"", "\"many\""] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
    }
}
