//! What must not start: it would be open, or lead elsewhere.

use anyhow::{Result, ensure};
use gost_testkit::ports;

use super::{refused, refused_with};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reference_to_nothing_is_named() -> Result<()> {
    let service = |keys: &str| format!("services: [{{name: s, addr: '127.0.0.1:0', {keys}}}]");
    let hop = |keys: &str, node: &str| {
        format!(
            "{}\nchains: [{{name: c, hops: [{{name: h, {keys} nodes: [{{name: n, addr: 'a:1', {node}}}]}}]}}]",
            service("handler: {type: http, chain: c}")
        )
    };
    let of_service = [
        "handler: {type: http, auther: nobody}",
        "handler: {type: http, authers: [nobody]}",
        "handler: {type: http, chain: nobody}",
        "handler: {type: http, chainGroup: {chains: [{chain: nobody}]}}",
        "handler: {type: http, limiter: nobody}",
        "handler: {type: http, observer: nobody}",
        "listener: {type: tcp, auther: nobody}",
        "listener: {type: rtcp, chain: nobody}",
        "listener: {type: rtcp, chainGroup: {chains: [{chain: nobody}]}}",
        "forwarder: {hop: nobody}",
        "forwarder: {hopGroup: {hops: [{hop: nobody}]}}",
        "forwarder: {nodes: [{name: n, addr: 'a:1', bypass: nobody}]}",
        "admission: nobody",
        "admissions: [nobody]",
        "bypass: nobody",
        "bypasses: [nobody]",
        "resolver: nobody",
        "hosts: nobody",
        "limiter: nobody",
        "climiter: nobody",
        "rlimiter: nobody",
        "quotas: [nobody]",
        "observer: nobody",
        "recorders: [{name: nobody, record: recorder.service.handler}]",
    ];
    let mut configs: Vec<String> = of_service.iter().map(|keys| service(keys)).collect();
    for key in [
        "bypass: nobody",
        "bypasses: [nobody]",
        "resolver: nobody",
        "hosts: nobody",
    ] {
        configs.push(hop(&format!("{key},"), ""));
        configs.push(hop("", key));
    }
    configs.push(format!(
        "{}\nchains: [{{name: c, hops: [{{name: nobody}}]}}]",
        service("handler: {type: http, chain: c}")
    ));
    for config in configs {
        let text = refused(&config).await?;
        ensure!(text.contains("nobody"), "{config}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_hops_and_nodes_are_named() -> Result<()> {
    let service = "services: [{name: s, addr: '127.0.0.1:0', handler: {type: http, chain: c}}]";
    for (hops, at) in [
        ("[null]", "hops[0]"),
        ("[{name: h, nodes: [null]}]", "hops[0].nodes[0]"),
        (
            "[{name: h, nodes: [{name: n, addr: 'a:1'}, ~]}]",
            "hops[0].nodes[1]",
        ),
    ] {
        let text = refused(&format!("{service}\nchains: [{{name: c, hops: {hops}}}]")).await?;
        ensure!(
            text.contains(&format!("chains[0].{at}: is empty")),
            "{hops}: {text}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_policies_on_the_command_line_are_not_ignored() -> Result<()> {
    let addr = format!("127.0.0.1:{}", ports::tcp());
    for key in [
        "auther",
        "authers",
        "handler.auther",
        "limiter",
        "quotas",
        "chain",
    ] {
        let listen = format!("http://{addr}?{key}=nobody");
        let text = refused_with(&["-L", &listen]).await?;
        ensure!(text.contains("names nothing here"), "{key}: {text}");
    }
    let metadata = format!(
        "services: [{{name: s, addr: '{addr}', handler: {{type: http, metadata: {{auther: a}}}}}}]\n\
         authers: [{{name: a, auths: [{{username: u, password: p}}]}}]"
    );
    let text = refused(&metadata).await?;
    ensure!(text.contains("names nothing here"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_empty_only_when_that_is_said() -> Result<()> {
    let (port, web) = (ports::tcp(), gost_tests::web(b"hello").await?);
    let addr = format!("127.0.0.1:{port}");
    let text = refused_with(&["-L", &format!("socks5://al@{addr}")]).await?;
    ensure!(text.contains("\\\"al\\\" has none"), "{text}");
    // A password that is nobody's would keep nobody out.
    for line in ["auto://:secret@", "socks4://:secret@"] {
        let text = refused_with(&["-L", &format!("{line}{addr}")]).await?;
        ensure!(text.contains("there is no username"), "{text}");
    }
    // Where a protocol knows no passwords, nobody can give one.
    drop(gost_tests::gost_logged(&["-L", &format!("socks4://al@{addr}")]).await?);
    let auther = |auth: &str| {
        format!(
            "services: [{{name: s, addr: '{addr}', handler: {{type: auto, auther: a}}}}]\n\
             authers: [{{name: a, auths: [{{username: al{auth}}}]}}]"
        )
    };
    let text = refused(&auther("")).await?;
    ensure!(text.contains("authers[0].auths[0].password"), "{text}");
    let url = format!("http://127.0.0.1:{web}/");
    let gost = gost_tests::Gost::start(&auther(", password: ''"), port).await?;
    gost.process.line("has an empty one").await?;
    for (user, passes) in [("al:", true), ("al:guess", false), ("bo:", false)] {
        let proxy = format!("http://{user}@{addr}");
        ensure!(super::passes(&proxy, &[], &url).await? == passes, "{user}");
    }
    Ok(())
}
