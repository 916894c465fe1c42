//! Times as scenario files and the command line spell them.

use core::time::Duration;

/// Reads a number and its unit, `us`, `ms`, `s`, `m` or `h`: `500ms`, `0.5s`. `None` if it is none,
/// negative, or longer than can be.
pub fn parse_time(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(number.len()..)? {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.trim_end().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}
