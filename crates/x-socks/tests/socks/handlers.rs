//! What our handlers do that no recording shows.

use gost_testbed::{Forbid, OneUser, serve};
use std::{sync::Arc, time::Duration};

use gost_testkit::tcp::{Behaviour, Server};
use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::support::{Raw, address_hex, handler, open};

#[tokio::test]
async fn bytes_may_come_one_by_one_and_all_at_once() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "").await;
    let talk = format!("050100050100{}6561726c79", address_hex(target.address()));

    let mut client = Raw::connect(&server).await;
    for at in (0..talk.len()).step_by(2) {
        client.send(&talk[at..at + 2]).await;
        tokio::task::yield_now().await;
    }
    let reply = client.take(17).await;
    assert!(reply.starts_with("0500050000017f000001"), "{reply}");
    assert!(reply.ends_with("6561726c79"), "{reply}");

    let mut client = Raw::connect(&server).await;
    client.send(&talk).await;
    assert!(client.take(17).await.ends_with("6561726c79"));
}

#[tokio::test]
async fn what_follows_a_socks4_request_is_kept() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks4a", "").await;
    let mut client = Raw::connect(&server).await;
    client
        .send(&format!("0401{:04x}7f000001006561726c79", target.port()))
        .await;
    assert_eq!(client.take(13).await, "005a0000000000006561726c79");
}

#[tokio::test]
async fn half_close_reaches_the_target() {
    let target = Server::start(Behaviour::AnswerAfterEnd).await.unwrap();
    let server = open("socks5", "").await;
    let mut client = Raw::connect(&server).await;
    client
        .send(&format!("050100050100{}", address_hex(target.address())))
        .await;
    assert!(client.take(12).await.starts_with("05000500"));
    client.send("71756574").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "71756574");
}

#[tokio::test]
async fn rules_see_the_address_in_every_spelling() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = serve(handler("socks5", "").await, |serving| {
        serving.policies.bypass = Some(Arc::new(Forbid(|addr| addr.host() == "127.0.0.1")));
    })
    .await;
    let port = format!("{:04x}", target.port());
    let v4 = hex::encode("127.0.0.1");
    let mapped = hex::encode("::ffff:127.0.0.1");
    for spelling in [
        "017f000001".to_owned(),
        "0400000000000000000000ffff7f000001".to_owned(),
        format!("03{:02x}{v4}", v4.len() / 2),
        format!("03{:02x}{mapped}", mapped.len() / 2),
    ] {
        let mut client = Raw::connect(&server).await;
        client.send(&format!("050100050100{spelling}{port}")).await;
        assert_eq!(
            client.rest().await,
            "050005020001000000000000",
            "{spelling}"
        );
    }
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn names_that_no_host_has_are_refused() {
    let server = open("socks5", "").await;
    for name in ["", "0a", "6120", "61ff"] {
        let mut client = Raw::connect(&server).await;
        client
            .send(&format!("05010005010003{:02x}{name}0050", name.len() / 2))
            .await;
        assert_eq!(client.rest().await, "050005010001000000000000", "{name}");
    }
}

#[tokio::test]
async fn garbage_is_not_answered_in_a_protocol_it_does_not_speak() {
    for (name, bytes) in [
        ("socks5", "474554202f20485454502f312e310d0a0d0a"),
        ("socks5", "0401005000000001"),
        ("socks5", "05010002"),
        ("socks4", "050100"),
        ("socks4", "16030100"),
    ] {
        let server = open(name, "").await;
        let mut client = Raw::connect(&server).await;
        client.send(bytes).await;
        let answer = client.rest().await;
        // A greeting was well-formed, the request behind it is not.
        let wanted = if bytes == "05010002" { "0500" } else { "" };
        assert_eq!(answer, wanted, "{bytes}");
    }
}

#[tokio::test]
async fn an_endless_user_id_ends_soon() {
    let server = open("socks4", "").await;
    let mut client = Raw::connect(&server).await;
    client.send("040100507f000001").await;
    client.send(&"75".repeat(256)).await;
    assert_eq!(client.rest().await, "005b000000000000");
}

#[tokio::test]
async fn a_silent_client_is_cut_at_every_stage() {
    let server = serve(handler("socks5", "").await, |serving| {
        serving.options.read_timeout = Duration::from_millis(300);
        serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
    })
    .await;
    for said in [
        "",
        "05",
        "050102",
        "0501020104",
        "0501020104757365720470617373",
        "05010201047573657204706173730501",
    ] {
        let start = Instant::now();
        let mut client = Raw::connect(&server).await;
        client.send(said).await;
        client.rest().await;
        assert!(start.elapsed() < Duration::from_secs(5), "{said}");
    }
}

#[tokio::test]
async fn clients_in_the_list_need_no_password() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let handler = handler("socks5", "").await;
    let server = serve(handler, |serving| {
        serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
        let options = gost_service::SessionOptions {
            skip_auth: vec!["127.0.0.0/8".into()],
            ..gost_service::SessionOptions::default()
        };
        let bare = gost_service::Serving::new(serving.handler.clone(), serving.out.clone());
        let auther = serving.policies.auther.take();
        *serving = bare.with_options(options).unwrap();
        serving.policies.auther = auther;
    })
    .await;
    let mut client = Raw::connect(&server).await;
    client
        .send(&format!("050100050100{}", address_hex(target.address())))
        .await;
    assert!(client.take(12).await.starts_with("05000500"));
}

#[tokio::test]
async fn names_are_resolved_where_the_way_out_ends() {
    let direct = open("socks5", "tor=true").await;
    let ruled = serve(handler("socks5", "tor=true").await, |serving| {
        serving.policies.bypass = Some(Arc::new(Forbid(|addr| addr.host() == "127.0.0.1")));
    })
    .await;
    let out = crate::support::via("socks5", "", None, direct.addr).await;
    let chained = serve(handler("socks5", "tor=true").await, |serving| {
        serving.out = Arc::new(out);
    })
    .await;
    let far = open("socks4", "").await;
    let out = crate::support::via("socks4", "", None, far.addr).await;
    let unable = serve(handler("socks5", "tor=true").await, |serving| {
        serving.out = Arc::new(out);
    })
    .await;
    let localhost = "05f00003096c6f63616c686f73740000";
    for (server, request, wanted) in [
        (&direct, localhost, "050000017f0000010000"),
        (&ruled, localhost, "05020001000000000000"),
        (&chained, localhost, "050000017f0000010000"),
        (&chained, "05f100017f0000010000", "05010001000000000000"),
        // Asking here would give the name away.
        (&unable, localhost, "05010001000000000000"),
        (&direct, "05f00003000000", "05010001000000000000"),
        (&direct, "05f100017f0000010000", "05010001000000000000"),
    ] {
        let mut client = Raw::connect(server).await;
        client.send(&format!("050100{request}")).await;
        assert_eq!(client.rest().await, format!("0500{wanted}"), "{request}");
    }
}
