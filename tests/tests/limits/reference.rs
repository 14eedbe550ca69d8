//! The original, which way it limits: what is `in` there must be `in` here.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use gost_testkit::{peers, ports, process::Launch};

use super::support::{Far, MEGA, Through, downloads, open, upload};

/// Both with the same arguments. The original lets a second's worth pass at once, so that its
/// averages are higher: only which is which is compared.
#[tokio::test(flavor = "multi_thread")]
async fn in_and_out_are_what_they_are_in_the_original() -> Result<()> {
    let Some(reference) = peers::need("gost-reference") else {
        return Ok(());
    };
    for program in [reference, peers::gost_bin()?] {
        let (port, far) = (ports::tcp(), Far::start().await?);
        let listen = format!(
            "tcp://127.0.0.1:{port}/{}?limiter.in=1MB&limiter.out=8MB",
            far.addr()
        );
        let mut process = Launch::new(&program).args(["-L", &listen]).spawn()?;
        process.ready(port).await?;
        let mut streams = [open(Through::Forward, Ipv4Addr::LOCALHOST, port, &far).await?];
        let down = downloads(&mut streams).await?[0] / MEGA;
        let up = upload(&mut streams, &far).await? / MEGA;
        ensure!(
            (0.7..2.0).contains(&up) && (6.0..13.0).contains(&down),
            "{}: {up} MB/s up, {down} MB/s down",
            program.display()
        );
    }
    Ok(())
}
