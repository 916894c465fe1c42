//! `quorate keygen`: one member's keys, made where they stay.

use crate::args::cluster::Keygen;
use crate::render;
use anyhow::Result;
use quorate_node::cluster::Role;
use quorate_node::home::Home;
use quorate_node::setup;

pub(super) fn run(args: &Keygen) -> Result<()> {
    let home = Home::new(&args.dir);
    let role = match &args.addr {
        Some(address) => Role::Replica { address: checked_address(address)? },
        None => Role::Client,
    };
    setup::make_member(&home, role)?;
    if let Some(listen) = args.listen {
        home.set_listen(&listen.to_string())?;
    }
    render::line(format_args!("{}", home.card_path().display()))?;
    render::note(format_args!(
        "hand out this card; keep everything else in {} to yourself",
        args.dir.display()
    ));
    Ok(())
}

/// `HOST:PORT`, with a port that can be dialled.
fn checked_address(address: &str) -> Result<String> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(1..) => Ok(address.to_owned()),
        _ => anyhow::bail!("--addr {address}: write HOST:PORT, as in alice.example:7000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_a_host_and_a_port() {
        assert!(checked_address("alice.example:7000").is_ok());
        assert!(checked_address("[::1]:7000").is_ok());
        for wrong in ["alice.example", ":7000", "alice:0", "alice:x", "alice:70000"] {
            assert!(checked_address(wrong).is_err(), "{wrong}");
        }
    }
}
