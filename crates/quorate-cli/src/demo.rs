//! `quorate demo`.

use crate::args::Demo;
use anyhow::Result;

pub(crate) fn run(_args: Demo) -> Result<()> {
    anyhow::bail!("not yet")
}
