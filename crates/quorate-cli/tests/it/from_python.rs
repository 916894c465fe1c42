//! The guide for users of the Python program says what happens: its files and commands are run.

use crate::cluster::{quorate, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of code in a page, each with the word behind its fence.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(project().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(word), None) => open = Some((word.to_owned(), String::new())),
            (None, Some((_, content))) => *content += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// A folder in which the guide's commands can be given: with the scenarios, and its file.
fn folder(page: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let scenarios = fs::canonicalize(project().join("scenarios")).unwrap();
    std::os::unix::fs::symlink(scenarios, root.path().join("scenarios")).unwrap();
    let files: Vec<String> =
        blocks(page).into_iter().filter(|(word, _)| word == "toml").map(|(_, file)| file).collect();
    let [file] = &files[..] else { panic!("{page} shows {} files", files.len()) };
    fs::write(root.path().join("mine.toml"), file).unwrap();
    root
}

fn run_in(root: &Path, arguments: &[&str]) -> Output {
    quorate().current_dir(root).args(arguments).output().unwrap()
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    for page in ["docs/from-python.md", "docs/zh-CN/from-python.md"] {
        let root = folder(page);
        let lines: Vec<String> =
            blocks(page).into_iter().flat_map(|(_, code)| lines_of(&code)).collect();
        let commands: Vec<&str> =
            lines.iter().filter_map(|line| line.strip_prefix("cargo run --release -- ")).collect();
        assert_eq!(commands.len(), 4, "{page}: {commands:?}");
        for command in commands {
            // A hundred replicas are for whoever has the time; the numbers are those of a formula.
            let command = command.replace("=4,16,100", "=4,16");
            let output = run_in(root.path(), &command.split(' ').collect::<Vec<_>>());
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(output.status.success(), "{command}: {said}");
        }
        let table = fs::read_to_string(root.path().join("messages.csv")).unwrap();
        let counts: Vec<&str> =
            table.lines().skip(1).filter_map(|line| line.split(',').nth(6)).collect();
        assert_eq!(counts, ["36", "528"], "2n²+n: {table}");
    }
}

/// Every phase is counted, and nothing but the requests costs messages.
#[test]
fn a_run_of_ones_own_takes_as_many_messages_as_the_guide_says() {
    for page in ["docs/from-python.md", "docs/zh-CN/from-python.md"] {
        let root = folder(page);
        let output = run_in(root.path(), &["lab", "run", "mine.toml", "--json"]);
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = &summary["counts"];
        let (n, requests) = (5, 5);
        assert_eq!(counts["total_with_self"], requests * (2 * n * n + n), "{page}: {summary}");
        assert_eq!((&counts["checkpoint"], &counts["view_change"]), (&0.into(), &0.into()));
    }
}

fn lines_of(code: &str) -> Vec<String> {
    code.lines().map(str::to_owned).collect()
}

/// The last lines are those of the program: who got a reply, after how long, and how many messages.
#[test]
fn output_ends_with_the_reply_of_each_client_and_the_messages_as_in_the_guide() {
    let root = folder("docs/from-python.md");
    let shown = blocks("docs/from-python.md");
    let example = shown.iter().find(|(_, code)| code.starts_with("client 0 ")).unwrap();
    let output = run_in(root.path(), &["lab", "run", "scenarios/original/honest.toml"]);
    let said = text(&output.stdout);
    let last: Vec<&str> = said.lines().rev().take(2).collect();
    let [messages, reply] = last[..] else { panic!("{said}") };
    let (begins, what) = reply.split_once(" s: ").unwrap();
    let shown: Vec<&str> = example.1.lines().collect();
    assert_eq!(shown[1], messages, "{said}");
    assert_eq!(shown[0].split_once(" s: ").unwrap().1, what, "{said}");
    let latency = begins.strip_prefix("client 0 had its reply after ").unwrap();
    let latency: f64 = latency.parse().unwrap();
    assert!(latency > 0.0 && latency < 0.1, "it is not the time of the whole run: {said}");
    assert!(said.contains("the run took") && said.contains("clients call from second 1 on"));
}

#[test]
fn many_replies_are_told_of_with_the_median_and_the_worst() {
    let root = folder("docs/from-python.md");
    let file = root.path().join("fifty.toml");
    let text_of = fs::read_to_string(root.path().join("mine.toml")).unwrap();
    fs::write(file, text_of.replace("clients = 5", "clients = 11")).unwrap();
    let said = text(&run_in(root.path(), &["lab", "run", "fifty.toml"]).stdout);
    let line = said.lines().find(|line| line.starts_with("11 of 11 calls had their replies"));
    assert!(line.is_some_and(|line| line.contains("median") && line.contains("worst")), "{said}");
}

#[test]
fn a_run_that_is_not_as_its_file_says_ends_with_what_it_is_not() {
    let root = folder("docs/from-python.md");
    let mine = fs::read_to_string(root.path().join("mine.toml")).unwrap();
    fs::write(root.path().join("wrong.toml"), mine + "\n[expect]\nview = 3\n").unwrap();
    let output = run_in(root.path(), &["lab", "run", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("not as the file says"), "{said}");
    assert!(last.ends_with("expected view 3 at the end, found 0"), "{said}");
    assert!(said.contains("pass; the run is not as the file says"), "{said}");
}

#[test]
fn people_get_two_decimals_and_machines_all_of_them() {
    let root = folder("docs/from-python.md");
    let honest = fs::read_to_string(root.path().join("scenarios/original/honest.toml")).unwrap();
    let many = honest.replace("clients = 1", "clients = 33");
    fs::write(root.path().join("many.toml"), many).unwrap();
    let said = text(&run_in(root.path(), &["lab", "run", "many.toml"]).stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("messages for each request"));
    let shown: f64 = line.unwrap().trim().parse().unwrap();
    let output = run_in(root.path(), &["lab", "run", "many.toml", "--json"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let exact = summary["counts"]["per_request_with_self"].as_f64().unwrap();
    assert!((exact - shown).abs() < 0.005 && exact != shown, "{exact} is shown as {shown}");
    for internal in ["answers", "remarks"] {
        assert!(summary.get(internal).is_none(), "{internal} is for people");
    }
}

#[test]
fn listing_outside_the_project_says_where_to_go() {
    let root = tempfile::tempdir().unwrap();
    let output = run_in(root.path(), &["lab", "list"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for words in
        ["cannot read the folder scenarios", "folder of its source", "quorate lab list DIR"]
    {
        assert!(said.contains(words), "{said}");
    }
}
