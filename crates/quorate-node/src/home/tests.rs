use super::*;
use crate::cluster::{Durability, ParametersFile, Together};
use crate::setup::{ClusterSettings, LocalCluster, SetupError};
use std::fs;

fn local(root: &Path) -> LocalCluster {
    let settings = ClusterSettings {
        name: "test".to_owned(),
        lab: false,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::default(),
    };
    LocalCluster::create(root, 4, settings).unwrap()
}

#[test]
fn members_of_a_local_cluster_know_who_they_are() {
    let root = tempfile::tempdir().unwrap();
    let local = local(root.path());
    for (id, home) in (0..).zip(local.replica_homes()) {
        let membership = home.membership().unwrap();
        assert_eq!(home.replica(&membership).unwrap(), ReplicaId::new(id));
        assert!(matches!(home.client(&membership), Err(HomeError::NotAMember { .. })));
    }
    let gateway = local.client_home(0);
    assert_eq!(gateway.client(&gateway.membership().unwrap()).unwrap(), ClientId::new(0));
    let again = LocalCluster::open(root.path()).unwrap();
    assert_eq!(again.cluster.fingerprint, local.cluster.fingerprint);
}

#[test]
fn cluster_is_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let settings = ClusterSettings {
        name: String::new(),
        lab: false,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::default(),
    };
    local(root.path());
    let again = LocalCluster::create(root.path(), 4, settings);
    assert!(matches!(again, Err(SetupError::Exists { .. })));
}

#[test]
fn only_a_confirmed_file_is_used_and_a_change_needs_another_confirmation() {
    let root = tempfile::tempdir().unwrap();
    let home = local(root.path()).replica_homes().next().unwrap();
    fs::remove_file(home.confirmed_path()).unwrap();
    let Err(HomeError::NotConfirmed { fingerprint, .. }) = home.membership() else { panic!() };
    home.confirm(fingerprint).unwrap();
    assert!(home.membership().is_ok());

    let mut text = fs::read_to_string(home.cluster_path()).unwrap();
    text.push_str("# changed\n");
    fs::write(home.cluster_path(), text).unwrap();
    assert!(matches!(home.membership(), Err(HomeError::OtherConfirmed { .. })));
    assert!(matches!(home.confirm(fingerprint), Err(HomeError::WrongConfirmation { .. })));
}

#[test]
fn folder_whose_memory_is_gone_or_another_replicas_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let local = local(root.path());
    let home = local.replica_homes().next().unwrap();
    let (cluster, id) = (&local.cluster, ReplicaId::new(0));
    assert!(!home.has_started(cluster, id).unwrap());
    home.note_started(cluster, id).unwrap();
    assert!(home.has_started(cluster, id).unwrap());
    assert!(matches!(home.check_data(), Err(HomeError::MemoryLost { .. })));
    fs::create_dir(home.data_path()).unwrap();
    assert!(home.check_data().is_ok());
    let other = home.has_started(cluster, ReplicaId::new(1));
    assert!(matches!(other, Err(HomeError::OtherMemory { .. })));
    let older = fs::read_to_string(home.started_path()).unwrap().replace("epoch = 1", "epoch = 0");
    fs::write(home.started_path(), older).unwrap();
    let error = home.has_started(cluster, id).unwrap_err().to_string();
    assert!(error.contains("epoch 0") && error.contains("epoch 1"), "{error}");
}

#[test]
fn replica_that_stopped_for_good_says_why() {
    let root = tempfile::tempdir().unwrap();
    let home = local(root.path()).replica_homes().next().unwrap();
    assert!(home.check_not_halted().is_ok());
    home.note_halted("the disk failed").unwrap();
    let error = home.check_not_halted().unwrap_err().to_string();
    assert!(error.contains("the disk failed"), "{error}");
}

#[test]
fn lost_memory_is_set_aside_with_the_reason_and_never_deleted() {
    let root = tempfile::tempdir().unwrap();
    let home = local(root.path()).replica_homes().next().unwrap();
    home.set_aside().unwrap();
    for round in 0..3 {
        fs::create_dir(home.data_path()).unwrap();
        fs::write(home.data_path().join("journal"), [round]).unwrap();
        home.note_halted("it was rolled back").unwrap();
        home.set_aside().unwrap();
        assert!(!home.data_path().exists());
        assert!(home.check_not_halted().is_ok());
    }
    home.note_halted("there was no memory").unwrap();
    home.set_aside().unwrap();
    let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<PathBuf> =
        names.filter(|path| path.to_string_lossy().contains("data-lost-")).collect();
    assert_eq!(aside.len(), 4);
    assert!(aside.iter().all(|path| path.join("halted").exists()));
    assert_eq!(aside.iter().filter(|path| path.join("journal").exists()).count(), 3);
}

#[test]
fn listening_address_may_differ_from_the_public_one() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::new(root.path());
    assert_eq!(home.listen().unwrap(), None);
    home.set_listen("0.0.0.0:7000").unwrap();
    assert_eq!(home.listen().unwrap().as_deref(), Some("0.0.0.0:7000"));
    fs::write(root.path().join("node.toml"), "lisen = 1").unwrap();
    assert!(matches!(home.listen(), Err(HomeError::Malformed { .. })));
}
