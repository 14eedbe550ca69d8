//! A request over HTTP/1.1, and its status.

use std::fmt::Write as _;

use gost_core::{
    addr::Addr,
    error::{Error, Phase, Result, Side, Why},
    stream::Stream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The longest status line that is read, in bytes.
const LINE: usize = 1024;

/// A request and the answer that counts as healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpProbe {
    /// The path; `/` when empty.
    pub path: String,
    /// The host; the probe's address when empty.
    pub host: String,
    /// More header fields.
    pub headers: Vec<(String, String)>,
    /// The status that counts as healthy; 200 when 0.
    pub status: u16,
}

impl HttpProbe {
    /// Asks, and reads the status. The body is not waited for.
    pub(super) async fn exchange(&self, stream: &mut dyn Stream, addr: &Addr) -> Result<()> {
        stream.write_all(self.request(addr).as_bytes()).await?;
        stream.flush().await?;
        let mut line = Vec::with_capacity(64);
        while !line.contains(&b'\n') {
            if line.len() >= LINE {
                return Err(bad("the status line is too long"));
            }
            if stream.read_buf(&mut line).await? == 0 {
                return Err(bad("closed before a status"));
            }
        }
        let status = status(&line).ok_or_else(|| bad("the answer is not HTTP"))?;
        let expected = if self.status == 0 { 200 } else { self.status };
        if status == expected {
            Ok(())
        } else {
            Err(bad(&format!("status {status} instead of {expected}")))
        }
    }

    fn request(&self, addr: &Addr) -> String {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: ");
        // Writing to a string cannot fail.
        let _ = if self.host.is_empty() {
            write!(request, "{addr}\r\n")
        } else {
            write!(request, "{}\r\n", self.host)
        };
        for (name, value) in &self.headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        request.push_str("Connection: close\r\n\r\n");
        request
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.split(|b| *b == b'\n').next()?).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

fn bad(what: &str) -> Error {
    Error::new(Why::BadInput, what)
        .side(Side::Target)
        .phase(Phase::Handshake)
}
