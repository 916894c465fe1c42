use super::*;
use quorate_net::identity::SecretKeys;

fn keys(seed: u8) -> PublicKeys {
    SecretKeys::from_seeds([seed; 32], [seed + 100; 32]).public()
}

fn member(id: u32, seed: u8, address: Option<&str>) -> MemberFile {
    let keys = keys(seed);
    MemberFile {
        id,
        address: address.map(str::to_owned),
        link_key: keys.link.to_string(),
        signing_key: keys.signing.to_string(),
    }
}

fn file() -> ClusterFile {
    ClusterFile {
        format: FORMAT,
        name: "test".to_owned(),
        id: "07".repeat(32),
        epoch: 1,
        lab: false,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::default(),
        replica: (0..4).map(|id| member(id, id as u8, Some("127.0.0.1:7000"))).collect(),
        client: vec![member(0, 50, None)],
    }
}

fn parse(text: &str) -> Result<Cluster, ClusterError> {
    Cluster::parse(Path::new("cluster.toml"), text)
}

#[test]
fn written_file_is_read_again_and_every_member_finds_itself() {
    let mut written = file();
    written.parameters.view_change_timeout_ms = Some(1500);
    let cluster = parse(&written.to_text()).unwrap();
    assert_eq!(cluster.config.parameters.view_change_timeout.as_millis(), 1500);
    assert_eq!(cluster.config.replica_count(), 4);
    assert_eq!(cluster.replica_with(&keys(2)), Some(ReplicaId::new(2)));
    assert_eq!(cluster.client_with(&keys(50)), Some(ClientId::new(0)));
    assert_eq!(cluster.replica_with(&keys(50)), None);
    assert_eq!(cluster.client_with(&keys(2)), None);
    assert!(!cluster.lab);
}

#[test]
fn any_change_of_the_file_changes_its_fingerprint() {
    let text = file().to_text();
    let (a, b) = (parse(&text).unwrap(), parse(&format!("{text}\n")).unwrap());
    assert_ne!(a.fingerprint, b.fingerprint);
    assert_ne!(a.config.digest, b.config.digest);
}

#[test]
fn one_replica_alone_is_for_laboratories() {
    let mut alone = file();
    alone.replica.truncate(1);
    alone.lab = true;
    assert_eq!(parse(&alone.to_text()).unwrap().config.quorums.quorum(), 1);
}

#[test]
fn mistake_is_reported_with_its_line() {
    let text = file().to_text().replace("epoch = 1", "epoch = 1\nepoc = 2");
    let line = text.lines().position(|line| line == "epoc = 2").unwrap() + 1;
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.contains(&format!("line {line}")) && error.contains("epoc"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn impossible_clusters_are_refused_in_one_line() {
    let wrong = |change: &dyn Fn(&mut ClusterFile)| {
        let mut changed = file();
        change(&mut changed);
        let error = parse(&changed.to_text()).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(wrong(&|file| file.format = 2).contains("format 2"));
    assert!(wrong(&|file| file.id = "xyz".to_owned()).contains("64 hexadecimal"));
    assert!(wrong(&|file| file.replica[1].id = 3).contains("without a gap"));
    assert!(wrong(&|file| file.replica.truncate(3)).contains("at least 4"));
    assert!(wrong(&|file| file.replica.truncate(1)).contains("at least 4"));
    assert!(wrong(&|file| file.replica[0].link_key = "00".repeat(32)).contains("link_key"));
    assert!(wrong(&|file| file.replica[0] = member(0, 1, None)).contains("same"));
    assert!(wrong(&|file| file.parameters.log_window = Some(100)).contains("log_window"));
    for (request, waiting) in [(u32::MAX, None), (12 << 20, None), (4 << 20, Some(3 << 20))] {
        let error = wrong(&|file| {
            file.parameters.request_bytes_max = Some(request);
            file.parameters.waiting_bytes_max = waiting;
        });
        assert!(error.contains("request_bytes_max"), "{error}");
    }
}

#[test]
fn what_is_done_together_is_so_unless_the_file_says_otherwise() {
    let text = file().to_text();
    assert!(!text.contains("together"), "{text}");
    assert_eq!(parse(&text).unwrap().together, Together::default());
    let told = ClusterFile { together: Together { sync: false, ..Together::default() }, ..file() };
    assert!(told.to_text().contains("[together]"));
    let together = parse(&told.to_text()).unwrap().together;
    assert_eq!(together, Together { verify: true, sync: false, send: true });
}
