//! Services that several daemons find through a redis.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use gost_core::{
    build::Build,
    policy::{Discovered, Discovery},
    registry::Registry,
    values::{Mark, Value, Values},
};
use gost_testkit::ports;
use gost_tests::{gost_output, redis::Redis};

use super::until;

/// What a daemon has of a configuration.
async fn daemon(redis: u16, ttl: &str) -> Result<Arc<dyn Discovery>> {
    let mut registry = Registry::new();
    gost_x_discovery::register(&mut registry);
    let registry = Arc::new(registry);
    let text = |text: &str| Value::Text(text.to_owned());
    let server = [
        ("addr".to_owned(), text(&format!("127.0.0.1:{redis}"))),
        ("key".to_owned(), text("tunnels")),
    ];
    let mut values = Values::new().with("ttl", ttl);
    let mark = Mark::new("test".into(), 0);
    values.set("redis", Value::Map(server.into()), mark);
    let build = Build::new(registry.clone());
    Ok(registry
        .make::<dyn Discovery>("redis", &values, build)
        .await?)
}

fn service(id: &str, node: &str) -> Discovered {
    Discovered {
        id: id.to_owned(),
        name: "tunnel".to_owned(),
        node: node.to_owned(),
        network: "tcp".to_owned(),
        address: format!("{node}:8421"),
    }
}

/// What is known of a service when it is renewed.
fn renewed(service: &Discovered) -> Discovered {
    Discovered {
        network: String::new(),
        address: String::new(),
        ..service.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_daemons_find_what_the_others_have_also_when_redis_was_away() -> Result<()> {
    let Some(mut redis) = Redis::start().await? else {
        return Ok(());
    };
    let mut daemons = Vec::new();
    for _ in 0..3 {
        daemons.push(daemon(redis.port, "1h").await?);
    }
    let [one, two] = [service("1", "a"), service("2", "b")];
    ensure!(daemons[2].find("tunnel").await?.is_empty());
    daemons[0].register(&one).await?;
    daemons[1].register(&two).await?;
    for daemon in &daemons {
        let mut found = daemon.find("tunnel").await?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        ensure!(found == [one.clone(), two.clone()], "{found:?}");
        ensure!(daemon.find("other").await?.is_empty());
    }
    daemons[0].renew(&renewed(&one)).await?;
    daemons[0].deregister(&renewed(&one)).await?;
    ensure!(daemons[2].find("tunnel").await? == std::slice::from_ref(&two));

    // Without redis each knows what it knew.
    redis.end();
    ensure!(daemons[2].find("tunnel").await? == std::slice::from_ref(&two));
    ensure!(daemons[2].find("unknown").await.is_err());
    ensure!(daemons[1].renew(&renewed(&two)).await.is_err());
    // It has forgotten everything: whoever renews tells it again.
    redis.again().await?;
    until("redis is asked again", async || {
        Ok(daemons[2].find("tunnel").await?.is_empty())
    })
    .await?;
    daemons[1].renew(&renewed(&two)).await?;
    ensure!(daemons[2].find("tunnel").await? == [two]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_renews_is_forgotten() -> Result<()> {
    let Some(redis) = Redis::start().await? else {
        return Ok(());
    };
    let (dead, alive) = (
        daemon(redis.port, "1s").await?,
        daemon(redis.port, "1h").await?,
    );
    let [one, two] = [service("1", "a"), service("2", "b")];
    dead.register(&one).await?;
    alive.register(&two).await?;
    until("one is forgotten", async || {
        Ok(alive.find("tunnel").await? == [two.clone()])
    })
    .await?;
    // Nonsense of somebody else's is passed over.
    redis
        .run(&[
            "hset",
            "tunnels:tunnel",
            "x",
            "nonsense",
            "y",
            "9999999999999 {",
        ])
        .await?;
    ensure!(alive.find("tunnel").await? == [two]);
    redis.run(&["del", "tunnels:tunnel"]).await?;
    redis.run(&["set", "tunnels:tunnel", "text"]).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    ensure!(dead.renew(&one).await.is_err(), "it is no hash");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_may_have_either() -> Result<()> {
    let port = ports::tcp();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    let config = |sd: &str| {
        format!(
            "services: [{{name: s, addr: '127.0.0.1:{port}', handler: {{type: http}}}}]\nsds: [{{name: d{sd}}}]\n"
        )
    };
    let _gost = gost_tests::Gost::start(
        &config(", redis: {addr: '127.0.0.1:1', key: k, ttl: 30s}"),
        port,
    )
    .await?;
    for (sd, said) in [
        ("", "a plugin or redis"),
        (", redis: {addr: ''}", "addr"),
        (", redis: {addr: 'x:1', ttl: -1s}", "ttl"),
    ] {
        std::fs::write(&file, config(sd))?;
        let output = gost_output(&["-C", &file.to_string_lossy()]).await?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && text.contains(said),
            "{sd}: {text}"
        );
    }
    Ok(())
}
