//! Whom a client takes for the server.

use std::process::Command;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gost_core::{
    build::TlsSettings,
    error::{Phase, Side, Why},
};
use gost_testkit::peers;

use crate::support::{Folder, Issuer, client, meet, server, text};

#[tokio::test]
async fn what_is_verified() {
    let folder = Folder::new();
    let (trusted, other) = (Issuer::new("trusted"), Issuer::new("other"));
    let file = folder.write("ca.pem", &trusted.pem());
    let good = folder.pair("good", &trusted.issue("server.test"));
    let expired = folder.pair("expired", &trusted.issue_until("server.test", 2020));
    let foreign = folder.pair("foreign", &other.issue("server.test"));
    let itself = folder.pair("itself", &trusted.pair());

    let secure = |server_name: &str| TlsSettings {
        secure: true,
        ca_file: file.clone(),
        server_name: server_name.to_owned(),
        ..TlsSettings::default()
    };
    let issuer_only = TlsSettings {
        ca_file: file.clone(),
        ..TlsSettings::default()
    };
    let nothing = TlsSettings::default();
    let unknown = "tls: the certificate of the server is of an unknown issuer";
    let old = "tls: the certificate of the server has expired";
    let misnamed =
        "tls: the certificate of the server is not for \"other.test\" but for server.test";
    for (what, settings, serves, wrong) in [
        ("name of the node", secure(""), &good, None),
        ("name given", secure("server.test"), &good, None),
        ("wrong name", secure("other.test"), &good, Some(misnamed)),
        ("expired", secure(""), &expired, Some(old)),
        ("foreign", secure(""), &foreign, Some(unknown)),
        (
            "issuer, wrong name",
            TlsSettings {
                server_name: "other.test".into(),
                ..issuer_only.clone()
            },
            &good,
            None,
        ),
        ("issuer, expired", issuer_only.clone(), &expired, Some(old)),
        (
            "issuer, foreign",
            issuer_only.clone(),
            &foreign,
            Some(unknown),
        ),
        ("issuer itself", issuer_only.clone(), &itself, None),
        ("nothing, expired", nothing.clone(), &expired, None),
        ("nothing, foreign", nothing.clone(), &foreign, None),
    ] {
        let client = client(&settings, "").unwrap();
        let (theirs, ours) = meet(&server(serves).unwrap(), &client, "server.test").await;
        match wrong {
            None => {
                let (near, _) = (theirs.unwrap(), ours.unwrap());
                let name = near.meta.tls.as_ref().unwrap().server_name.clone();
                let wanted = if settings.server_name.is_empty() {
                    "server.test"
                } else {
                    &settings.server_name
                };
                assert_eq!(name.as_deref(), Some(wanted), "{what}");
            }
            Some(wrong) => {
                let error = ours.unwrap_err();
                assert_eq!(error.to_string(), wrong, "{what}");
                let kind = (error.why(), error.at_side(), error.at_phase());
                assert_eq!(kind, (Why::Auth, Side::Node, Phase::Handshake), "{what}");
                let theirs = theirs.unwrap_err();
                assert_eq!(theirs.at_side(), Side::Client, "{what}");
                assert!(
                    theirs.to_string().starts_with("tls: the client refused"),
                    "{theirs}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_issuer_that_serves_with_its_own_certificate_needs_good_dates_and_the_same_key() {
    let folder = Folder::new();
    let trusted = Issuer::new("same name");
    let twin = Issuer::new("same name");
    let settings = TlsSettings {
        ca_file: folder.write("ca.pem", &trusted.pem()),
        ..TlsSettings::default()
    };
    let twin = server(&folder.pair("twin", &twin.pair())).unwrap();
    let (_, ours) = meet(&twin, &client(&settings, "").unwrap(), "server.test").await;
    assert!(text(ours).starts_with("tls: the certificate of the server is"));
}

#[tokio::test]
async fn an_address_is_verified_and_not_sent() {
    let folder = Folder::new();
    let issuer = Issuer::new("trusted");
    let settings = TlsSettings {
        secure: true,
        ca_file: folder.write("ca.pem", &issuer.pem()),
        ..TlsSettings::default()
    };
    let client = client(&settings, "").unwrap();
    let right = server(&folder.pair("right", &issuer.issue("127.0.0.1"))).unwrap();
    let (theirs, ours) = meet(&right, &client, "127.0.0.1").await;
    ours.unwrap();
    assert_eq!(theirs.unwrap().meta.tls.unwrap().server_name, None);
    let wrong = server(&folder.pair("wrong", &issuer.issue("127.0.0.2"))).unwrap();
    let (_, ours) = meet(&wrong, &client, "127.0.0.1").await;
    assert!(text(ours).contains("is not for \"127.0.0.1\""));
}

#[tokio::test]
async fn a_pin_decides_whoever_issued_the_certificate() {
    let folder = Folder::new();
    let issuer = Issuer::new("any");
    let served = issuer.issue("server.test");
    let served_by = folder.pair("server", &served);
    let server = server(&served_by).unwrap();
    let der = pem_body(&served.0);
    let digest = |data: &[u8]| {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data)
            .as_ref()
            .to_vec()
    };
    let hex = hex::encode(digest(&der));
    let key = rcgen::KeyPair::from_pem(&served.1).unwrap();
    let of_key = format!(
        "sha256//{}",
        BASE64_STANDARD.encode(digest(&rcgen::PublicKeyData::subject_public_key_info(&key)))
    );
    let colons: Vec<String> = hex
        .as_bytes()
        .chunks(2)
        .map(|c| String::from_utf8_lossy(c).to_uppercase())
        .collect();
    let other = "00".repeat(32);
    for pin in [
        hex.clone(),
        format!("sha256:{hex}"),
        colons.join(":"),
        of_key.clone(),
        format!("{other}, {of_key}"),
    ] {
        let client = client(&TlsSettings::default(), &pin).unwrap();
        assert!(!client.is_insecure());
        let (_, ours) = meet(&server, &client, "server.test").await;
        ours.unwrap();
    }
    let wrong = client(&TlsSettings::default(), &other).unwrap();
    let (_, ours) = meet(&server, &wrong, "server.test").await;
    assert_eq!(
        text(ours),
        "tls: the certificate of the server is none of those in tls.pin"
    );

    // What openssl prints is taken as it is.
    let Some(openssl) = peers::need("openssl") else {
        return;
    };
    let printed = Command::new(openssl)
        .args([
            "x509",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-in",
            &served_by.cert_file,
        ])
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let pin = printed.trim().split_once('=').unwrap().1;
    let (_, ours) = meet(&server, &client(&TlsSettings::default(), pin).unwrap(), "x").await;
    ours.unwrap();
}

fn pem_body(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64_STANDARD.decode(body).unwrap()
}

#[tokio::test]
async fn a_name_that_can_be_none_matters_only_where_it_is_verified() {
    let folder = Folder::new();
    let server = server(&folder.pair("server", &Issuer::new("x").issue("server.test"))).unwrap();
    let settings = |secure| TlsSettings {
        secure,
        server_name: "not a name".to_owned(),
        ..TlsSettings::default()
    };
    let error = client(&settings(true), "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "serverName: \"not a name\" can't be the name of a server"
    );
    let (theirs, ours) = meet(
        &server,
        &client(&settings(false), "").unwrap(),
        "server.test",
    )
    .await;
    ours.unwrap();
    assert_eq!(
        theirs.unwrap().meta.tls.unwrap().server_name.as_deref(),
        Some("server.test")
    );
}
