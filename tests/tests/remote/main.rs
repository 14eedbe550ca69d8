//! Remote forwarding: a port at the far end of a chain leads back to here, with either end ours or
//! the original's.

mod ssh;
mod tcp;
mod udp;

use anyhow::{Context as _, Result};
use gost_testkit::{
    peers,
    process::{Launch, Process},
};

/// Whose program plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    TheOriginals,
}

use Whose::{Ours, TheOriginals};

/// Server and client, in every mixture.
const PAIRS: [(Whose, Whose); 3] = [(Ours, Ours), (TheOriginals, Ours), (Ours, TheOriginals)];

/// The mixtures that can be played on this machine.
fn pairs() -> impl Iterator<Item = (Whose, Whose)> {
    let original = peers::need("gost-reference").is_some();
    PAIRS
        .into_iter()
        .filter(move |(server, client)| original || (*server == Ours && *client == Ours))
}

impl Whose {
    /// Starts the program; it may not be ready yet.
    fn start(self, args: &[&str]) -> Result<Process> {
        let program = match self {
            Ours => peers::gost_bin()?,
            TheOriginals => peers::peer("gost-reference").context("no gost-reference")?,
        };
        Launch::new(program).args(args).spawn()
    }

    /// Starts a server and waits until it listens.
    async fn serve(self, listen: &str, port: u16) -> Result<Process> {
        let mut process = self.start(&["-L", listen])?;
        process.ready(port).await?;
        Ok(process)
    }
}
