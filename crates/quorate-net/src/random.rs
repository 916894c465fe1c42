//! The one source of randomness of this crate: the generator of the TLS provider, seeded by the
//! operating system.

use rustls::crypto::GetRandomFailed;

/// Fills `bytes` with unpredictable bytes, fit for secrets.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(bytes)
}

/// A number for jitter and for names of temporary files. Where the generator fails it is 0: what
/// depends on it is then predictable, not wrong.
pub(crate) fn jitter() -> u32 {
    let mut bytes = [0; 4];
    match fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(GetRandomFailed) => 0,
    }
}
