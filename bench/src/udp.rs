//! The load of datagrams.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::load::{Worker, drive};
use crate::metric::{Metric, Sample};
use crate::program::Running;
use crate::target::{DATAGRAM, roomy};

/// Clients at once.
const CLIENTS: usize = 4;
/// Datagrams that each of them has underway.
const IN_FLIGHT: u64 = 16;
/// Datagrams without an answer for this long are lost.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// How often a single question is asked.
const ATTEMPTS: usize = 10;

/// Echoes through the program.
pub(crate) fn datagrams(
    program: &Running,
    listen: SocketAddr,
    length: Duration,
    sample: &mut Sample,
) -> Result<()> {
    exchange(&client(listen)?).context("check")?;
    let window = drive(program, CLIENTS, length, |worker| load(listen, worker))?;
    // With nothing answered there is no cost of an answer.
    ensure!(window.count > 0.0, "no datagram was answered");
    let (sent, lost) = window.returned.iter().fold((0, 0), |(sent, lost), one| {
        (sent + one.sent, lost + one.lost)
    });
    sample.set(Metric::DatagramRate, window.count / window.seconds / 1e3);
    sample.set(Metric::CpuPerDatagram, window.cpu * 1e6 / window.count);
    sample.set(Metric::Loss, 100.0 * lost as f64 / sent.max(1) as f64);
    sample.disturbance = window.others / window.seconds;
    Ok(())
}

/// A client's socket, with a flow of its own through the program.
pub(crate) fn client(listen: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(listen)?;
    socket.set_read_timeout(Some(LOST_AFTER))?;
    Ok(socket)
}

/// Asks until there is an answer.
pub(crate) fn exchange(socket: &UdpSocket) -> Result<()> {
    let question = [b'E'; DATAGRAM];
    let mut answer = [0; 2 * DATAGRAM];
    for _ in 0..ATTEMPTS {
        socket.send(&question).context("ask")?;
        if let Ok(size) = socket.recv(&mut answer) {
            ensure!(answer[..size] == question, "an echo arrived changed");
            return Ok(());
        }
    }
    anyhow::bail!("no answer to {ATTEMPTS} datagrams")
}

#[derive(Debug, Default)]
struct Count {
    sent: u64,
    lost: u64,
}

fn load(listen: SocketAddr, worker: &Worker<'_>) -> Result<Count> {
    let socket = client(listen)?;
    roomy(&socket)?;
    let mut count = Count::default();
    let mut datagram = [b'U'; DATAGRAM];
    let mut answer = [0; 2 * DATAGRAM];
    // Of the numbers before `oldest`, those without an answer are lost.
    let (mut next, mut oldest, mut underway) = (0_u64, 0_u64, 0_u64);
    while worker.goes_on() {
        while underway < IN_FLIGHT {
            datagram[..8].copy_from_slice(&next.to_be_bytes());
            socket.send(&datagram).context("send")?;
            next += 1;
            underway += 1;
            count.sent += u64::from(worker.measures());
        }
        // Any error is taken as silence: a refused port may be open again.
        let Ok(size) = socket.recv(&mut answer) else {
            count.lost += if worker.measures() { underway } else { 0 };
            (oldest, underway) = (next, 0);
            continue;
        };
        ensure!(
            size == DATAGRAM,
            "an echo of {size} bytes instead of {DATAGRAM}"
        );
        let (number, _) = answer.split_first_chunk().context("a short echo")?;
        // An answer after it was given up was counted as lost.
        if (oldest..next).contains(&u64::from_be_bytes(*number)) {
            underway = underway.saturating_sub(1);
            worker.done(1);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::UdpTarget;

    #[test]
    fn the_target_echoes() {
        let target = UdpTarget::start().unwrap();
        exchange(&client(target.address()).unwrap()).unwrap();
    }

    #[test]
    fn silence_is_an_error() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = client(silent.local_addr().unwrap()).unwrap();
        assert!(
            exchange(&client)
                .unwrap_err()
                .to_string()
                .contains("no answer")
        );
    }
}
