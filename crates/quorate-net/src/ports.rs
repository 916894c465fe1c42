//! Free ports on the loopback interface for members that start a moment later, in processes of
//! their own.

use crate::random;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

/// Where ports are looked for: below those that systems give to outgoing connections, so that none
/// of these takes one while its replica is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// How many ports are tried before it is concluded that none is free.
const ATTEMPTS_MAX: u32 = 1000;

/// So many addresses that are free now and stay so for about a minute.
///
/// # Errors
/// What the operating system said about the last port that was tried.
pub fn reserve(count: u32) -> io::Result<Vec<SocketAddrV4>> {
    (0..count).map(|_| reserve_one()).collect()
}

fn reserve_one() -> io::Result<SocketAddrV4> {
    let mut attempts = 0;
    loop {
        let mut drawn = [0; 2];
        random::fill(&mut drawn)
            .map_err(|_| io::Error::other("the system provides no randomness"))?;
        let port = PORTS.start + u16::from_le_bytes(drawn) % (PORTS.end - PORTS.start);
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        attempts += 1;
        match leave_in_time_wait(address) {
            Ok(()) => return Ok(address),
            Err(_taken) if attempts < ATTEMPTS_MAX => {}
            Err(source) => return Err(source),
        }
    }
}

/// Takes the port, if nobody has it or had it within the last minute, and leaves it with a
/// connection that has just ended. For as long as the system remembers that connection, it gives
/// the port to nobody who asks for any, and refuses it to this function; but a server that names
/// it may listen there, because servers set `SO_REUSEADDR`. Merely to close a listener would leave
/// the port to whoever comes next, and members that others set up at the same time do.
fn leave_in_time_wait(address: SocketAddrV4) -> io::Result<()> {
    let socket =
        net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    net::bind(&socket, &address)?;
    // Only now: with it, the port of somebody who does not listen yet would have been given.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::listen(&socket, 1)?;
    let mut outgoing = TcpStream::connect(address)?;
    let (incoming, _) = TcpListener::from(socket).accept()?;
    // Whoever closes first is remembered: it has to be the end with the port.
    drop(incoming);
    io::copy(&mut outgoing, &mut io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_port_is_given_to_nobody_else_but_whoever_names_it_may_listen() {
        let address = reserve_one().expect("a port is free");
        let taken = |result: io::Result<()>| {
            assert_eq!(result.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        };
        taken(leave_in_time_wait(address));
        let server = TcpListener::bind(address).expect("the port is reserved for a server");
        taken(leave_in_time_wait(address));
        let client = TcpStream::connect(address).expect("the server listens");
        drop(server.accept().expect("a client has come"));
        drop((server, client));
        taken(leave_in_time_wait(address));
        TcpListener::bind(address).expect("the server starts again");
    }
}
