//! Other people's clients: curl, dig, OpenSSH and iperf3. One that is missing fails its test;
//! `.ci/run` installs them all.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
};
use gost_tests::{
    curl, dns, gost,
    ssh::{SSHD, ssh, sshd},
    web,
};
use tokio::process::Command;

const BODY: &[u8] = &[b'x'; 1_000_000];

/// Fails when a client is missing.
fn need(name: &str) -> Result<()> {
    let there = name == SSHD && std::path::Path::new(SSHD).exists();
    ensure!(
        there || peers::peer(name).is_some(),
        "{name} is missing; .ci/run installs it"
    );
    Ok(())
}

async fn run(program: &str, args: &[&str]) -> Result<Output> {
    need(program)?;
    let run = Command::new(program).args(args).kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, run)
        .await
        .with_context(|| format!("{program} does not end"))?
        .with_context(|| format!("run {program}"))
}

/// A proxy of every protocol over which a chain goes to a node over TLS.
struct Proxies {
    open: u16,
    locked: u16,
    _processes: Vec<Process>,
}

async fn proxies() -> Result<Proxies> {
    let (node, open, locked) = (ports::tcp(), ports::tcp(), ports::tcp());
    let at = |port| format!("127.0.0.1:{port}");
    let node_process = gost(&["-L", &format!("relay+tls://u:p@{}", at(node))], node).await?;
    let listen = format!("auto://alice:secret@{}", at(locked));
    let chain = format!("relay+tls://u:p@{}", at(node));
    let args = ["-L", &at(open), "-L", &listen, "-F", &chain];
    let mut process = gost(&args, open).await?;
    process.ready(locked).await?;
    Ok(Proxies {
        open,
        locked,
        _processes: vec![node_process, process],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_through_every_proxy_with_and_without_a_password() -> Result<()> {
    need("curl")?;
    let proxies = proxies().await?;
    let web = web(BODY).await?;
    let by_ip = format!("http://127.0.0.1:{web}/");
    let by_name = format!("http://localhost:{web}/");
    for (scheme, options, url) in [
        ("http", &[][..], &by_name),
        ("http", &["-p"], &by_name),
        ("socks4", &[], &by_ip),
        ("socks4a", &[], &by_name),
        ("socks5", &[], &by_ip),
        ("socks5h", &[], &by_name),
    ] {
        let proxy = format!("{scheme}://127.0.0.1:{}", proxies.open);
        let output = curl(&[options, &["-x", &proxy, url]].concat()).await?;
        ensure!(output.stdout == BODY, "{proxy} {options:?}: {output:?}");

        let proxy = format!("{scheme}://127.0.0.1:{}", proxies.locked);
        // SOCKS4 has no passwords, so nobody is let in by it who needs one.
        let right = !scheme.starts_with("socks4");
        for (user, good) in [
            ("alice:secret", right),
            ("alice:wrong", false),
            ("mallory:secret", false),
        ] {
            let args = [options, &["-f", "-x", &proxy, "-U", user, url]].concat();
            let output = curl(&args).await?;
            let got = output.status.success() && output.stdout == BODY;
            ensure!(got == good, "{proxy} {options:?} {user}: {output:?}");
            ensure!(good || output.stdout.is_empty(), "{proxy} {user}: a body");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_over_udp_and_tcp_through_a_chain() -> Result<()> {
    let server = dns::name_server().await?;
    let (node, port) = (ports::tcp(), ports::both());
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    let args = [
        "-L",
        &format!("tcp://127.0.0.1:{port}/{server}"),
        "-L",
        &format!("udp://127.0.0.1:{port}/{server}"),
        "-F",
        &format!("relay://127.0.0.1:{node}"),
    ];
    let mut process = gost(&args, port).await?;
    process.ready_udp(port).await?;
    for transport in ["+tcp", "+notcp"] {
        let port = port.to_string();
        let args = ["@127.0.0.1", "-p", &port, "+short", "+tries=1", "+time=15"];
        let output = run("dig", &[&args[..], &[transport, "host.example"]].concat()).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said == dns::ADDRESS, "{transport}: {output:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_through_a_forward_and_through_a_chain() -> Result<()> {
    for name in ["ssh", "ssh-keygen", SSHD] {
        need(name)?;
    }
    let folder = tempfile::tempdir()?;
    let (target, node, direct, chained) = (ports::tcp(), ports::tcp(), ports::tcp(), ports::tcp());
    let _sshd = sshd(folder.path(), target).await?;
    let listen = |port| format!("tcp://127.0.0.1:{port}/127.0.0.1:{target}");
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    let _direct = gost(&["-L", &listen(direct)], direct).await?;
    // Its server speaks first, while the request of a relay waits for data.
    let chain = format!("relay://127.0.0.1:{node}");
    let _chained = gost(&["-L", &listen(chained), "-F", &chain], chained).await?;
    for port in [direct, chained] {
        let command = "head -c 2000000 /dev/zero | tr '\\0' x; echo done";
        let output = ssh(folder.path(), port, command).await?;
        let (body, end) = output.split_at(output.len().saturating_sub(5));
        ensure!(body.len() == 2_000_000 && body.bytes().all(|byte| byte == b'x'));
        ensure!(end == "done\n", "{end}");
    }
    Ok(())
}

/// What iperf3 says of a run from a port to its server at another, as JSON.
async fn iperf3(port: u16, server: u16, options: &[&str]) -> Result<serde_json::Value> {
    let (port, server) = (port.to_string(), server.to_string());
    // One for each run, since after a run it is busy for a while.
    let server = Launch::new("iperf3")
        .args(["-s", "--forceflush", "-B", "127.0.0.1", "-p", &server])
        .spawn()?;
    server.line("Server listening").await?;
    let args = [&["-c", "127.0.0.1", "-p", &port, "-J"][..], options].concat();
    let output = run("iperf3", &args).await?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    // Its status is that of a success with errors, too.
    let error = &report["error"];
    ensure!(error.is_null(), "{options:?}: {error}");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn iperf3_over_tcp_and_udp() -> Result<()> {
    need("iperf3")?;
    let (target, port) = (ports::both(), ports::both());
    let args = [
        "-L",
        &format!("tcp://127.0.0.1:{port}/127.0.0.1:{target}"),
        "-L",
        &format!("udp://127.0.0.1:{port}/127.0.0.1:{target}?keepalive=true"),
    ];
    let mut process = Launch::new(peers::gost_bin()?).args(args).spawn()?;
    // A probe of the port would be a client to iperf3, which serves one at a time.
    for kind in ["\"handler\":\"tcp\"", "\"handler\":\"udp\""] {
        process.line(kind).await?;
    }
    for options in [
        &["-t", "1"][..],
        &["-t", "1", "-R"],
        &["-t", "1", "-P", "4"],
    ] {
        let report = iperf3(port, target, options).await?;
        let bytes = report["end"]["sum_received"]["bytes"].as_u64();
        ensure!(bytes >= Some(8 << 20), "{options:?}: {bytes:?} bytes");
    }
    for options in [
        &["-u", "-b", "5M", "-n", "600K", "-l", "1200"][..],
        &["-u", "-b", "5M", "-n", "600K", "-l", "1200", "-R"],
    ] {
        let report = iperf3(port, target, options).await?;
        let sum = &report["end"]["sum"];
        let (packets, lost) = (sum["packets"].as_u64(), sum["lost_packets"].as_u64());
        // A machine at its limits loses some in the sockets of iperf3 itself.
        ensure!(packets >= Some(500), "{options:?}: {sum}");
        ensure!(lost.is_some_and(|lost| lost < 50), "{options:?}: {sum}");
    }
    ensure!(process.is_running());
    Ok(())
}
