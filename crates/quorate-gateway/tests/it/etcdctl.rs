//! Runs the scripts of `tests/etcdctl` with the real etcdctl, against whatever listens at an
//! endpoint, and starts the real etcd to compare with. Nothing here knows of the gateway, so that
//! other crates can run the same scripts against a whole cluster.
//!
//! Where etcd is not installed (Debian's packages are etcd-client and etcd-server), the tests say
//! so and pass, unless the environment has `QUORATE_TESTS_NEED_TOOLS`, as it has in CI.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, fs, io, thread};

/// The output formats that are compared.
pub(crate) const FORMATS: [&str; 3] = ["simple", "json", "fields"];

/// The header fields that name servers and terms, in each format, and so differ.
const IDENTITIES: [&str; 6] = [
    "\"cluster_id\":",
    "\"member_id\":",
    "\"raft_term\":",
    "\"ClusterID\" : ",
    "\"MemberID\" : ",
    "\"RaftTerm\" : ",
];

/// The exit code of a Go program that panicked. Such an invocation compares nothing.
const GO_PANIC: i32 = 2;

/// How often a port that was free a moment ago may turn out to be taken.
const START_ATTEMPTS_MAX: u32 = 10;

/// One file of invocations.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    invocations: Vec<Invocation>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Invocation {
    arguments: Vec<String>,
    stdin: String,
}

/// Whether both programs are there.
#[expect(clippy::print_stderr, reason = "a comparison that did not happen must not go unnoticed")]
pub(crate) fn is_installed() -> bool {
    let missing = ["etcdctl", "etcd"].into_iter().find(|program| {
        let found = Command::new(program).arg("--help").output();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    });
    if let Some(program) = missing {
        let needed = env::var_os("QUORATE_TESTS_NEED_TOOLS").is_some();
        assert!(!needed, "{program} is not installed");
        eprintln!("not compared with etcd: {program} is not installed");
    }
    missing.is_none()
}

/// All scripts of a folder, by name.
pub(crate) fn scripts(folder: &Path) -> Vec<Script> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder of scripts is there")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension() == Some(OsStr::new("txt")))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(path).expect("a script can be read");
            Script { name, invocations: parse(&text) }
        })
        .collect()
}

impl Script {
    /// What etcdctl prints for each invocation, and how it ends, as one text to compare.
    pub(crate) fn run(&self, endpoint: &str, format: &str) -> String {
        let mut transcript = String::new();
        for invocation in &self.invocations {
            let mut arguments = vec!["--write-out", format];
            arguments.extend(invocation.arguments.iter().map(String::as_str));
            let ended = etcdctl(endpoint, &arguments, &invocation.stdin);
            let arguments = &invocation.arguments;
            assert_ne!(ended.exit_code, GO_PANIC, "{arguments:?} makes etcdctl itself fail");
            write!(transcript, "$ etcdctl {arguments:?}\n{}{}", ended.stdout, ended.error)
                .expect("writing to a string succeeds");
            writeln!(transcript, "exit {}", ended.exit_code).expect("writing to a string succeeds");
        }
        without_identities(&transcript)
    }
}

/// How an invocation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    /// The lines of standard error that are etcdctl's verdict; the rest is its log.
    pub(crate) error: String,
    /// All of standard error.
    pub(crate) stderr: String,
    pub(crate) exit_code: i32,
}

/// Runs etcdctl once.
pub(crate) fn etcdctl(endpoint: &str, arguments: &[&str], stdin: &str) -> Ended {
    let mut child = Command::new("etcdctl")
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", endpoint])
        // A slow machine is no difference. An invocation may still ask for less.
        .args(["--dial-timeout=60s", "--command-timeout=60s"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("etcdctl starts");
    let mut input = child.stdin.take().expect("standard input is piped");
    // An invocation that reads nothing may have ended already.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("etcdctl ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    Ended {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: stderr
            .lines()
            .filter(|line| line.starts_with("Error:"))
            .map(|line| format!("{line}\n"))
            .collect(),
        exit_code: output.status.code().unwrap_or(-1),
        stderr: stderr.into_owned(),
    }
}

/// A real etcd of one server, in a folder of its own; it ends when this is dropped.
pub(crate) struct Etcd {
    pub(crate) endpoint: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        (0..START_ATTEMPTS_MAX)
            .find_map(|_| Self::try_start())
            .expect("etcd finds free ports within a few attempts")
    }

    /// `None` if it ends before it is ready, for instance because a port was taken meanwhile.
    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let reserved = quorate_net::ports::reserve(2).expect("ports are free");
        let [clients, peers] = [0, 1].map(|at| format!("http://{}", reserved[at]));
        let mut child = Command::new("etcd")
            .arg("--data-dir")
            .arg(folder.path())
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("etcd starts");
        let mut log = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let ready = log.by_ref().map_while(Result::ok).any(|line| {
            line.contains("ready to serve client requests")
                || line.contains("serving insecure client requests on")
        });
        let etcd = Self { endpoint: clients, child, _folder: folder };
        if !ready {
            return None;
        }
        // It must not stop for want of someone to read its log.
        thread::spawn(move || log.for_each(drop));
        Some(etcd)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(text: &str) -> Vec<Invocation> {
    let mut invocations: Vec<Invocation> = Vec::new();
    for line in text.lines() {
        if let Some(input) = line.strip_prefix('|') {
            let last = invocations.last_mut().expect("input follows an invocation");
            last.stdin.push_str(input.strip_prefix(' ').unwrap_or(input));
            last.stdin.push('\n');
        } else if !line.is_empty() && !line.starts_with('#') {
            invocations.push(Invocation { arguments: split(line), ..Invocation::default() });
        }
    }
    invocations
}

/// Splits a line at spaces that are not between double quotes.
fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                current.get_or_insert_default();
            }
            ' ' if !quoted => arguments.extend(current.take()),
            other => current.get_or_insert_default().push(other),
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    arguments.extend(current);
    arguments
}

fn without_identities(text: &str) -> String {
    IDENTITIES.iter().fold(text.to_owned(), |text, field| {
        let mut parts = text.split(field);
        let mut cleaned = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            cleaned.push_str(field);
            cleaned.push_str("ID");
            cleaned.push_str(part.trim_start_matches(|it: char| it.is_ascii_digit()));
        }
        cleaned
    })
}

#[test]
fn scripts_are_read_as_their_description_says() {
    let read = parse("# comment\n\nput a \"b c\" \"\"\n| one\n|\n|  two\nget a\n");
    let put = Invocation {
        arguments: ["put", "a", "b c", ""].map(str::to_owned).into(),
        stdin: "one\n\n two\n".to_owned(),
    };
    let get =
        Invocation { arguments: ["get", "a"].map(str::to_owned).into(), stdin: String::new() };
    assert_eq!(read, [put, get]);
}

#[test]
fn only_identities_are_left_out_of_a_comparison() {
    let json = r#"{"header":{"cluster_id":12,"member_id":3,"revision":4,"raft_term":5}}"#;
    assert_eq!(
        without_identities(json),
        r#"{"header":{"cluster_id":ID,"member_id":ID,"revision":4,"raft_term":ID}}"#
    );
    assert_eq!(
        without_identities("\"RaftTerm\" : 2\n\"Revision\" : 2\n"),
        "\"RaftTerm\" : ID\n\"Revision\" : 2\n"
    );
}
