//! OpenSSH through a remote port: the one thing that most people use them for.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
};
use tokio::process::Command;

use crate::pairs;

/// Where systems keep it, which is not on everybody's PATH.
const SSHD: &str = "/usr/sbin/sshd";

async fn keygen(file: &Path) -> Result<()> {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status()
        .await
        .context("ssh-keygen")?;
    ensure!(status.success(), "ssh-keygen: {status}");
    Ok(())
}

/// A server of this test's own, with keys of its own, which lets in who has the test's key.
async fn sshd(folder: &Path, port: u16) -> Result<Process> {
    // It insists on its folder for privilege separation where it runs as root.
    if nix::unistd::geteuid().is_root() {
        std::fs::create_dir_all("/run/sshd").context("sshd's folder")?;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for key in ["host", "user"] {
        keygen(&folder.join(key)).await?;
    }
    let place = folder.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}
HostKey {place}/host
AuthorizedKeysFile {place}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
"
    );
    let file = folder.join("sshd_config");
    std::fs::write(&file, config)?;
    let mut server = Launch::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(&file)
        .spawn()?;
    server.ready(port).await?;
    Ok(server)
}

/// Runs a command there and returns what it printed.
async fn ssh(folder: &Path, port: u16, command: &str) -> Result<String> {
    let run = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
        ])
        .args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "ConnectTimeout=15",
        ])
        .args(["-o", "IdentitiesOnly=yes", "-i"])
        .arg(folder.join("user"))
        .args(["-p", &port.to_string(), "127.0.0.1", command])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .context("ssh does not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ssh: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

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
