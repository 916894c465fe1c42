//! Tests of what a replica keeps, through the crate's public interface.

#[cfg(test)]
mod host;
#[cfg(test)]
mod journal;
