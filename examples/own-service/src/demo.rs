//! The whole story in one command: four processes, two bidders, one replica killed, then all of
//! them at once.

use crate::{Result, ask, connect, init};
use quorate::Client;
use quorate::tokio::runtime::Runtime;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// How long the lot stays open, in seconds.
const OPEN_SECONDS: u32 = 5;

pub fn run(folder: &Path) -> Result<()> {
    init(folder)?;
    let mut replicas = start_all(folder)?;
    Runtime::new()?.block_on(async {
        let (anna, ben) = (connect(&folder.join("client-1"))?, connect(&folder.join("client-2"))?);
        tell(&anna, &format!("open vase {OPEN_SECONDS}")).await?;
        tell(&anna, "bid vase 100").await?;
        tell(&ben, "bid vase 120").await?;

        println!("replica 0 is killed");
        drop(replicas.remove(0));
        let sold = until_sold(&anna).await?;

        println!("all replicas are killed, and started again");
        drop(std::mem::take(&mut replicas));
        let _replicas = start_all(folder)?;
        let remembered = tell(&ben, "show vase").await?;
        if sold != "vase is sold to client 2 for 120" || remembered != sold {
            return Err("that is not what was agreed on".into());
        }
        Ok(())
    })
}

/// A replica's process; it is killed when this is dropped.
struct Replica(Child);

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_all(folder: &Path) -> Result<Vec<Replica>> {
    (0..4).map(|id| start(&folder.join(format!("replica-{id}")))).collect()
}

fn start(home: &Path) -> Result<Replica> {
    let mut command = Command::new(std::env::current_exe()?);
    let child = command.arg("replica").arg(home).stdout(Stdio::null()).spawn()?;
    Ok(Replica(child))
}

/// Asks, shows question and answer, and returns the answer.
async fn tell(client: &Client, words: &str) -> Result<String> {
    let answer = ask(client, words).await?;
    println!("{words}: {answer}");
    Ok(answer)
}

/// Asks until the agreed time has closed the lot.
async fn until_sold(client: &Client) -> Result<String> {
    loop {
        let answer = ask(client, "show vase").await?;
        if !answer.contains("is open") {
            println!("show vase: {answer}");
            return Ok(answer);
        }
    }
}
