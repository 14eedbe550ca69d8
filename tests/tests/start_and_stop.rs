//! A wrong configuration starts nothing and says why; a signal ends the program in order.

use gost_testkit::{PATIENCE, ports, tcp};
use gost_tests::{exchange, gost, gost_output};
use nix::sys::signal::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_a_file_is_named_with_its_line() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    let port = ports::tcp();
    let text = format!(
        "services:
- name: good
  addr: 127.0.0.1:{port}
- name: bad
  addr: 127.0.0.1:0
  handler:
    type: nosuch
    auther: nobody
"
    );
    std::fs::write(&file, text)?;
    let output = gost_output(&["-C", &file.to_string_lossy()]).await?;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr)?;
    assert!(
        log.contains("gost.yaml:8: services[1].handler.auther"),
        "{log}"
    );
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_clear_line() -> anyhow::Result<()> {
    let taken = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let output = gost_output(&["-L", &format!("tcp://{}/127.0.0.1:1", taken.address())]).await?;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr)?;
    let fatal: Vec<_> = log
        .lines()
        .filter(|line| line.contains("\"fatal\""))
        .collect();
    assert_eq!(fatal.len(), 1, "{log}");
    assert!(fatal[0].contains("in use"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_with_status_0() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let mut gost = gost(
        &["-L", &format!("tcp://127.0.0.1:{port}/{}", echo.address())],
        port,
    )
    .await?;
    assert_eq!(exchange(port, b"ping").await?, b"ping");
    gost.signal(Signal::SIGTERM)?;
    assert_eq!(gost.exit(PATIENCE).await?.code(), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_without_a_meaning_have_no_effect() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", echo.address());
    let mut gost = gost(&["-L", &listen], port).await?;
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM] {
        gost.signal(signal)?;
        assert_eq!(exchange(port, b"ping").await?, b"ping", "{signal}");
    }
    // Everything before it has been seen once this one has taken effect.
    gost.signal(Signal::SIGHUP)?;
    gost.line("config reloaded").await?;
    assert_eq!(exchange(port, b"ping").await?, b"ping");
    gost.signal(Signal::SIGQUIT)?;
    assert_eq!(gost.exit(PATIENCE).await?.code(), Some(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_reload_and_end_with_their_parent() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let ports = [ports::tcp(), ports::tcp()];
    let listen = ports.map(|port| format!("tcp://127.0.0.1:{port}/{}", echo.address()));
    let mut gost = gost(&["-L", &listen[0], "--", "-L", &listen[1]], ports[0]).await?;
    gost.ready(ports[1]).await?;
    gost.signal(Signal::SIGHUP)?;
    let reloaded = async {
        let count = || {
            let lines = gost.lines().into_iter();
            lines
                .filter(|line| line.contains("config reloaded"))
                .count()
        };
        while count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reloaded).await?;
    for port in ports {
        assert_eq!(exchange(port, b"ping").await?, b"ping");
    }
    gost.signal(Signal::SIGTERM)?;
    assert_eq!(gost.exit(PATIENCE).await?.code(), Some(0));
    let ended = gost.lines().into_iter();
    let ended = ended.filter(|line| line.contains("shutting down")).count();
    assert_eq!(ended, 2, "both in order");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_the_log() -> anyhow::Result<()> {
    let port = ports::tcp();
    let listen = format!("socks5://alice:opensesame@127.0.0.1:{port}");
    let args = [
        "-DD",
        "-L",
        &listen,
        "-F",
        "relay://bob:abracadabra@127.0.0.1:1",
    ];
    let mut gost = gost(&args, port).await?;
    let proxy = format!("socks5://alice:opensesame@127.0.0.1:{port}");
    let output = gost_tests::curl(&["-x", &proxy, "http://127.0.0.1:1/"]).await?;
    assert!(!output.status.success());
    gost.signal(Signal::SIGTERM)?;
    gost.exit(PATIENCE).await?;
    let log = gost.lines().join("\n");
    assert!(log.contains("alice"), "the user is logged:\n{log}");
    assert!(
        !log.contains("opensesame") && !log.contains("abracadabra"),
        "{log}"
    );
    Ok(())
}
