//! Against the Go library that the reference uses, when `go` is there to
//! build it (`tests/peers/smux` at the root of the repository).

#[path = "sessions/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gost_smux::{Config, Event, SessionError, Side, Version};
use gost_testkit::go_peer::{self, GoPeer};
use support::{End, Task, config, pattern};

const PATIENCE: Duration = Duration::from_secs(20);

/// The peer's program; `None`, with the reason printed, if it can't be had.
fn peer() -> Option<PathBuf> {
    go_peer::build("smux", "github.com/xtaci/smux", env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn start(binary: &Path, command: &str, version: Version, args: &[&str]) -> GoPeer {
    let version = version.number().to_string();
    let all = [&[command, "-version", &version], args].concat();
    GoPeer::start(binary, all).unwrap()
}

fn serve(binary: &Path, version: Version) -> (GoPeer, TcpStream) {
    let mut server = start(binary, "serve", version, &[]);
    let conn = TcpStream::connect(server.listening().unwrap()).unwrap();
    (server, conn)
}

/// One side of ours over a real connection.
struct Link {
    end: End,
    conn: TcpStream,
    arrived: Receiver<BytesMut>,
}

impl Link {
    fn new(config: Config, side: Side, conn: TcpStream) -> Self {
        let (to, arrived) = channel();
        let mut reader = conn.try_clone().unwrap();
        std::thread::spawn(move || {
            loop {
                let mut buffer = BytesMut::zeroed(65_536);
                match reader.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(length) => buffer.truncate(length),
                }
                if to.send(buffer).is_err() {
                    return;
                }
            }
        });
        Self {
            end: End::new(config, side, Instant::now()),
            conn,
            arrived,
        }
    }

    /// Drives until `done`, `each` being called after all that arrived.
    fn run(&mut self, mut each: impl FnMut(&mut End), mut done: impl FnMut(&mut End) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            each(&mut self.end);
            let out = self.end.emit_all();
            self.conn.write_all(&out).unwrap();
            if done(&mut self.end) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let data = self.arrived.recv_timeout(left).expect("data in time");
            self.end.inbox.extend_from_slice(&data);
            self.end.take_input();
            assert_eq!(self.end.failure, None);
        }
    }
}

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

#[test]
fn our_streams_are_echoed() {
    let Some(binary) = &peer() else { return };
    for version in VERSIONS {
        let (_server, conn) = serve(binary, version);
        let mut link = Link::new(config(version), Side::Client, conn);
        let ids: Vec<_> = (0..20)
            .map(|n| link.end.open(Task::writing(pattern(n, 400_000))))
            .collect();
        link.run(
            |_| (),
            |end| ids.iter().all(|&id| end.task(id).received.len() == 400_000),
        );
        for (n, &id) in (0..).zip(&ids) {
            assert!(link.end.task(id).received == pattern(n, 400_000));
            link.end.session.finish(id).unwrap();
        }
        // The peer closes its side in turn.
        link.run(|_| (), |end| ids.iter().all(|&id| end.task(id).ended));
        let finished = |e: &&Event| matches!(e, Event::Finished(_));
        assert_eq!(link.end.events.iter().filter(finished).count(), 20);
    }
}

#[test]
fn its_streams_are_echoed_by_us() {
    let Some(binary) = &peer() else { return };
    for version in VERSIONS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let args = ["-addr", &addr, "-streams", "20", "-bytes", "400000"];
        let mut client = start(binary, "connect", version, &args);
        let mut link = Link::new(config(version), Side::Server, listener.accept().unwrap().0);
        let echo = |end: &mut End| {
            for task in end.tasks.values_mut() {
                task.to_write.append(&mut task.received);
            }
            end.run_tasks();
        };
        link.run(echo, |end| {
            end.tasks.len() == 20 && end.tasks.values().all(|t| t.ended)
        });
        let mut output = String::new();
        let stdout = client.0.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        assert_eq!(output, "ok\n");
        assert!(client.0.wait().unwrap().success());
    }
}

/// Version 2: it keeps to our window on a stream that we do not read, and we
/// to its, while others go on.
#[test]
fn a_stalled_stream_does_not_stop_another() {
    let Some(binary) = &peer() else { return };
    let (_server, conn) = serve(binary, Version::V2);
    let mut link = Link::new(config(Version::V2), Side::Client, conn);
    let stalled = link.end.open(Task {
        stalled: true,
        ..Task::writing(pattern(1, 2_000_000))
    });
    let other = link.end.open(Task::writing(pattern(2, 2_000_000)));
    link.run(|_| (), |end| end.task(other).received.len() == 2_000_000);
    assert!(link.end.task(other).received == pattern(2, 2_000_000));
    assert!(!link.end.task(stalled).all_written());
    assert!(link.end.session.stats().unread <= 262_144);

    link.end.resume(stalled);
    link.run(|_| (), |end| end.task(stalled).received.len() == 2_000_000);
    assert!(link.end.task(stalled).received == pattern(1, 2_000_000));
}

#[test]
fn another_version_is_dropped_by_both() {
    let Some(binary) = &peer() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let _client = start(binary, "connect", Version::V1, &["-addr", &addr]);
    let (mut conn, _) = listener.accept().unwrap();
    let mut first = [0];
    conn.read_exact(&mut first).unwrap();
    let mut ours = End::new(config(Version::V2), Side::Server, Instant::now());
    ours.inbox.extend_from_slice(&first);
    ours.take_input();
    assert_eq!(
        ours.failure,
        Some(SessionError::Version {
            expected: 2,
            got: 1
        })
    );

    let (_server, mut conn) = serve(binary, Version::V1);
    conn.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ours = End::new(config(Version::V2), Side::Client, Instant::now());
    ours.open(Task::new());
    conn.write_all(&ours.emit_all()).unwrap();
    assert_eq!(conn.read(&mut first).unwrap_or(0), 0);
}
