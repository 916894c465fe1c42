use super::*;
use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

fn keys(seed: u8) -> SecretKeys {
    SecretKeys::from_seeds([seed; 32], [seed + 1; 32])
}

fn key(seed: u8) -> PublicKey {
    keys(seed).public().link
}

/// A handshake without a network, between a replica with key 1 that knows key 3, and a client
/// with key `own`.
fn handshake(
    own: u8,
    configure: impl FnOnce(&mut ClientConfig),
) -> Result<(ClientConnection, ServerConnection), Error> {
    let allowed = AllowList::new([(key(3), Identity::Client(ClientId::new(7)))]).unwrap();
    let mut server = ServerConnection::new(server_config(&keys(1), Arc::new(allowed))?)?;
    let config = client_config(&keys(own), key(1), Purpose::Client)?;
    let mut config = Arc::unwrap_or_clone(config);
    configure(&mut config);
    let mut client = ClientConnection::new(Arc::new(config), server_name())?;
    let mut wire = Vec::new();
    while client.wants_write() || server.wants_write() {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut std::mem::take(&mut wire).as_slice()).unwrap();
        server.process_new_packets()?;
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut std::mem::take(&mut wire).as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok((client, server))
}

#[test]
fn both_ends_know_whom_they_talk_to_and_what_for() {
    let (client, server) = handshake(3, |_| {}).unwrap();
    assert_eq!(key_of(&client), Some(key(1)));
    assert_eq!(key_of(&server), Some(key(3)));
    assert_eq!(purpose_of(&server), Some(Purpose::Client));
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn key_exchange_is_the_hybrid_that_survives_quantum_computers() {
    let (client, _) = handshake(3, |_| {}).unwrap();
    let group = client.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[test]
fn nothing_can_be_resumed() {
    let (mut client, mut server) = handshake(3, |_| {}).unwrap();
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(client.tls13_tickets_received(), 0);
    assert!(client.early_data().is_none() && server.early_data().is_none());
}

#[test]
fn unknown_key_fails_the_handshake() {
    let error = handshake(5, |_| {}).unwrap_err();
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    assert_eq!(UnknownKey::find(&error), Some(UnknownKey(key(5))));
}

#[test]
fn connection_without_a_purpose_or_with_another_version_is_good_for_nothing() {
    let (_, server) = handshake(3, |config| config.alpn_protocols.clear()).unwrap();
    assert_eq!(purpose_of(&server), None);
    let other = |config: &mut ClientConfig| {
        config.alpn_protocols = vec![b"quorate/2/client".to_vec()];
    };
    assert!(handshake(3, other).is_err());
}

#[test]
fn two_owners_of_one_key_are_refused() {
    let members = [
        (key(1), Identity::Replica(ReplicaId::new(0))),
        (key(1), Identity::Client(ClientId::new(7))),
    ];
    let error = AllowList::new(members).unwrap_err();
    assert_eq!(error.key, key(1));
    assert!(error.to_string().contains("Replica(r0) and Client(c7) have the same"), "{error}");
}

#[test]
fn only_ed25519_keys_in_their_one_form_are_parsed() {
    let good = [&PUBLIC_PREFIX[..], key(1).as_bytes()].concat();
    assert_eq!(parse_public(&good).unwrap(), key(1));
    assert!(parse_public(&good[..good.len() - 1]).is_err());
    assert!(parse_public(&[&good[..], &[0]].concat()).is_err());
    let small_order = [&PUBLIC_PREFIX[..], &[0; 32]].concat();
    assert!(parse_public(&small_order).is_err());
    assert!(parse_public(&[]).is_err());
}

#[test]
fn purposes_have_different_names() {
    let mut names: Vec<_> = Purpose::ALL.map(Purpose::alpn).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Purpose::ALL.len());
}
