//! Processes that are no members, at every port.

use crate::cluster::{Up, eventually};
use quorate_node::admin::{self, Request, Response};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Says something to an address and waits until the other side hangs up, or a moment.
fn say(address: &str, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // The other side may have hung up before everything was said.
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 1024]);
}

#[test]
fn garbage_at_every_port_changes_nothing_but_counters() {
    let up = Up::start(&[]);
    let status = up.wait_until_whole();
    let rows = status["replicas"].as_array().unwrap();
    let addresses: Vec<&str> = rows.iter().map(|row| row["addr"].as_str().unwrap()).collect();
    let hello = [0x16, 0x03, 0x01, 0xff, 0xff];
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for address in &addresses {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &hello, &noise, &[0; 64], b""] {
            say(address, bytes);
        }
    }
    for number in 0..10 {
        let key = format!("k/{number}");
        eventually("a write is acknowledged", || up.etcd.put(&key, "v"));
    }
    let after = up.wait_until_whole();
    assert_eq!(after["cluster"]["view"], status["cluster"]["view"]);
    let pids = |status: &serde_json::Value| -> Vec<_> {
        status["replicas"].as_array().unwrap().iter().map(|row| row["pid"].clone()).collect()
    };
    assert_eq!(pids(&after), pids(&status), "nobody died");
    let socket = up.dir().join("replica-0/admin.sock");
    let Response::Counters { counters } =
        admin::ask(&socket, &Request::Counters {}, PATIENCE).unwrap()
    else {
        panic!("not the counters")
    };
    assert!(counters["handshakes_failed"] >= 3, "{counters:?}");
}

#[test]
fn nonsense_at_the_admin_endpoint_is_refused() {
    let up = Up::start(&[]);
    let socket = up.dir().join("replica-0/admin.sock");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    for line in
        [&b"nonsense\n"[..], b"{\"command\":\"explode\"}\n", b"{\"command\":\"status\",\"x\":1}\n"]
    {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(line).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"refused\""), "{answer}");
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    // It hangs up before everything is said, or right after.
    let _ = stream.write_all(&vec![b'x'; 2 << 20]);
    let answer = admin::ask(&socket, &Request::Status {}, PATIENCE).unwrap();
    assert!(matches!(answer, Response::Status(_)));
}
