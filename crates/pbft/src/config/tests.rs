//! Which configurations are refused for what would follow from them much later.

use super::*;
use crate::auth::{Signed, SigningKey};
use crate::message::{
    CheckpointId, Message, NewView, NewViewProof, PreparedEntry, SignedBody, ViewChange,
};
use crate::{Epoch, wire};
use alloc::sync::Arc;
use alloc::vec;
use zeroize::Zeroizing;

const DOMAIN: Domain = Domain { cluster: Digest::from_bytes([1; 32]), epoch: Epoch::new(1) };

fn key(number: u32) -> SigningKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_seed(Zeroizing::new(seed))
}

fn config(replica_count: u32, parameters: Parameters) -> Result<Config, ConfigError> {
    let keys = (0..replica_count).map(|number| key(number).verification_key()).collect();
    Config::new(DOMAIN, Digest::default(), keys, Vec::new(), parameters)
}

fn sign<T: SignedBody>(replica: ReplicaId, body: T) -> Signed<T> {
    Signed::sign(&DOMAIN, &key(replica.get()), replica, body)
}

/// A NEW-VIEW of the fullest VIEW-CHANGEs these parameters allow.
fn fullest_new_view(replica_count: u32, parameters: &Parameters) -> Message {
    let id = CheckpointId { state_root: Digest::default(), history_root: Digest::default() };
    let numbers = 0..=parameters.log_window / parameters.checkpoint_period;
    let checkpoints = numbers.map(|i| (SeqNum::new(i * parameters.checkpoint_period), id));
    let entry =
        |seq| PreparedEntry { seq: SeqNum::new(seq), digest: Digest::default(), view: View::ZERO };
    let entries: Vec<PreparedEntry> = (1..=parameters.log_window).map(entry).collect();
    let view_change = |replica| {
        let body = ViewChange {
            new_view: View::new(1),
            replica,
            low_water_mark: SeqNum::ZERO,
            checkpoints: checkpoints.clone().collect(),
            prepared: entries.clone(),
            pre_prepared: entries.clone(),
        };
        Arc::new(sign(replica, body))
    };
    let view_changes: Vec<_> = (0..replica_count).map(ReplicaId::new).map(view_change).collect();
    let body = NewView {
        view: View::new(1),
        view_changes: view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect(),
        checkpoint: (SeqNum::ZERO, id),
        chosen: vec![Digest::default(); parameters.log_window as usize],
    };
    let new_view = sign(ReplicaId::new(1), body);
    Message::NewView(Arc::new(NewViewProof { new_view, view_changes }))
}

#[test]
fn the_longest_new_view_is_as_long_as_it_is_said_to_be() {
    let parameters = Parameters { checkpoint_period: 4, log_window: 12, ..Parameters::default() };
    let message = fullest_new_view(7, &parameters);
    let bytes = wire::encode(Epoch::new(1), &message).len() as u64;
    assert_eq!(bytes, parameters.new_view_bytes_max(7));
}

#[test]
fn a_cluster_whose_new_view_would_not_fit_a_frame_is_refused() {
    let long = Parameters { log_window: LOG_WINDOW_MAX, ..Parameters::default() };
    assert!(config(31, long.clone()).is_ok());
    let refused = config(REPLICA_COUNT_MAX, long).map(|_| ());
    assert_eq!(refused, Err(ConfigError::NewViewTooLarge));
    assert!(config(REPLICA_COUNT_MAX, Parameters::default()).is_ok());
}

#[test]
fn a_cluster_whose_longest_request_could_not_wait_is_refused() {
    let with = |waiting_bytes_max| {
        let parameters = Parameters { waiting_bytes_max, ..Parameters::default() };
        config(4, parameters).map(|_| ())
    };
    let request_bytes_max = Parameters::default().request_bytes_max;
    assert_eq!(with(request_bytes_max - 1), Err(ConfigError::RequestTooLarge));
    assert_eq!(with(request_bytes_max), Ok(()));
}

#[test]
fn a_cluster_that_believes_a_primary_about_more_than_a_minute_is_refused() {
    let with = |clock_skew_max| {
        let parameters = Parameters { clock_skew_max, ..Parameters::default() };
        config(4, parameters).map(|_| ())
    };
    assert_eq!(with(CLOCK_SKEW_MAX), Ok(()));
    assert_eq!(with(CLOCK_SKEW_MAX + Duration::from_millis(1)), Err(ConfigError::ClockSkew));
}
