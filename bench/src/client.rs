//! Connections through the program under test.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::scenario::Entry;
use crate::target::{DOWNLOAD, MESSAGE, block};

/// A program that has not answered for this long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that the check of a program downloads.
const CHECKED: usize = 8 << 20;

/// The way through a program to a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) entry: Entry,
    pub(crate) listen: SocketAddr,
    pub(crate) target: SocketAddr,
}

impl Path {
    /// A connection to the target.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.listen).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match self.entry {
            Entry::Forward => {}
            Entry::Socks5 => socks5(&mut stream, self.target).context("SOCKS5")?,
            Entry::HttpConnect => connect(&mut stream, self.target).context("CONNECT")?,
            Entry::Datagrams => bail!("no streams here"),
        }
        Ok(stream)
    }

    /// A connection on which the target sends without end.
    pub(crate) fn download(&self) -> Result<TcpStream> {
        let mut stream = self.connect()?;
        stream.write_all(&[DOWNLOAD; MESSAGE]).context("ask")?;
        Ok(stream)
    }

    /// Downloads some megabytes and compares them.
    pub(crate) fn check(&self) -> Result<()> {
        let expected = block();
        let mut got = vec![0; expected.len()];
        let mut stream = self.download()?;
        for number in 0..CHECKED / expected.len() {
            stream.read_exact(&mut got).context("download")?;
            ensure!(
                got == expected,
                "block {number} of a download arrived changed"
            );
        }
        Ok(())
    }
}

/// Sends a message and reads its echo.
pub(crate) fn exchange(stream: &mut TcpStream) -> Result<()> {
    const QUESTION: [u8; MESSAGE] = [b'E'; MESSAGE];
    let mut answer = [0; MESSAGE];
    stream.write_all(&QUESTION).context("ask")?;
    stream.read_exact(&mut answer).context("read the echo")?;
    ensure!(answer == QUESTION, "an echo arrived changed");
    Ok(())
}

/// RFC 1928: no authentication, CONNECT.
fn socks5(stream: &mut TcpStream, target: SocketAddr) -> Result<()> {
    let SocketAddr::V4(target) = target else {
        bail!("targets have IPv4 addresses")
    };
    stream.write_all(&[5, 1, 0])?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice)?;
    ensure!(choice == [5, 0], "method {choice:?}");
    let mut request = [5, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    request[4..8].copy_from_slice(&target.ip().octets());
    request[8..].copy_from_slice(&target.port().to_be_bytes());
    stream.write_all(&request)?;
    // Version, reply, reserved, type, and the first byte of the address.
    let mut reply = [0; 5];
    stream.read_exact(&mut reply)?;
    ensure!(reply[..2] == [5, 0], "reply {reply:?}");
    let rest = match reply[3] {
        1 => 3 + 2,
        3 => usize::from(reply[4]) + 2,
        4 => 15 + 2,
        other => bail!("address type {other}"),
    };
    stream.read_exact(&mut [0; 257][..rest])?;
    Ok(())
}

/// RFC 9110, section 9.3.6.
fn connect(stream: &mut TcpStream, target: SocketAddr) -> Result<()> {
    // In one write: one segment, as every client sends it.
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 1024];
    let mut have = 0;
    while !head[..have].ends_with(b"\r\n\r\n") {
        ensure!(
            have < head.len(),
            "an answer of more than {} bytes",
            head.len()
        );
        // The target says nothing unasked: all that comes is the answer.
        match stream.read(&mut head[have..])? {
            0 => bail!("closed"),
            size => have += size,
        }
    }
    let head = String::from_utf8_lossy(&head[..have]);
    let status = head.split(' ').nth(1);
    ensure!(status == Some("200"), "answer {head:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::target::TcpTarget;

    /// Answers one connection by a script: what must come, what goes back.
    fn scripted<const N: usize>(script: [(&'static [u8], &'static [u8]); N]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for (expected, answer) in script {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).unwrap();
                if got != *expected {
                    // The client sees an early end.
                    return;
                }
                stream.write_all(answer).unwrap();
            }
            // Stays open until the client ends.
            let _ = stream.read(&mut [0]);
        });
        address
    }

    fn through(entry: Entry, listen: SocketAddr) -> Result<TcpStream> {
        let target = "127.0.0.1:258".parse().unwrap();
        Path {
            entry,
            listen,
            target,
        }
        .connect()
    }

    #[test]
    fn the_target_echoes_and_sends_what_it_should() {
        let target = TcpTarget::start().unwrap();
        let listen = target.address();
        let path = Path {
            entry: Entry::Forward,
            listen,
            target: listen,
        };
        path.check().unwrap();
        let mut stream = path.connect().unwrap();
        exchange(&mut stream).unwrap();
        exchange(&mut stream).unwrap();
    }

    #[test]
    fn socks5_asks_by_address_and_takes_any_form_of_answer() {
        const GREETING: (&[u8], &[u8]) = (&[5, 1, 0], &[5, 0]);
        const REQUEST: &[u8] = &[5, 1, 0, 1, 127, 0, 0, 1, 1, 2];
        let by_address = [GREETING, (REQUEST, &[5, 0, 0, 1, 1, 2, 3, 4, 5, 6])];
        through(Entry::Socks5, scripted(by_address)).unwrap();
        let by_name = [GREETING, (REQUEST, &[5, 0, 0, 3, 2, b'h', b'i', 5, 6])];
        through(Entry::Socks5, scripted(by_name)).unwrap();
        let refused = [GREETING, (REQUEST, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0])];
        let error = through(Entry::Socks5, scripted(refused)).unwrap_err();
        assert!(format!("{error:#}").contains("reply"), "{error:#}");
        let wants_password = [(&[5, 1, 0][..], &[5, 2][..])];
        assert!(through(Entry::Socks5, scripted(wants_password)).is_err());
    }

    #[test]
    fn connect_takes_only_success() {
        const REQUEST: &[u8] = b"CONNECT 127.0.0.1:258 HTTP/1.1\r\nHost: 127.0.0.1:258\r\n\r\n";
        let established = [(
            REQUEST,
            &b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"[..],
        )];
        through(Entry::HttpConnect, scripted(established)).unwrap();
        let refused = [(REQUEST, &b"HTTP/1.1 403 Forbidden\r\n\r\n"[..])];
        let error = through(Entry::HttpConnect, scripted(refused)).unwrap_err();
        assert!(format!("{error:#}").contains("403"), "{error:#}");
    }
}
