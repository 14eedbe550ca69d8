use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::ports;

fn shell(script: &str) -> Launch {
    Launch::new("sh").args(["-c", script])
}

/// Waits until the process is gone, as seen by anybody.
async fn gone(pid: u32) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended, though nobody has asked how.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while alive() && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    !alive()
}

#[tokio::test]
async fn lines_of_both_outputs_are_found_early_and_late() {
    let mut process = shell("echo one; echo two >&2; read -r word; echo got $word; exit 3")
        .interactive()
        .spawn()
        .unwrap();
    assert_eq!(process.line("wo").await.unwrap(), "two");
    process.take_stdin().unwrap().write_all(b"three\n").unwrap();
    let mut stdout = String::new();
    process
        .take_stdout()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    assert_eq!(stdout, "one\ngot three\n");
    assert_eq!(process.exit(PATIENCE).await.unwrap().code(), Some(3));
    assert!(!process.is_running());
}

#[tokio::test]
async fn a_line_that_never_comes_is_an_error_with_the_last_lines() {
    let process = shell("echo only this").spawn().unwrap();
    let error = process
        .line("something else")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("something else") && error.contains("only this"),
        "{error}"
    );
    assert_eq!(process.lines(), ["only this"]);
}

#[tokio::test]
async fn a_drop_ends_the_whole_group() {
    let process = shell("sleep 600 & echo child $!; wait").spawn().unwrap();
    let line = process.line("child").await.unwrap();
    let child: u32 = line.trim_start_matches("child ").parse().unwrap();
    let leader = process.id();
    assert!(usage::group(leader).unwrap().contains(&child));
    drop(process);
    assert!(gone(leader).await, "the leader lives");
    assert!(gone(child).await, "the child of the leader lives");
}

#[tokio::test]
async fn the_guard_ends_what_a_killed_parent_left() {
    // Stands in for a test that is killed: a second guard whose pipe closes.
    let orphan = shell("sleep 600").spawn().unwrap();
    let mut guard = Command::new("sh");
    guard
        .args(["-c", super::guard::SCRIPT])
        .stdin(Stdio::piped())
        .process_group(0);
    let mut guard = guard.spawn().unwrap();
    let told = format!("started {}\nstarted 4194000\nended 4194000\n", orphan.id());
    guard
        .stdin
        .take()
        .unwrap()
        .write_all(told.as_bytes())
        .unwrap();
    assert!(guard.wait().is_ok());
    assert!(gone(orphan.id()).await);
}

#[tokio::test]
async fn readiness_is_an_open_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = shell("sleep 600").spawn().unwrap();
    process
        .ready(listener.local_addr().unwrap().port())
        .await
        .unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    process
        .ready_udp(udp.local_addr().unwrap().port())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_process_that_ends_is_never_ready() {
    let mut process = shell("echo bad option >&2; exit 7").spawn().unwrap();
    let error = process.ready(ports::tcp()).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 7"), "{error}");
    let port = ports::tcp();
    let pause = Duration::from_millis(1);
    assert!(
        process
            .wait_ready((Ipv4Addr::LOCALHOST, port).into(), pause)
            .is_err()
    );
}

#[tokio::test]
async fn a_signal_reaches_the_process() {
    let mut process = shell("trap 'echo reloaded' HUP; echo set; while :; do sleep 0.01; done")
        .spawn()
        .unwrap();
    process.line("set").await.unwrap();
    process.signal(Signal::SIGHUP).unwrap();
    process.line("reloaded").await.unwrap();
    assert!(process.is_running());
}

#[tokio::test]
async fn usage_covers_the_children() {
    let process = shell("sleep 600 & sleep 600 & echo up; wait")
        .spawn()
        .unwrap();
    process.line("up").await.unwrap();
    let all = process.usage();
    let leader = Usage::of(process.id()).unwrap();
    assert!(
        all.rss > leader.rss && all.descriptors > leader.descriptors,
        "{all:?} {leader:?}"
    );
}

#[tokio::test]
async fn output_can_go_to_a_file() {
    let path = std::env::temp_dir().join(format!("gost-testkit-{}.log", std::process::id()));
    let mut process = shell("echo to the file; echo and this >&2")
        .log_to(&path)
        .spawn()
        .unwrap();
    assert!(process.exit(PATIENCE).await.unwrap().success());
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "to the file\nand this\n"
    );
    std::fs::remove_file(path).unwrap();
}
