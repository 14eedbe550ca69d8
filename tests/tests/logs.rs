//! What the log says, and what it never says.

use anyhow::{Result, ensure};
use gost_testkit::{PATIENCE, ports, process::Process, tcp};
use gost_tests::{curl, exchange, gost, gost_logged, gost_output};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The lines of a log in JSON with a text in their message.
fn lines(process: &Process, part: &str) -> Vec<Value> {
    let lines = process.lines().into_iter();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines
        .filter(|line| line["msg"].as_str().is_some_and(|msg| msg.contains(part)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_a_line_when_it_opens_and_one_when_it_ends() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", echo.address());
    let gost = gost_logged(&["-L", &listen]).await?;
    ensure!(exchange(port, b"seven!!").await? == b"seven!!");
    gost.line(">-<").await?;
    let (opened, ended) = (lines(&gost, "<>"), lines(&gost, ">-<"));
    ensure!(opened.len() == 1 && ended.len() == 1, "{:?}", gost.lines());
    let (opened, ended) = (&opened[0], &ended[0]);
    for line in [opened, ended] {
        ensure!(
            line["level"] == "info" && line["service"] == "service-0",
            "{line}"
        );
        ensure!(
            line["sid"] == opened["sid"] && line["client"] == opened["client"],
            "{line}"
        );
        let time = line["time"].as_str().unwrap_or_default();
        let milliseconds = "2006-01-02T15:04:05.000".len();
        let zone = time.get(milliseconds..).unwrap_or_default();
        ensure!(zone == "Z" || zone.len() == "+01:00".len(), "{line}");
    }
    ensure!(
        ended["inputBytes"] == 7 && ended["outputBytes"] == 7,
        "{ended}"
    );
    ensure!(
        ended["duration"].as_u64().is_some_and(|nanos| nanos > 1000),
        "{ended}"
    );
    let target = echo.address().to_string();
    ensure!(
        ended["msg"]
            .as_str()
            .is_some_and(|msg| msg.ends_with(&target)),
        "{ended}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_service_hop_node_phase_and_cause() -> Result<()> {
    let port = ports::tcp();
    let node = "relay://bob:abracadabra@127.0.0.1:1";
    let gost = gost(
        &["-L", &format!("socks5://127.0.0.1:{port}"), "-F", node],
        port,
    )
    .await?;
    let proxy = format!("socks5h://127.0.0.1:{port}");
    ensure!(
        !curl(&["-x", &proxy, "http://t.test/"])
            .await?
            .status
            .success()
    );
    gost.line("refused").await?;
    let errors = lines(&gost, "refused");
    let error = errors.last().expect("a line");
    ensure!(
        error["level"] == "warn" && error["service"] == "service-0",
        "{error}"
    );
    ensure!(
        error["node"] == "node-0" && error["phase"] == "dial",
        "{error}"
    );
    ensure!(
        error["side"] == "node" && error["target"] == "t.test:80",
        "{error}"
    );
    let message = error["msg"].as_str().unwrap_or_default();
    ensure!(
        message.contains("hop hop-0, node node-0@127.0.0.1:1"),
        "{error}"
    );
    ensure!(
        message.to_lowercase().contains("connection refused"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_and_formats_are_obeyed() -> Result<()> {
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/127.0.0.1:1");
    let config = |log: &str| format!("{{\"log\": {{{log}}}}}");
    for (log, expected) in [
        ("\"format\": \"text\"", Some("time=")),
        ("\"format\": \"json\"", Some("{\"time\":\"")),
        ("\"level\": \"error\"", None),
        ("\"output\": \"none\"", None),
    ] {
        let mut gost = gost(&["-C", &config(log), "-L", &listen], port).await?;
        // A target that refuses is a warning.
        let _ = gost_tests::ask(port, b"x").await;
        if expected.is_some() {
            gost.line("refused").await?;
        }
        gost.signal(Signal::SIGTERM)?;
        ensure!(gost.exit(PATIENCE).await?.success());
        let said = gost.lines();
        match expected {
            Some(begin) => ensure!(
                said.iter().all(|line| line.starts_with(begin)) && said.len() > 1,
                "{log}: {said:?}"
            ),
            None => ensure!(said.is_empty(), "{log}: {said:?}"),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn time_level_and_message_come_first() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for format in ["json", "text"] {
        let port = ports::tcp();
        let listen = format!("tcp://127.0.0.1:{port}/{}", echo.address());
        let log = format!("{{\"log\": {{\"format\": \"{format}\"}}}}");
        let gost = gost_logged(&["-C", &log, "-L", &listen]).await?;
        ensure!(exchange(port, b"seven!!").await? == b"seven!!");
        gost.line(">-<").await?;
        let lines = gost.lines();
        let listening = format!("listening on 127.0.0.1:{port}/tcp");
        ensure!(
            lines.iter().any(|line| line.contains(&listening)),
            "{lines:?}"
        );
        let order = ["time", "level", "msg", "service"];
        for line in lines.iter().filter(|line| line.contains("service")) {
            let places = order.map(|key| line.find(key));
            ensure!(places.is_sorted() && places[0].is_some(), "{line}");
        }
        if format == "text" {
            let duration = lines
                .iter()
                .find_map(|line| line.split(" duration=").nth(1));
            let duration = duration.and_then(|rest| rest.split(' ').next());
            let read = duration.and_then(gost_core::duration::parse_go);
            ensure!(read.is_some_and(|d| !d.is_zero()), "{lines:?}");
        }
    }
    Ok(())
}

/// Passwords as they stand in URLs.
const SECRETS: [&str; 3] = ["opensesame", "open%40sesame", "open@sesame"];

#[tokio::test(flavor = "multi_thread")]
async fn no_line_has_a_password() -> Result<()> {
    let node = ports::tcp();
    let args = ["-DD", "-L", &format!("relay://u:rightone@127.0.0.1:{node}")];
    let _node = gost(&args, node).await?;
    for scheme in [
        "relay",
        "socks5",
        "http",
        "socks4",
        "relay+mtcp",
        "http+tls",
        "socks5+ws",
    ] {
        for secret in SECRETS {
            for at in [1, node] {
                let port = ports::tcp();
                let listen = format!("socks5://al:{secret}@127.0.0.1:{port}");
                let chain = format!("{scheme}://bob:{secret}@127.0.0.1:{at}");
                let args = ["-DD", "-L", &listen, "-F", &chain, "-F", &chain];
                let mut gost = gost(&args, port).await?;
                // A wrong password, and the right one to where no node lets us pass.
                for password in ["wrongsesame", secret] {
                    let password = password.replace('@', "%40");
                    let proxy = format!("socks5h://al:{password}@127.0.0.1:{port}");
                    let output = curl(&["-m", "3", "-x", &proxy, "http://127.0.0.1:1/"]).await?;
                    ensure!(!output.status.success());
                }
                gost.signal(Signal::SIGHUP)?;
                gost.line("config reloaded").await?;
                gost.signal(Signal::SIGTERM)?;
                gost.exit(PATIENCE).await?;
                let log = gost.lines().join("\n");
                ensure!(!log.contains("sesame"), "{chain}\n{log}");
                ensure!(log.contains("127.0.0.1"), "something was said");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_said_without_passwords() -> Result<()> {
    for args in [
        &["-L", "htp://al:opensesame@127.0.0.1:x y"][..],
        &[
            "-L",
            "socks5://al:opensesame@127.0.0.1:0?nosuch=1&auth=b3BlbnNlc2FtZQ",
            "-F",
            "relay://u:opensesame@h:port",
        ],
        &["-L", "socks5://al:open#sesame@127.0.0.1:0"],
        &["-L", ":0", "-F", "relay://u:open/sesame@h:1"],
        &["-L", ":0", "-F", "relay://u:open?sesame@h:1"],
        &["-L", "relay://u:opensesame@192.0.2.1:1"],
        &["-L", ":0", "al:opensesame@h:1"],
        &["-L", ":0", "-F", "nosuch+kcp://u:opensesame@h:1"],
        &[
            "-C",
            "{\"services\": [{\"name\": \"s\", \"addr\": \":0\", \"handler\": {\"auth\": {\"password\": \"opensesame\", \"usr\": 1}, \"type\": \"x\"}}]}",
        ],
        &["-C", "http://u:opensesame@127.0.0.1:1/x"],
        &["-L", ":0", "-api", "u:opensesame@:1"],
        &["-L", ":0", "-metrics", "u:opensesame@:1"],
    ] {
        let output = gost_output(args).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && !said.is_empty(), "{args:?}");
        ensure!(
            !said.contains("sesame") && !said.contains("b3Blb"),
            "{args:?}\n{said}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_where_it_listens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("a.sock");
    for (listen, at, handler, listener) in [
        ("socks5://127.0.0.1:0".to_owned(), "/tcp", "socks5", "tcp"),
        (
            "udp://127.0.0.1:0/127.0.0.1:9".to_owned(),
            "/udp",
            "udp",
            "udp",
        ),
        ("relay+kcp://127.0.0.1:0".to_owned(), "/udp", "relay", "kcp"),
        (
            format!("unix://{}", socket.display()),
            "a.sock/unix",
            "unix",
            "unix",
        ),
    ] {
        let gost = gost_logged(&["-L", &listen]).await?;
        let line = &lines(&gost, "listening on ")[0];
        ensure!(
            line["msg"].as_str().is_some_and(|msg| msg.ends_with(at)),
            "{line}"
        );
        ensure!(
            line["kind"] == "service"
                && line["service"] == "service-0"
                && line["handler"] == handler
                && line["listener"] == listener,
            "{line}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_reads_is_named_once() -> Result<()> {
    for (query, says) in [
        (
            "notl=true",
            "notl: unknown key; did you mean \\\"notls\\\"?",
        ),
        // The connector has it.
        (
            "relay=udp",
            "relay: unknown key here; only other components have it",
        ),
        ("zzzz=1", "zzzz: unknown key\""),
    ] {
        let gost = gost_logged(&["-L", &format!("socks5://127.0.0.1:0?{query}")]).await?;
        gost.line(says).await?;
    }
    Ok(())
}
