//! OpenSSH: a server of a test's own, and its client.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE,
    process::{Launch, Process},
};
use tokio::process::Command;

/// Where systems keep the server, which is not on everybody's PATH.
pub const SSHD: &str = "/usr/sbin/sshd";

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
/// Its files are in `folder`.
///
/// # Errors
/// When it can't be started.
pub async fn sshd(folder: &Path, port: u16) -> Result<Process> {
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

/// Runs a command there, by way of a port of this machine, and returns what it printed.
///
/// # Errors
/// When it fails, or does not end.
pub async fn ssh(folder: &Path, port: u16, command: &str) -> Result<String> {
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
