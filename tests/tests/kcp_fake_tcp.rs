//! KCP in packets that look like TCP.
//!
//! Needs the right to open raw sockets and to make network namespaces. Without it a test says that
//! it was skipped, and why.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE,
    payload::payload,
    peers, ports,
    process::{Launch, Process},
};
use gost_tests::{curl, gost_logged, namespace::Namespace};
use nix::unistd::geteuid;
use tempfile::TempDir;

/// How much is downloaded.
const LEN: usize = 1 << 20;

/// Two namespaces with a network between them, and a page in the first.
struct Network {
    far: Namespace,
    near: Namespace,
    folder: TempDir,
    page: String,
    _web: Process,
}

impl Network {
    async fn new() -> Result<Option<Self>> {
        let (Some(far), Some(near)) = (Namespace::new(), Namespace::new()) else {
            return Ok(None);
        };
        Namespace::link(&far, &near)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("page"), payload(9, LEN))?;
        let (web, port) = far.web(&folder).await?;
        Ok(Some(Self {
            far,
            near,
            folder,
            page: format!("127.0.0.1:{port}"),
            _web: web,
        }))
    }

    /// Downloads the page through a client, from inside or not.
    async fn fetch(&self, port: u16, inside: bool) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}/page");
        let file = self.folder.path().join("got");
        let to = file.to_string_lossy();
        for _ in 0..3 {
            let args = ["-o", &to, &url];
            if inside {
                self.near.curl(&args).await?;
            } else {
                curl(&args).await?;
            }
            let got = std::fs::read(&file).context("nothing was downloaded")?;
            std::fs::remove_file(&file)?;
            ensure!(got == payload(9, LEN), "other bytes came: {}", got.len());
        }
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_crosses_a_network_between_ours_and_the_original() -> Result<()> {
    let Some(network) = Network::new().await? else {
        return Ok(());
    };
    let ours = text(&peers::gost_bin()?);
    let mut pairs = vec![(ours.clone(), ours.clone())];
    if let Some(original) = peers::need("gost-reference") {
        let original = text(&original);
        pairs.extend([(ours.clone(), original.clone()), (original, ours)]);
    }
    for (server, client) in pairs {
        let (hop, port) = (ports::tcp(), ports::tcp());
        let node = format!("relay+kcp://10.99.0.1:{hop}?kcp.key=k&kcp.tcp=true");
        let far = network.far.launch(&server, &["-L", &node]).spawn()?;
        far.line("listening on").await?;
        let listen = format!("tcp://127.0.0.1:{port}/{}", network.page);
        let near = network
            .near
            .launch(&client, &["-L", &listen, "-F", &node])
            .spawn()?;
        near.line("listening on").await?;
        let what = || format!("{client} at {server}");
        network.fetch(port, true).await.with_context(what)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_sockets_are_in_the_namespaces_of_service_and_node() -> Result<()> {
    let Some(network) = Network::new().await? else {
        return Ok(());
    };
    let (hop, port) = (ports::tcp(), ports::tcp());
    let (far, near) = (&network.far.name, &network.near.name);
    let node = format!("relay+kcp://:{hop}?kcp.key=k&tcp=true&netns={far}&netns.out={far}");
    let _server = gost_logged(&["-L", &node]).await?;
    let listen = format!("tcp://127.0.0.1:{port}/{}", network.page);
    let node = format!("relay+kcp://10.99.0.1:{hop}?kcp.key=k&tcp=true&netns={near}");
    let _client = gost_logged(&["-L", &listen, "-F", &node]).await?;
    network.fetch(port, false).await
}

/// gost without the right to open raw sockets; `None` where it can't be taken away.
fn powerless(args: &[&str]) -> Result<Option<Launch>> {
    let gost = peers::gost_bin()?;
    if !geteuid().is_root() {
        return Ok(Some(Launch::new(gost).args(args)));
    }
    let Some(setpriv) = peers::need("setpriv") else {
        return Ok(None);
    };
    let gost = gost.to_string_lossy();
    let without = ["--bounding-set", "-net_raw", &gost];
    Ok(Some(Launch::new(setpriv).args(without).args(args)))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_it_each_end_says_what_is_missing() -> Result<()> {
    let hop = ports::tcp();
    let node = format!("relay+kcp://127.0.0.1:{hop}?kcp.key=k&kcp.tcp=true");
    let Some(server) = powerless(&["-L", &node])? else {
        return Ok(());
    };
    let mut server = server.spawn()?;
    server.line("CAP_NET_RAW").await?;
    let ended = server.exit(PATIENCE).await?;
    ensure!(!ended.success(), "it runs without");

    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/127.0.0.1:9");
    let client = powerless(&["-L", &listen, "-F", &node])?.context("as before")?;
    let client = client.spawn()?;
    client.line("listening on").await?;
    curl(&[&format!("http://127.0.0.1:{port}/")]).await?;
    client.line("CAP_NET_RAW").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_another_is_told_that_it_can_not_be_reached() -> Result<()> {
    let (port, first, second) = (ports::tcp(), ports::tcp(), ports::tcp());
    let _first = gost_logged(&["-L", &format!("relay://127.0.0.1:{first}")]).await?;
    let client = gost_logged(&[
        "-L",
        &format!("tcp://127.0.0.1:{port}/127.0.0.1:9"),
        "-F",
        &format!("relay://127.0.0.1:{first}"),
        "-F",
        &format!("relay+kcp://127.0.0.1:{second}?kcp.key=k&kcp.tcp=true"),
    ])
    .await?;
    curl(&[&format!("http://127.0.0.1:{port}/")]).await?;
    client.line("no further than to the first").await?;
    Ok(())
}
