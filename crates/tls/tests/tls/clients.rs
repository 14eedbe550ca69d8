//! Whom a server lets in, and what clients are told who are not TLS clients at all.

use gost_core::{
    build::TlsSettings,
    error::{Phase, Side, Why},
    outbound::Upgrade as _,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Folder, Issuer, client, conn, meet, server, sockets, soon, text};

#[tokio::test]
async fn clients_need_a_certificate_of_the_issuer() {
    let folder = Folder::new();
    let (trusted, other) = (Issuer::new("trusted"), Issuer::new("other"));
    for version in ["VersionTLS12", "VersionTLS13"] {
        let server = server(&TlsSettings {
            ca_file: folder.write("clients.pem", &trusted.pem()),
            max_version: version.to_owned(),
            ..folder.pair("server", &other.issue("server.test"))
        })
        .unwrap();
        let missing = "tls: the client showed no certificate";
        let unknown = "tls: the certificate of the client is of an unknown issuer";
        let old = "tls: the certificate of the client has expired";
        for (name, shows, wrong) in [
            ("none", None, Some(missing)),
            ("foreign", Some(other.issue("client")), Some(unknown)),
            (
                "expired",
                Some(trusted.issue_until("client", 2020)),
                Some(old),
            ),
            ("good", Some(trusted.issue("client")), None),
            ("itself", Some(trusted.pair()), None),
        ] {
            let settings = shows
                .map(|pair| folder.pair(name, &pair))
                .unwrap_or_default();
            let client = client(&settings, "").unwrap();
            let (theirs, ours) = meet(&server, &client, "server.test").await;
            let Some(wrong) = wrong else {
                ours.unwrap();
                let facts = theirs.unwrap().meta.tls.unwrap();
                assert!(facts.client_certificate.is_some());
                continue;
            };
            assert_eq!(text(theirs), wrong, "{version} {name}");
            // In version 1.3 the client hears of it only when it reads.
            let heard = match ours {
                Err(error) => error,
                Ok(conn) => {
                    let mut stream = conn.into_stream().unwrap().0;
                    soon(stream.read_u8()).await.unwrap_err().into()
                }
            };
            let heard = heard.to_string();
            assert!(
                heard.starts_with("tls: the server refused: "),
                "{version} {name}: {heard}"
            );
        }
    }
}

#[tokio::test]
async fn only_names_that_are_served() {
    let folder = Folder::new();
    let pair = folder.pair("server", &Issuer::new("x").issue("server.test"));
    let any_name = TlsSettings {
        reject_unknown_sni: true,
        ..pair
    };
    let two_names = TlsSettings {
        server_names: vec!["Server.Test".to_owned(), "other.test".to_owned()],
        ..any_name.clone()
    };
    let nameless = "tls: the client names no server";
    let unserved = "tls: the client asks for \"third.test\", which is not served";
    for (settings, host, wrong) in [
        (&any_name, "third.test", None),
        (&any_name, "127.0.0.1", Some(nameless)),
        (&two_names, "server.test", None),
        (&two_names, "third.test", Some(unserved)),
        (&two_names, "::1", Some(nameless)),
    ] {
        let client = client(&TlsSettings::default(), "").unwrap();
        let (theirs, ours) = meet(&server(settings).unwrap(), &client, host).await;
        let Some(wrong) = wrong else {
            theirs.unwrap();
            ours.unwrap();
            continue;
        };
        let theirs = theirs.unwrap_err();
        assert_eq!(theirs.to_string(), wrong);
        let kind = (theirs.why(), theirs.at_side(), theirs.at_phase());
        assert_eq!(kind, (Why::Denied, Side::Client, Phase::Handshake));
        assert_eq!(
            text(ours),
            "tls: the server refused: it does not serve the name"
        );
    }
}

#[tokio::test]
async fn protocols_are_agreed_on() {
    let folder = Folder::new();
    let with = |names: Option<&[&str]>, base: TlsSettings| TlsSettings {
        alpn: names.map(|names| names.iter().map(|&n| n.to_owned()).collect()),
        ..base
    };
    let pair = folder.pair("server", &Issuer::new("x").issue("server.test"));
    let none = None::<&[&str]>;
    for (offered, known, agreed) in [
        (none, none, Ok(None)),
        (
            Some(&["h2", "b"][..]),
            Some(&["b", "h2"][..]),
            Ok(Some("b")),
        ),
        (Some(&["h2"]), none, Ok(None)),
        (none, Some(&["h2"]), Ok(None)),
        (
            Some(&["a"]),
            Some(&["b"]),
            Err("tls: the client offers none of the protocols in alpn"),
        ),
    ] {
        let server = server(&with(known, pair.clone())).unwrap();
        let client = client(&with(offered, TlsSettings::default()), "").unwrap();
        let (theirs, ours) = meet(&server, &client, "server.test").await;
        match agreed {
            Ok(agreed) => {
                for conn in [theirs.unwrap(), ours.unwrap()] {
                    assert_eq!(conn.meta.tls.unwrap().alpn.as_deref(), agreed);
                }
            }
            Err(wrong) => {
                assert_eq!(text(theirs), wrong);
                assert_eq!(
                    text(ours),
                    "tls: the server refused: it has no protocol in common with our alpn"
                );
            }
        }
    }
}

#[tokio::test]
async fn versions_without_overlap() {
    let folder = Folder::new();
    let pair = folder.pair("server", &Issuer::new("x").issue("server.test"));
    let server = server(&TlsSettings {
        min_version: "VersionTLS13".to_owned(),
        ..pair
    })
    .unwrap();
    let settings = TlsSettings {
        max_version: "VersionTLS12".to_owned(),
        ..TlsSettings::default()
    };
    let (theirs, ours) = meet(&server, &client(&settings, "").unwrap(), "server.test").await;
    assert!(text(theirs).starts_with("tls: nothing in common with the client"));
    assert_eq!(
        text(ours),
        "tls: the server refused: it has no version in common with us"
    );
}

#[tokio::test]
async fn what_is_no_tls() {
    let folder = Folder::new();
    let server = server(&folder.pair("server", &Issuer::new("x").issue("server.test"))).unwrap();
    for (sent, wrong) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            "tls: the client does not speak TLS",
        ),
        (b"\x05\x01\x00", "tls: the client does not speak TLS"),
        (
            b"",
            "tls: the client closed the connection in the handshake",
        ),
        (
            b"\x16\x03\x01\xff\xff",
            "tls: the client does not speak TLS",
        ),
    ] {
        let (near, mut far) = sockets().await;
        far.write_all(sent).await.unwrap();
        far.shutdown().await.unwrap();
        let error = soon(server.server(conn(near))).await.unwrap_err();
        assert_eq!(error.to_string(), wrong, "{sent:?}");
        assert_eq!(
            (error.at_side(), error.at_phase()),
            (Side::Client, Phase::Handshake)
        );
        // Nothing but an alert is told.
        let mut answer = Vec::new();
        let _ = soon(far.read_to_end(&mut answer)).await;
        assert!(
            answer.is_empty() || (answer.len() == 7 && answer[0] == 21),
            "{answer:?}"
        );
    }
    // And a server that is none.
    let (mut near, far) = sockets().await;
    near.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    let client = client(&TlsSettings::default(), "").unwrap();
    let error = soon(client.client(conn(far), &crate::support::node("server.test"))).await;
    assert_eq!(text(error), "tls: the server does not speak TLS");
}
