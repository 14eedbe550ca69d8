//! Certificates that nobody named, and files that change.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use gost_core::build::TlsSettings;
use gost_tls::ServerTls;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::support::{Folder, Issuer, client, meet, soon, text};

/// A server without settings.
fn nameless(default: &Arc<gost_tls::DefaultCertificate>) -> ServerTls {
    ServerTls::new(&TlsSettings::default(), default.clone())
        .unwrap()
        .0
}

/// Trusts one certificate, by its fingerprint.
fn pinned(pem: &str) -> gost_tls::ClientTls {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let hex = hex::encode(hash);
    client(&TlsSettings::default(), &hex).unwrap()
}

#[tokio::test]
async fn one_is_generated_and_kept() {
    let folder = Folder::new();
    let default = folder.default(TlsSettings::default());
    // Two servers of a program have the same.
    let (one, two) = (nameless(&default), nameless(&default));
    one.prepare();
    let any = client(&TlsSettings::default(), "").unwrap();
    meet(&one, &any, "x").await.1.unwrap();
    let cert = folder.path("home/.gost/auto-ca-cert.pem");
    let key = folder.path("home/.gost/auto-ca-key.pem");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cert), mode(&key)), (0o644, 0o600));
    assert_eq!(mode(&folder.path("home/.gost")), 0o700);
    let kept = pinned(&fs::read_to_string(&cert).unwrap());
    // Trusting the file is trusting the server, by the name in it.
    let by_file = TlsSettings {
        secure: true,
        ca_file: cert.to_str().unwrap().to_owned(),
        server_name: "gost.run".to_owned(),
        ..TlsSettings::default()
    };
    let by_file = client(&by_file, "").unwrap();
    // The next start finds it.
    let next = nameless(&folder.default(TlsSettings::default()));
    for server in [&one, &two, &next] {
        meet(server, &kept, "x").await.1.unwrap();
        meet(server, &by_file, "x").await.1.unwrap();
    }
}

#[tokio::test]
async fn settings_of_the_program_name_what_is_generated() {
    let folder = Folder::new();
    let server = nameless(&folder.default(TlsSettings {
        common_name: "my.test".to_owned(),
        organization: "Me".to_owned(),
        validity: Duration::from_hours(48),
        ..TlsSettings::default()
    }));
    let any = client(&TlsSettings::default(), "").unwrap();
    meet(&server, &any, "x").await.1.unwrap();
    let by_name = client(
        &TlsSettings {
            secure: true,
            ca_file: folder
                .path("home/.gost/auto-ca-cert.pem")
                .to_str()
                .unwrap()
                .to_owned(),
            ..TlsSettings::default()
        },
        "",
    )
    .unwrap();
    meet(&server, &by_name, "my.test").await.1.unwrap();
    let (_, other) = meet(&server, &by_name, "gost.run").await;
    assert!(text(other).contains("is not for \"gost.run\" but for my.test"));
}

#[tokio::test]
async fn the_working_directory_comes_first_and_a_bad_or_expired_one_is_passed_over() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("work")).unwrap();
    fs::create_dir_all(folder.path("home/.gost")).unwrap();
    let issuer = Issuer::new("x");
    let (cert, key) = issuer.issue("work.test");
    folder.write("work/cert.pem", &cert);
    folder.write("work/key.pem", &key);
    let expired = issuer.issue_until("old.test", 2020);
    folder.write("home/.gost/auto-ca-cert.pem", &expired.0);
    folder.write("home/.gost/auto-ca-key.pem", &expired.1);
    let server = nameless(&folder.default(TlsSettings::default()));
    meet(&server, &pinned(&cert), "x").await.1.unwrap();

    folder.write("work/key.pem", &expired.1);
    let server = nameless(&folder.default(TlsSettings::default()));
    let any = client(&TlsSettings::default(), "").unwrap();
    meet(&server, &any, "x").await.1.unwrap();
    let now = fs::read_to_string(folder.path("home/.gost/auto-ca-cert.pem")).unwrap();
    assert_ne!(now, expired.0);
    meet(&server, &pinned(&now), "x").await.1.unwrap();
}

#[tokio::test]
async fn without_a_home_one_is_generated_all_the_same() {
    let folder = Folder::new();
    // A file where the folder should be.
    folder.write("home", "");
    let server = nameless(&folder.default(TlsSettings::default()));
    let any = client(&TlsSettings::default(), "").unwrap();
    meet(&server, &any, "x").await.1.unwrap();
}

#[tokio::test]
async fn servers_and_clients_see_that_files_have_changed() {
    let folder = Folder::new();
    let (before, after) = (Issuer::new("before"), Issuer::new("after"));
    let served = TlsSettings {
        ca_file: folder.write("clients", &before.pem()),
        ..folder.pair("server", &before.issue("server.test"))
    };
    let shown = TlsSettings {
        secure: true,
        ca_file: folder.write("servers", &before.pem()),
        ..folder.pair("client", &before.issue("client"))
    };
    let server = crate::support::server(&served).unwrap();
    let client = client(&shown, "").unwrap();
    let good = |(theirs, ours): (gost_core::Result<_>, gost_core::Result<_>)| {
        theirs.is_ok() && ours.is_ok()
    };
    assert!(good(meet(&server, &client, "server.test").await));

    // Something that is no certificate changes nothing.
    folder.write("server.pem", "half written");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(good(meet(&server, &client, "server.test").await));

    folder.pair("server", &after.issue("server.test"));
    folder.pair("client", &after.issue("client"));
    folder.write("clients", &after.pem());
    folder.write("servers", &after.pem());
    // Nobody goes on with what is trusted no more, not even by resuming.
    let stale = TlsSettings {
        secure: true,
        ca_file: folder.write("stale", &before.pem()),
        ..TlsSettings::default()
    };
    let stale = crate::support::client(&stale, "").unwrap();
    let until_seen = async {
        while meet(&server, &stale, "server.test").await.1.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while !good(meet(&server, &client, "server.test").await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(until_seen).await;
}
