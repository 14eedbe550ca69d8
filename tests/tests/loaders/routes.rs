//! Routes that the system gets.

use anyhow::{Result, ensure};
use gost_testkit::{ports, process::Signal};
use gost_tests::namespace::{Namespace, text};

use super::{until, write};

/// The routes inside by a gateway, in order.
async fn routes(inside: &Namespace) -> Result<Vec<String>> {
    let args = ["-n", &inside.name, "route", "show"];
    let all = text(tokio::process::Command::new("ip").args(args)).await?;
    let by_gateway = all.lines().filter(|line| line.contains(" via "));
    let route = |line: &str| line.split(" dev ").next().unwrap_or_default().to_owned();
    let mut routes: Vec<_> = by_gateway.map(route).collect();
    routes.sort();
    Ok(routes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_gets_the_routes_of_a_router_and_keeps_them() -> Result<()> {
    let (Some(inside), Some(other)) = (Namespace::new(), Namespace::new()) else {
        return Ok(());
    };
    Namespace::link(&inside, &other)?;
    let folder = tempfile::tempdir()?;
    let (file, list) = (
        folder.path().join("gost.yaml"),
        folder.path().join("routes"),
    );
    let port = ports::tcp();
    let config = |gateway: &str, odd: &str| {
        format!(
            "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: {odd}}}, listener: {{type: tcp}}}}
routers:
- name: r
  reload: 1s
  file: {{path: {}}}
  routes:
  - {{dst: 10.1.2.3/16, gateway: {gateway}}}
  - {{dst: name.test, gateway: {gateway}}}
  - {{dst: 10.2.0.0/16, gateway: peer}}
",
            list.display()
        )
    };
    write(&list, "10.3.0.0/16 10.99.0.2\n")?;
    write(&file, &config("10.99.0.2", "http"))?;
    let gost = inside.gost(&["-C", &file.to_string_lossy()]).await?;
    let has = async |wanted: &[&str]| {
        until("the routes", async || Ok(routes(&inside).await? == wanted)).await
    };
    let both = ["10.1.0.0/16 via 10.99.0.2", "10.3.0.0/16 via 10.99.0.2"];
    has(&both).await?;

    // Somebody takes one away.
    inside.ip(&["route", "del", "10.1.0.0/16"])?;
    has(&both).await?;

    // Another gateway for one, and one more: what the list no longer says stays.
    write(&list, "10.3.0.0/16 10.99.0.3\n10.4.0.0/16 10.99.0.2\n")?;
    let three = [
        "10.1.0.0/16 via 10.99.0.2",
        "10.3.0.0/16 via 10.99.0.3",
        "10.4.0.0/16 via 10.99.0.2",
    ];
    has(&three).await?;
    write(&list, "")?;

    // A configuration that is refused does nothing to the system.
    write(&file, &config("10.99.0.9", "nothing"))?;
    gost.signal(Signal::SIGHUP)?;
    gost.line("nothing").await?;
    ensure!(routes(&inside).await? == three);

    // The first that the system refuses ends it.
    write(&list, "10.5.0.0/16 10.98.0.1\n10.6.0.0/16 10.99.0.2\n")?;
    gost.line("10.5.0.0/16 by 10.98.0.1").await?;
    ensure!(routes(&inside).await? == three);

    // Another configuration.
    write(&list, "")?;
    write(&file, &config("10.99.0.9", "http"))?;
    gost.signal(Signal::SIGHUP)?;
    has(&[
        "10.1.0.0/16 via 10.99.0.9",
        "10.3.0.0/16 via 10.99.0.3",
        "10.4.0.0/16 via 10.99.0.2",
    ])
    .await
}
