//! Every kind that there is, asked as those do who need it.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use gost_core::{
    addr::{Addr, Network, Target},
    meter::{Allowance, Direction},
    policy::{
        Admission, Asker, Authenticator, BodyFacts, Bypass, BypassQuery, Credentials, Discovered,
        Discovery, Event, Family, HostMapper, Ingress, LimitScope, Observer, OsRouter, Recorder,
        Resolver, Rewriter, Stats, TrafficLimiter,
    },
    routing::{NodeSource, Request},
};
use gost_testkit::PATIENCE;
use serde_json::{Value, json};

use crate::{BOTH, Plugin, says};

fn asker() -> Asker {
    Asker {
        service: "s1".into(),
        client: Addr::from_host("127.0.0.8", 999),
        user: "alice".into(),
        ..Asker::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_and_where_to() -> Result<()> {
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        let asker = asker();
        let auther = plugin.made::<dyn Authenticator>("auth", "10s").await?;
        for (password, id) in [("secret", Some("id of bob")), ("wrong", None)] {
            let given = Credentials {
                username: "bob".into(),
                password: password.into(),
            };
            let got = auther.authenticate(&given, &asker).await;
            ensure!(got.as_deref() == id, "{protocol}: {password}: {got:?}");
        }
        plugin
            .asked(
                "auth",
                says(&json!({"username": "bob", "service": "s1", "client": "127.0.0.8:999"})),
            )
            .await?;

        let admission = plugin.made::<dyn Admission>("admission", "10s").await?;
        for (from, admitted) in [("127.0.0.8:1", true), ("127.0.0.9:1", false)] {
            let from = Addr::parse(from).unwrap_or_default();
            let got = admission.admit(Network::Udp, &from, &asker).await;
            ensure!(got == admitted, "{protocol}: {from}");
        }
        plugin
            .asked(
                "admission",
                says(&json!({"service": "s1", "network": "udp"})),
            )
            .await?;

        let bypass = plugin.made::<dyn Bypass>("bypass", "10s").await?;
        for (host, contained) in [("blocked.test", true), ("open.test", false)] {
            let query = BypassQuery {
                target: Target::tcp(Addr::from_host(host, 80)),
                host: Some(Addr::from_host("sniffed.test", 80)),
                path: Some("/path".to_owned()),
            };
            let got = bypass.contains(&query, &asker).await;
            ensure!(got == contained, "{protocol}: {host}");
            let got = bypass.leads_around(&query, &asker).await;
            ensure!(got == contained, "{protocol}: {host}");
        }
        let wanted = json!({"addr": "open.test:80", "client": "alice", "network": "tcp",
                            "host": "sniffed.test", "path": "/path", "service": "s1"});
        plugin.asked("bypass", says(&wanted)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_tunnels_and_routes() -> Result<()> {
    for protocol in BOTH {
        let node = r#"{"name":"n","addr":"127.0.0.1:1"}"#;
        let Some(plugin) = Plugin::start(protocol, "", &[("NODE", node)]).await? else {
            return Ok(());
        };
        let (local, asker) = (vec!["127.0.0.1".parse()?], asker());
        let hosts = plugin.made::<dyn HostMapper>("hosts", "10s").await?;
        ensure!(hosts.lookup("a.hosts.test", Family::V4, &asker).await == Some(local.clone()));
        ensure!(
            hosts
                .lookup("a.hosts.test", Family::V6, &asker)
                .await
                .is_none()
        );
        ensure!(hosts.lookup("a.test", Family::Any, &asker).await.is_none());
        plugin
            .asked(
                "hosts",
                says(&json!({"host": "a.test", "network": "ip", "client": "alice"})),
            )
            .await?;
        let resolver = plugin.made::<dyn Resolver>("resolver", "10s").await?;
        ensure!(
            resolver
                .resolve("a.resolver.test", Family::Any, &asker)
                .await?
                == local
        );
        ensure!(
            resolver
                .resolve("a.test", Family::Any, &asker)
                .await
                .is_err()
        );
        plugin
            .asked(
                "resolver",
                says(&json!({"host": "a.test", "client": "alice"})),
            )
            .await?;

        let ingress = plugin.made::<dyn Ingress>("ingress", "10s").await?;
        let endpoint = ingress.rule("a.test:80", &asker).await;
        ensure!(
            endpoint.as_deref() == Some("tunnel of a.test:80"),
            "{endpoint:?}"
        );
        ensure!(ingress.set_rule("a.test", "t", &asker).await);
        plugin
            .asked(
                "ingress-set",
                says(&json!({"host": "a.test", "endpoint": "t", "service": "s1"})),
            )
            .await?;
        let router = plugin.made::<dyn OsRouter>("router", "10s").await?;
        let route = router.route("10.0.0.1", "t1").await;
        ensure!(route.is_some_and(|route| route.gateway == "gateway of 10.0.0.1"));
        plugin
            .asked("router", says(&json!({"dst": "10.0.0.1", "id": "t1"})))
            .await?;
        let nodes = plugin.made::<dyn NodeSource>("hop", "10s").await?;
        let request = Request {
            target: Target::tcp(Addr::from_host("a.test", 80)),
            asker: asker.clone(),
            ..Request::default()
        };
        let chosen = nodes.choose(&request).await?.unwrap_or_default();
        ensure!(serde_json::from_slice::<Value>(&chosen)? == serde_json::from_str::<Value>(node)?);
        let wanted = json!({"addr": "a.test:80", "network": "tcp", "client": "alice",
                            "src": "127.0.0.8:999"});
        plugin.asked("hop", says(&wanted)).await?;

        let discovery = plugin.made::<dyn Discovery>("sd", "10s").await?;
        let service = Discovered {
            id: "1".into(),
            name: "web".into(),
            node: "n".into(),
            network: "tcp".into(),
            address: "127.0.0.1:1".into(),
        };
        discovery.register(&service).await?;
        discovery.renew(&service).await?;
        discovery.deregister(&service).await?;
        let wanted = says(&json!({"id": "1", "name": "web", "address": "127.0.0.1:1"}));
        let is_about = |question: &Value| wanted(question.get("service").unwrap_or(question));
        for kind in ["sd-register", "sd-renew", "sd-delete"] {
            plugin.asked(kind, &is_about).await?;
        }
        ensure!(discovery.find("web").await? == [service]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_changed_and_limited() -> Result<()> {
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[("LIMIT", "5000")]).await? else {
            return Ok(());
        };
        let asker = asker();
        let recorder = plugin.made::<dyn Recorder>("recorder", "10s").await?;
        recorder
            .record(Bytes::from_static(b"record"), &r#"{"a":1}"#.into())
            .await?;
        let wanted = json!({"data": "cmVjb3Jk", "metadata": "eyJhIjoxfQ=="});
        plugin.asked("recorder", says(&wanted)).await?;

        let observer = plugin.made::<dyn Observer>("observer", "10s").await?;
        let stats = Stats {
            total_connections: 5,
            total_errors: 1,
            ..Stats::default()
        };
        let events = [
            Event::Status {
                service: "s1".into(),
                state: "ready",
                text: "service s1 is ready".into(),
            },
            Event::Stats {
                service: "s1".into(),
                client: Some("alice".into()),
                stats,
            },
        ];
        observer.observe(&events).await?;
        let asked = plugin.asked("observer", |_| true).await?;
        let (status, stats) = (&asked["events"][0], &asked["events"][1]);
        let of_service = says(&json!({"kind": "service", "service": "s1", "type": "status"}));
        let ready = says(&json!({"state": "ready", "msg": "service s1 is ready"}));
        ensure!(of_service(status) && ready(&status["status"]), "{status}");
        let of_client = says(&json!({"kind": "handler", "client": "alice", "type": "stats"}));
        ensure!(of_client(stats), "{stats}");
        // Over gRPC these are texts in JSON.
        let number = |key: &str| stats["stats"][key].to_string().replace('"', "");
        ensure!(
            number("totalConns") == "5" && number("totalErrs") == "1",
            "{stats}"
        );

        let rewriter = plugin.made::<dyn Rewriter>("rewriter", "10s").await?;
        let about = BodyFacts {
            direction: Some(Direction::Out),
            uri: "/page".to_owned(),
            ..BodyFacts::default()
        };
        let body = rewriter
            .rewrite(Bytes::from_static(b"body"), &about)
            .await?;
        ensure!(body == "BODY");
        // {"direction":"response","uri":"/page"}
        let wanted = json!({"metadata": "eyJkaXJlY3Rpb24iOiJyZXNwb25zZSIsInVyaSI6Ii9wYWdlIn0="});
        plugin.asked("rewriter", says(&wanted)).await?;

        let limiter = plugin.made::<dyn TrafficLimiter>("limiter", "10s").await?;
        let (name, target) = ("alice", None);
        let meter = limiter.meter(LimitScope::Client { name, target }, &asker);
        let known = async {
            while matches!(meter.allow(Direction::Out, 9), Allowance::After(_)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, known).await?;
        meter.count(Direction::Out, 5000);
        ensure!(matches!(
            meter.allow(Direction::Out, 5000),
            Allowance::After(_)
        ));
        let wanted = json!({"client": "alice", "service": "s1", "scope": "client",
                            "src": "127.0.0.8:999"});
        plugin.asked("limiter", says(&wanted)).await?;
    }
    Ok(())
}
