//! Turns the interface's `.proto` files into Rust, in Rust: no `protoc`, nothing downloaded.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/rpc.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Clients are generated too (for tests, the demo, and bridges to other protocols), but
        // how they connect is their own affair.
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
