//! Several daemons that share users and lists through redis.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gost_testkit::ports;
use gost_tests::{redis::Redis, web};

use gost_tests::Gost;

use super::{passes, until};

/// How often the daemons ask redis.
const RELOAD: Duration = Duration::from_secs(1);

/// What a machine that does other things may take to run curl.
const SLACK: Duration = Duration::from_secs(10);

struct Daemon {
    gost: Gost,
    port: u16,
}

impl Daemon {
    async fn start(redis: u16) -> Result<Self> {
        let port = ports::tcp();
        let of =
            |key: &str| format!("reload: 1s, redis: {{addr: '127.0.0.1:{redis}', key: {key}}}");
        let config = format!(
            "services: [{{name: s, addr: '127.0.0.1:{port}', bypass: b, handler: {{type: http, auther: u}}}}]
authers: [{{name: u, auths: [{{username: inline, password: secret}}], {}}}]
bypasses: [{{name: b, {}}}]
",
            of("users"),
            of("targets"),
        );
        let gost = Gost::start(&config, port).await?;
        Ok(Self { gost, port })
    }

    async fn serves(&self, user: &str, url: &str) -> Result<bool> {
        passes(
            &format!("http://{user}:secret@127.0.0.1:{}", self.port),
            &[],
            url,
        )
        .await
    }
}

/// True when all daemons say the same.
async fn all_serve(daemons: &[Daemon], user: &str, url: &str, wanted: bool) -> Result<bool> {
    for daemon in daemons {
        if daemon.serves(user, url).await? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_daemons_share_users_and_lists_and_outlive_each_other_and_redis() -> Result<()> {
    let Some(mut redis) = Redis::start().await? else {
        return Ok(());
    };
    let web = web(b"hello").await?;
    let (url, local) = (
        format!("http://127.0.0.1:{web}/"),
        format!("http://localhost:{web}/"),
    );
    redis
        .run(&["hset", "users", "al", "secret", "bo", "secret"])
        .await?;
    redis.run(&["sadd", "targets", "nowhere.internal"]).await?;
    let mut daemons = Vec::new();
    for _ in 0..3 {
        daemons.push(Daemon::start(redis.port).await?);
    }
    for user in ["al", "bo", "inline"] {
        ensure!(all_serve(&daemons, user, &local, true).await?, "{user}");
    }

    // Who is removed is refused by all of them within the period, and so is a target.
    redis.run(&["hdel", "users", "bo"]).await?;
    redis.run(&["sadd", "targets", "localhost"]).await?;
    let removed = Instant::now();
    until("bo is refused by all", async || {
        all_serve(&daemons, "bo", &url, false).await
    })
    .await?;
    ensure!(
        removed.elapsed() < RELOAD + SLACK,
        "{:?}",
        removed.elapsed()
    );
    until("the target is refused by all", async || {
        all_serve(&daemons, "al", &local, false).await
    })
    .await?;
    ensure!(
        removed.elapsed() < RELOAD + 2 * SLACK,
        "{:?}",
        removed.elapsed()
    );
    ensure!(all_serve(&daemons, "al", &url, true).await?);

    // One that dies takes nothing with it.
    drop(daemons.pop());
    ensure!(all_serve(&daemons, "al", &url, true).await?);
    ensure!(all_serve(&daemons, "bo", &url, false).await?);

    // Without redis each goes on with what it knows, and says so once for each list.
    redis.end();
    for daemon in &daemons {
        daemon
            .gost
            .process
            .line("what it said before counts")
            .await?;
    }
    tokio::time::sleep(RELOAD * 3).await;
    ensure!(all_serve(&daemons, "al", &url, true).await?);
    ensure!(all_serve(&daemons, "bo", &url, false).await?);
    ensure!(all_serve(&daemons, "al", &local, false).await?);
    for daemon in &daemons {
        let lines = daemon.gost.process.lines();
        let said = |line: &&String| line.contains("what it said before counts");
        // It may break in the middle of an answer, and then refuse.
        let said = lines.iter().filter(said).count();
        ensure!((2..=4).contains(&said), "{said} times: {lines:?}");
    }
    // One that starts now knows only what its configuration says: whoever is only in redis is not
    // let in, and as nobody knows which targets are forbidden all are.
    let new = Daemon::start(redis.port).await?;
    new.gost.process.line("nothing is known of it yet").await?;
    ensure!(!new.serves("al", &url).await? && !new.serves("inline", &url).await?);
    daemons.push(new);

    redis.again().await?;
    redis.run(&["hset", "users", "cy", "secret"]).await?;
    until("all know who is there now", async || {
        Ok(all_serve(&daemons, "cy", &url, true).await?
            && all_serve(&daemons, "al", &url, false).await?)
    })
    .await?;
    ensure!(all_serve(&daemons, "inline", &local, true).await?);
    Ok(())
}
