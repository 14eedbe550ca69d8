//! The load's own servers, which all programs lead to.
//!
//! Blocking threads: with some dozens of connections they need the fewest
//! system calls, and every cycle that the load does not take is one that the
//! program under test can show.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use gost_testkit::payload::payload;
use nix::sys::socket;

/// Length of every question and of every echoed answer.
pub(crate) const MESSAGE: usize = 64;
/// A message that begins with this byte asks for an endless stream of
/// [`block`]; any other is sent back.
pub(crate) const DOWNLOAD: u8 = b'D';
/// What the stream repeats.
const BLOCK: usize = 256 * 1024;
/// Connections that are served at once.
const THREADS: usize = 64;
/// Length of the datagrams.
pub(crate) const DATAGRAM: usize = 1000;

/// The bytes that a download repeats.
pub(crate) fn block() -> Bytes {
    payload(1, BLOCK)
}

/// Serves echoes and downloads over TCP until it is dropped. The programs
/// that lead to it should have ended by then: it waits for its connections.
#[derive(Debug)]
pub(crate) struct TcpTarget {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    threads: Vec<JoinHandle<()>>,
}

impl TcpTarget {
    pub(crate) fn start() -> Result<Self> {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let address = listener.local_addr()?;
        let block = block();
        let serve = |_| {
            let (listener, block) = (Arc::clone(&listener), block.clone());
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    // How a connection ends is the client's to judge.
                    let _ = serve(stream, &block);
                }
            })
        };
        let threads = (0..THREADS).map(serve).collect();
        Ok(Self {
            address,
            listener,
            threads,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TcpTarget {
    fn drop(&mut self) {
        // Wakes every thread that waits in accept.
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, block: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut message = [0; MESSAGE];
    let mut have = 0;
    loop {
        match stream.read(&mut message[have..])? {
            0 => return stream.shutdown(Shutdown::Both),
            size => have += size,
        }
        if have < MESSAGE {
            continue;
        }
        have = 0;
        if message[0] == DOWNLOAD {
            loop {
                stream.write_all(block)?;
            }
        }
        stream.write_all(&message)?;
    }
}

/// Echoes datagrams until it is dropped.
#[derive(Debug)]
pub(crate) struct UdpTarget {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpTarget {
    pub(crate) fn start() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        roomy(&socket)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2 * DATAGRAM];
            while !stopped.load(Ordering::Relaxed) {
                // Errors: nothing came, or the sender of an earlier one left.
                if let Ok((size, peer)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..size], peer);
                }
            }
        });
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for UdpTarget {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Gives a socket room for bursts, so that the load loses nothing itself.
pub(crate) fn roomy(socket: &UdpSocket) -> Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket
        .set_recv_buffer_size(4 << 20)
        .context("enlarge a receive buffer")
}
