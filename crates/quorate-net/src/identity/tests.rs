use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn keys_survive_the_file_and_are_readable_by_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let keys = SecretKeys::generate().unwrap();
    keys.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(SecretKeys::load(&path).unwrap().public(), keys.public());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn existing_keys_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let first = SecretKeys::generate().unwrap();
    first.save(&path).unwrap();
    let error = SecretKeys::generate().unwrap().save(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
    assert_eq!(SecretKeys::load(&path).unwrap().public(), first.public());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn key_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    SecretKeys::generate().unwrap().save(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = SecretKeys::load(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
}

#[test]
fn damaged_key_files_are_refused_and_never_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let keys = SecretKeys::generate().unwrap();
    let whole = String::from_utf8(keys_text(&keys)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = [
        String::new(),
        whole.replace("version 1", "version 2"),
        whole[..whole.len() - 3].to_owned(),
        format!("{whole}more\n"),
        format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]),
        format!("{}\n{}\nsigning {}\n", lines[0], lines[1], &lines[1]["link ".len()..]),
        whole.replace("link ", "link  "),
        "x".repeat(5000),
    ];
    for (index, text) in damaged.iter().enumerate() {
        let path = folder.path().join(format!("keys-{index}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = SecretKeys::load(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Malformed { .. }), "{index}: {error}");
        assert!(!error.to_string().contains(&lines[1]["link ".len()..]));
    }
}

fn keys_text(keys: &SecretKeys) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    keys.save(&path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn missing_key_file_is_named() {
    let error = SecretKeys::load("/nonexistent/keys".as_ref()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/keys"), "{error}");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let keys = SecretKeys::from_seeds([0xab; 32], [0xcd; 32]);
    let shown = format!("{keys:?}");
    assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
}

#[test]
fn public_keys_are_parsed_from_what_they_print() {
    let key = SecretKeys::generate().unwrap().public().link;
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
    assert_eq!("".parse::<PublicKey>(), Err(KeyError::NotHex));
    assert_eq!("zz".repeat(32).parse::<PublicKey>(), Err(KeyError::NotHex));
    assert_eq!("+1".repeat(32).parse::<PublicKey>(), Err(KeyError::NotHex));
}

#[test]
fn rfc_8032_seed_gives_the_published_public_key() {
    let mut seed = [0; 32];
    decode_hex(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", &mut seed)
        .unwrap();
    assert_eq!(
        SecretKeys::from_seeds(seed, [1; 32]).public().link.to_string(),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
}

#[test]
fn small_order_keys_are_refused() {
    for point in EIGHT_TORSION {
        assert_eq!(
            PublicKey::from_bytes(point.compress().to_bytes()),
            Err(KeyError::SmallOrder),
            "{point:?}"
        );
    }
}

#[test]
fn mixed_order_keys_are_refused_though_the_signature_library_accepts_them() {
    for torsion in &EIGHT_TORSION[1..] {
        let bytes = (ED25519_BASEPOINT_POINT + torsion).compress().to_bytes();
        assert!(ed25519_zebra::VerificationKey::try_from(bytes).is_ok());
        assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::MixedOrder));
    }
    let sound = ED25519_BASEPOINT_POINT.compress().to_bytes();
    assert!(PublicKey::from_bytes(sound).is_ok());
}

#[test]
fn second_spellings_and_non_points_are_refused() {
    // y = p + 3 encodes the same point as y = 3, if that is one; each y below 19 has such a twin.
    let refused: Vec<KeyError> = (0..19)
        .map(|low| {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + low;
            bytes[31] = 0x7f;
            PublicKey::from_bytes(bytes).unwrap_err()
        })
        .collect();
    assert!(refused.contains(&KeyError::NotCanonical));
    assert!(refused.iter().all(|e| matches!(e, KeyError::NotCanonical | KeyError::NotAPoint)));
}
