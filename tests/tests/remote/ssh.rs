//! OpenSSH through a remote port: the one thing that most people use them for.

use std::path::Path;

use anyhow::{Context as _, Result};
use gost_testkit::{peers, ports};
use gost_tests::ssh::{SSHD, ssh, sshd};

use crate::pairs;

#[tokio::test(flavor = "multi_thread")]
async fn openssh_logs_in_through_a_remote_port() -> Result<()> {
    if !Path::new(SSHD).exists() || peers::need("ssh").is_none() {
        peers::skip("sshd");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let target = ports::tcp();
    let _sshd = sshd(folder.path(), target).await?;
    for (server, client) in pairs() {
        let (port, remote) = (ports::tcp(), ports::tcp());
        let listen = format!("relay://127.0.0.1:{port}?bind=true");
        let mut served = server.serve(&listen, port).await?;
        let rtcp = format!("rtcp://127.0.0.1:{remote}/127.0.0.1:{target}");
        let node = format!("relay://127.0.0.1:{port}");
        let _client = client.start(&["-L", &rtcp, "-F", &node])?;
        served.ready(remote).await?;
        // A megabyte, so that windows have to open again.
        let command = "head -c 1000000 /dev/zero | tr '\\0' x; echo done";
        let output = ssh(folder.path(), remote, command).await;
        let output = output.with_context(|| format!("server {server:?}, client {client:?}"))?;
        assert_eq!(
            (output.len(), output.ends_with("xdone\n")),
            (1_000_005, true)
        );
    }
    Ok(())
}
