//! Against the Go library that the reference uses, when `go` is there to build it
//! (`tests/peers/kcp` at the root of the repository).

use std::{
    io::Read,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use gost_kcp::{Cipher, CipherKind, Config, Envelope, Key, Nonces, Opening, Session};
use gost_testkit::go_peer::{self, GoPeer};

const PATIENCE: Duration = Duration::from_mins(1);

/// The peer's program; `None`, with the reason printed, if it can't be had.
fn peer() -> Option<PathBuf> {
    go_peer::build(
        "kcp",
        "github.com/xtaci/kcp-go",
        env!("CARGO_TARGET_TMPDIR"),
    )
    .unwrap()
}

fn start(binary: &Path, command: &str, flags: &str) -> GoPeer {
    let args = std::iter::once(command).chain(flags.split_whitespace());
    GoPeer::start(binary, args).unwrap()
}

/// An echo of the peer's, and where it is.
fn serve(binary: &Path, flags: &str) -> (GoPeer, SocketAddr) {
    let mut server = start(binary, "serve", flags);
    let addr = server.listening().unwrap();
    (server, addr)
}

/// Our end: a session on a socket of its own.
struct End {
    socket: UdpSocket,
    envelope: Envelope,
    nonces: Nonces,
    session: Session,
    /// When it is to be done.
    deadline: Instant,
}

fn envelope(crypt: &str, key: &str) -> Envelope {
    let kind: CipherKind = crypt.parse().unwrap();
    Envelope::new(Arc::new(Cipher::new(kind, &Key::derive(key))))
}

impl End {
    fn new(socket: UdpSocket, envelope: Envelope, conversation: u32, config: &Config) -> Self {
        Self {
            socket,
            envelope,
            nonces: Nonces::new([7; 32]),
            session: Session::new(conversation, config.clone(), Instant::now()).unwrap(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Sends what is to be sent, and takes a datagram if one comes in time.
    fn step(&mut self) {
        assert!(Instant::now() < self.deadline, "it takes too long");
        assert!(!self.session.is_dead());
        let mut room = [0; 1500];
        while let Some(length) = self.session.transmit(Instant::now(), &mut room) {
            let packet = &mut room[..length];
            self.envelope.close(&mut self.nonces, &mut [packet]);
            // A full socket is a path that loses some.
            let _ = self.socket.send(&room[..length]);
        }
        let at = self.session.next_timeout();
        let pause = at.map_or(Duration::MAX, |at| at - Instant::now());
        // Not so long that a process that has ended is not noticed; 0 would mean for ever.
        let pause = pause.clamp(Duration::from_millis(1), Duration::from_millis(20));
        self.socket.set_read_timeout(Some(pause)).unwrap();
        while let Ok(length) = self.socket.recv(&mut room) {
            if let Some(body) = self.envelope.open(&mut room[..length]) {
                self.session.receive(Instant::now(), body);
            }
            // The rest of what is there, without waiting.
            self.socket.set_nonblocking(true).unwrap();
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    /// Takes what can be read.
    fn read(&mut self, into: &mut Vec<u8>) {
        while !self.session.peek().is_empty() {
            let length = self.session.peek().len();
            into.extend_from_slice(self.session.peek());
            self.session.consume(length);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let some = bytes.len().min(self.session.writable());
        self.session.write(&bytes[..some]);
        some
    }
}

/// Our client at an echo of the peer's.
fn ours_at_theirs(flags: &str, envelope: &Envelope, config: &Config, size: usize) {
    let Some(binary) = &peer() else { return };
    let (_server, addr) = serve(binary, flags);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(addr).unwrap();
    let mut end = End::new(socket, envelope.clone(), 0xdead_beef, config);
    let sent: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(size)
        .collect();
    let (mut written, mut read) = (0, Vec::new());
    while read.len() < size {
        written += end.write(&sent[written..]);
        end.step();
        end.read(&mut read);
    }
    assert!(read == sent, "{flags}: other bytes came back");
}

/// A client of the peer's at our echo.
fn theirs_at_ours(flags: &str, envelope: &Envelope, config: &Config, size: usize) {
    let Some(binary) = &peer() else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let flags = format!("{flags} -addr {addr} -conv 3735928559 -bytes {size}");
    let mut client = start(binary, "connect", &flags);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut packet = [0; 1500];
    let (length, from) = socket.recv_from(&mut packet).unwrap();
    socket.connect(from).unwrap();
    let body = envelope.open(&mut packet[..length]).unwrap();
    let opening = Opening::find(body, config.receive_window).unwrap();
    assert_eq!(opening.conversation, 0xdead_beef);
    let mut end = End::new(socket, envelope.clone(), opening.conversation, config);
    end.session.receive(Instant::now(), body);
    let (mut read, mut written) = (Vec::new(), 0);
    let status = loop {
        end.read(&mut read);
        written += end.write(&read[written..]);
        end.step();
        if let Some(status) = client.0.try_wait().unwrap() {
            break status;
        }
    };
    let mut said = String::new();
    let stdout = client.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert!(status.success() && said == "ok\n", "{flags}: {said}");
}

/// Both ways round.
fn both(flags: &str, crypt: &str, config: &Config, size: usize) {
    let flags = format!("-key secret -crypt {crypt} {flags}");
    let envelope = envelope(crypt, "secret");
    ours_at_theirs(&flags, &envelope, config, size);
    theirs_at_ours(&flags, &envelope, config, size);
}

#[test]
fn every_cipher() {
    for crypt in [
        "aes", "aes-128", "aes-192", "sm4", "twofish", "blowfish", "cast5", "3des", "tea", "xtea",
        "salsa20", "xor", "none",
    ] {
        both("", crypt, &Config::default(), 20_000);
    }
}

fn config(edit: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    edit(&mut config);
    config
}

#[test]
fn bulk_with_and_without_error_correction_whoever_has_it() {
    let wide = "-sndwnd 512 -rcvwnd 512 -nodelay 1 -interval 10 -resend 2 -nc 1";
    for (theirs, ours) in [
        ("-datashard 10 -parityshard 3", Some((10, 3))),
        ("-datashard 0 -parityshard 0", None),
        ("-datashard 0 -parityshard 0", Some((5, 2))),
        ("-datashard 4 -parityshard 4", None),
        ("-datashard 20 -parityshard 1", Some((3, 6))),
    ] {
        let config = config(|config| {
            config.no_delay = true;
            config.fast_resend = 2;
            config.no_congestion_control = true;
            (config.send_window, config.receive_window) = (512, 512);
            config.shards = ours;
        });
        both(&format!("{wide} {theirs}"), "salsa20", &config, 1 << 20);
    }
}

#[test]
fn numbers_that_differ_at_both_ends() {
    for (theirs, ours) in [
        (
            "-mtu 500 -sndwnd 8 -rcvwnd 200 -interval 40 -acknodelay",
            config(|config| {
                config.mtu = 1500;
                config.send_window = 1000;
                config.interval = 30;
            }),
        ),
        (
            "-mtu 1500 -sndwnd 300 -rcvwnd 4 -nodelay 1 -resend 1",
            config(|config| {
                config.mtu = 200;
                config.receive_window = 5;
                config.ack_no_delay = true;
            }),
        ),
        (
            "-messages -resend 2 -nc 1",
            config(|config| config.shards = None),
        ),
    ] {
        both(theirs, "aes", &ours, 300_000);
    }
}

#[test]
fn another_key_is_not_understood() {
    let Some(binary) = &peer() else { return };
    let (_server, addr) = serve(binary, "-key one");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(addr).unwrap();
    let mut end = End::new(socket, envelope("aes", "other"), 1, &Config::default());
    end.write(b"hello");
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        end.step();
        assert!(end.session.peek().is_empty() && !end.session.is_heard());
    }
}
