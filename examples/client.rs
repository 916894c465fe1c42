//! The smallest client: it adds a number to the counter that counter.rs serves.
//!
//! ```text
//! cargo run -p quorate --example client -- DIR/client-1 5
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use quorate::tokio;
use quorate::{Client, Home, Operation, ServiceId};
use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(folder), Some(number)) = (std::env::args().nth(1), std::env::args().nth(2)) else {
        return Err("usage: client DIR/client-1 NUMBER, with the DIR of the counter".into());
    };
    let home = Home::new(folder);
    let client = Client::start(home.client_settings(&home.membership()?)?)?;
    let operation = Operation { service: ServiceId(1), body: number.into_bytes() };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let count = client.submit(operation, deadline).await?;
    println!("{}", String::from_utf8_lossy(&count));
    client.close().await;
    Ok(())
}
