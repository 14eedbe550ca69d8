//! curl as the client.

use gost_testbed::Running;
use gost_testkit::soon;
use std::{ffi::OsStr, process::Output};

use gost_testkit::peers;

use crate::support::{Origin, guarded, ok, proxy};

/// What curl makes of it; `None` when there is no curl.
async fn curl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Option<Output> {
    let program = peers::need("curl")?;
    let output = tokio::process::Command::new(program)
        .args(["-q", "-sS", "--max-time", "15", "--noproxy", ""])
        .args(args)
        .kill_on_drop(true)
        .output();
    Some(soon(output).await.unwrap())
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn url(proxy: &Running) -> String {
    format!("http://{}", proxy.addr)
}

#[tokio::test]
async fn plain_requests_and_tunnels_with_a_login() {
    let origin = Origin::echo().await;
    let proxy = guarded("").await;
    let to = format!("http://{}/a", origin.addr);
    for tunnel in ["--http1.1", "--proxytunnel"] {
        let login = ["-x", &url(&proxy), "-U", "user:pass", tunnel, &to];
        let Some(output) = curl(login).await else {
            return;
        };
        assert_eq!(text(&output), "<GET /a>");
        let Some(output) = curl([
            "-x",
            &url(&proxy),
            "-U",
            "user:bad",
            "-w",
            "%{http_code}/%{http_connect}",
            tunnel,
            &to,
        ])
        .await
        else {
            return;
        };
        assert!(String::from_utf8_lossy(&output.stdout).contains("407"));
    }
}

#[tokio::test]
async fn two_hosts_over_one_connection() {
    for query in ["", "keepalive=true"] {
        let (mut one, mut two) = (Origin::echo().await, Origin::echo().await);
        let proxy = proxy(query).await;
        let urls = [
            format!("http://{}/1", one.addr),
            format!("http://{}/2", two.addr),
            format!("http://{}/3", one.addr),
        ];
        // The number of connections that each took: the proxy is connected to once.
        let args = [
            "-x",
            &url(&proxy),
            "-w",
            " %{num_connects}\n",
            &urls[0],
            &urls[1],
            &urls[2],
        ];
        let Some(output) = curl(args).await else {
            return;
        };
        assert_eq!(text(&output), "<GET /1> 1\n<GET /2> 0\n<GET /3> 0\n");
        assert!(one.seen().await.head.starts_with("GET /1 "));
        assert!(two.seen().await.head.starts_with("GET /2 "));
        assert!(one.seen().await.head.starts_with("GET /3 "));
    }
}

#[tokio::test]
async fn uploads() {
    let mut origin = Origin::start(|_, body| ok(&body.len().to_string())).await;
    let proxy = proxy("").await;
    let to = format!("http://{}/up", origin.addr);
    let body = "x".repeat(100_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &body).unwrap();
    let data = format!("@{}", file.path().display());
    let proxy = url(&proxy);
    // With a length, and in chunks.
    let Some(output) = curl(["-x", &proxy, "-H", "Expect:", "--data-binary", &data, &to]).await
    else {
        return;
    };
    assert_eq!(text(&output), "100000");
    assert!(origin.seen().await.body == body.as_bytes());
    let chunked = [
        "-x",
        &proxy,
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        &data,
        &to,
    ];
    let Some(output) = curl(chunked).await else {
        return;
    };
    assert!(text(&output).parse::<usize>().unwrap() > body.len());
    assert!(
        origin
            .seen()
            .await
            .head
            .contains("Transfer-Encoding: chunked")
    );
}

#[tokio::test]
async fn an_upload_that_waits_for_leave() {
    use tokio::net::TcpListener;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy("").await;
    let to = format!("http://{}/", listener.local_addr().unwrap());
    // Without the leave curl would wait for longer than the test does.
    let uploading = tokio::spawn({
        let proxy = url(&proxy);
        async move {
            let expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "60"];
            let args = ["-x", &*proxy, "--data-binary", "body", &*to];
            curl(expect.into_iter().chain(args)).await
        }
    });
    if peers::peer("curl").is_none() {
        return;
    }
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut target = crate::support::Raw(stream);
    assert!(target.head().await.contains("Expect: 100-continue"));
    target.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    target.expect("body").await;
    target.send(ok("done")).await;
    assert_eq!(text(&soon(uploading).await.unwrap().unwrap()), "done");
}
