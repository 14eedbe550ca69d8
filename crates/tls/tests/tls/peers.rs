//! Other people's TLS: `OpenSSL` and `GnuTLS`, at either end, with keys of every kind.

use std::{path::Path, process::Stdio};

use gost_core::{build::TlsSettings, outbound::Upgrade as _};
use gost_testkit::{payload::payload, peers, ports, process::Launch};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
};

use crate::support::{Folder, client, conn, node, server, soon};

/// The kinds of keys, in the words of `openssl req`.
const KEYS: [(&str, &str); 4] = [
    ("rsa", "rsa:2048"),
    ("p256", "ec -pkeyopt ec_paramgen_curve:prime256v1"),
    ("p384", "ec -pkeyopt ec_paramgen_curve:secp384r1"),
    ("ed25519", "ed25519"),
];

/// A certificate that openssl makes for `peer.test`.
async fn certificate(folder: &Folder, openssl: &Path, (name, key): (&str, &str)) -> TlsSettings {
    let file = |kind: &str| {
        folder
            .path(&format!("{name}.{kind}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (cert_file, key_file) = (file("pem"), file("key"));
    let line = format!(
        "req -x509 -newkey {key} -nodes -days 2 -subj /CN=peer.test -addext subjectAltName=DNS:peer.test -keyout {key_file} -out {cert_file}"
    );
    let made = Command::new(openssl)
        .args(line.split(' '))
        .output()
        .await
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    TlsSettings {
        cert_file,
        key_file,
        ..TlsSettings::default()
    }
}

/// Serves one client: what it sends comes back, and its end too. Returns how many bytes came.
async fn echo(settings: &TlsSettings, listener: &TcpListener) -> u64 {
    let server = server(settings).unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let (mut stream, _) = server
        .server(conn(socket))
        .await
        .unwrap()
        .into_stream()
        .unwrap();
    let mut count = 0;
    let mut buffer = vec![0; 70_000];
    // A peer may end without a goodbye.
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..n]).await.unwrap();
        stream.flush().await.unwrap();
        count += n as u64;
    }
    let _ = stream.shutdown().await;
    count
}

#[tokio::test]
async fn their_clients() {
    let Some(openssl) = peers::need("openssl") else {
        return;
    };
    let folder = Folder::new();
    let sent = payload(1, 100_000);
    // Lines, so that nothing in them is a command to a client.
    let sent: Vec<u8> = sent.iter().map(|b| b'a' + b % 16).chain([b'\n']).collect();
    for key in KEYS {
        let settings = certificate(&folder, &openssl, key).await;
        let mut clients = vec![
            (
                openssl.clone(),
                "s_client -quiet -tls1_2 -ign_eof -connect 127.0.0.1:PORT".to_owned(),
            ),
            (
                openssl.clone(),
                "s_client -quiet -tls1_3 -ign_eof -connect 127.0.0.1:PORT".to_owned(),
            ),
        ];
        if let Some(gnutls) = peers::need("gnutls-cli") {
            let line = format!(
                "--logfile=/dev/null --x509cafile={} --verify-hostname=peer.test --port=PORT 127.0.0.1",
                settings.cert_file
            );
            clients.push((gnutls, line));
        }
        for (program, line) in clients {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port().to_string();
            let mut peer = Command::new(&program)
                .args(line.replace("PORT", &port).split(' '))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let (mut input, mut output) = (peer.stdin.take().unwrap(), peer.stdout.take().unwrap());
            let talk = async {
                let mut got = vec![0; sent.len()];
                let (wrote, read) =
                    tokio::join!(input.write_all(&sent), output.read_exact(&mut got));
                wrote.unwrap();
                read.unwrap();
                peer.kill().await.unwrap();
                got
            };
            let (count, got) = soon(async { tokio::join!(echo(&settings, &listener), talk) }).await;
            assert_eq!(count, sent.len() as u64, "{} {line}", key.0);
            assert!(got == sent, "{} {line}", key.0);
        }
    }
}

#[tokio::test]
async fn their_servers() {
    let Some(openssl) = peers::need("openssl") else {
        return;
    };
    let folder = Folder::new();
    for key in KEYS {
        let settings = certificate(&folder, &openssl, key).await;
        let trusting = TlsSettings {
            secure: true,
            ca_file: settings.cert_file.clone(),
            alpn: Some(vec!["x".to_owned()]),
            ..TlsSettings::default()
        };
        let ours = client(&trusting, "").unwrap();
        let (cert, secret) = (&settings.cert_file, &settings.key_file);
        let mut servers = vec![];
        for version in ["-tls1_2", "-tls1_3"] {
            // Each line comes back reversed.
            let line = format!(
                "s_server -rev -quiet -alpn x {version} -accept 127.0.0.1:PORT -cert {cert} -key {secret}"
            );
            servers.push((openssl.clone(), line, &b"gnip\n"[..]));
        }
        if let Some(gnutls) = peers::need("gnutls-serv") {
            let line = format!(
                "--echo --quiet --alpn=x --x509certfile={cert} --x509keyfile={secret} --port=PORT"
            );
            servers.push((gnutls, line, b"ping\n"));
        }
        for (program, line, answer) in servers {
            let port = ports::tcp();
            let line = line.replace("PORT", &port.to_string());
            let mut peer = Launch::new(&program)
                .args(line.split(' '))
                .quiet()
                .spawn()
                .unwrap();
            peer.ready(port).await.unwrap();
            // Twice, the second of which may resume.
            for _ in 0..2 {
                let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let connected = soon(ours.client(conn(socket), &node("peer.test"))).await;
                let connected = connected.unwrap_or_else(|e| panic!("{line}: {e}"));
                assert_eq!(
                    connected.meta.tls.as_ref().unwrap().alpn.as_deref(),
                    Some("x")
                );
                let (mut stream, _) = connected.into_stream().unwrap();
                stream.write_all(b"ping\n").await.unwrap();
                stream.flush().await.unwrap();
                let mut got = [0; 5];
                soon(stream.read_exact(&mut got)).await.unwrap();
                assert_eq!(got, answer, "{line}");
                stream.shutdown().await.unwrap();
            }
        }
    }
}
