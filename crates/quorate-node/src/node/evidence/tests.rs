use super::*;
use pbft::message::PrePrepare;
use pbft::{Domain, Epoch, Parameters, SeqNum, Signed, SigningKey, View};

fn config(keys: &[SigningKey]) -> Arc<Config> {
    let domain = Domain { cluster: Digest::default(), epoch: Epoch::new(1) };
    let public = keys.iter().map(SigningKey::verification_key).collect();
    let parameters = Parameters::default();
    Arc::new(Config::new(domain, Digest::default(), public, Vec::new(), parameters).unwrap())
}

fn keys() -> Vec<SigningKey> {
    (0..4).map(|seed| SigningKey::from_seed(zeroize::Zeroizing::new([seed; 32]))).collect()
}

fn lie(config: &Config, key: &SigningKey, seq: u64) -> Evidence {
    let signed = |content: &[u8]| {
        let digest = Digest::of("test", &[content]);
        let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(seq), digest };
        Signed::sign(&config.domain, key, pbft::ReplicaId::new(0), body)
    };
    Evidence::TwoPrePrepares(Box::new((signed(b"a"), signed(b"b"))))
}

#[test]
fn evidence_is_kept_once_and_convicts_when_it_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();
    let config = config(&keys);
    let evidence = lie(&config, &keys[0], 1);
    let path = write(folder.path(), &config, &evidence).unwrap().unwrap();
    assert_eq!(write(folder.path(), &config, &evidence).unwrap(), None);
    let read = read_evidence(&path).unwrap();
    assert_eq!(read, evidence);
    assert_eq!(read.verify(&config).unwrap().replica.get(), 0);
}

#[test]
fn what_proves_nothing_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();
    let config = config(&keys);
    let forged = lie(&config, &keys[1], 1);
    assert!(write(folder.path(), &config, &forged).is_err());
}

#[test]
fn file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();
    let config = config(&keys);
    let path = write(folder.path(), &config, &lie(&config, &keys[0], 1)).unwrap().unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [0, HEADER.len(), whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read_evidence(&path), Err(EvidenceError::Malformed { .. })));
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(matches!(read_evidence(&path), Err(EvidenceError::Malformed { .. })));
    let missing = read_evidence(&folder.path().join("none"));
    assert!(matches!(missing, Err(EvidenceError::Read { .. })));
}
