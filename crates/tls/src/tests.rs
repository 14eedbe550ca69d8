//! What a handshake agrees on, which is not to be seen from outside.

use std::sync::Arc;

use gost_core::{addr::Addr, build::TlsSettings, outbound::NodeAddr};
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{client, server};

use crate::{
    ClientOptions, ClientTls, DefaultCertificate, ServerTls, SystemRoots, read_ahead::ReadAhead,
};

struct Ends {
    server: ServerTls,
    client: ClientTls,
    _home: tempfile::TempDir,
}

fn ends(settings: &TlsSettings) -> Ends {
    let home = tempfile::tempdir().unwrap();
    let default = DefaultCertificate::in_places(TlsSettings::default(), home.path(), home.path());
    let (server, _) = ServerTls::new(settings, Arc::new(default)).unwrap();
    let options = ClientOptions::default();
    let (client, _) = ClientTls::new(settings, &options, Arc::<SystemRoots>::default()).unwrap();
    Ends {
        server,
        client,
        _home: home,
    }
}

type Streams = (server::TlsStream<ReadAhead>, client::TlsStream<ReadAhead>);

/// A handshake, and a byte each way, with which tickets arrive.
async fn meet(ends: &Ends) -> Streams {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accept = async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = ends
            .server
            .accept(ReadAhead::new(Box::new(socket)))
            .await
            .unwrap();
        stream.write_u8(1).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
        stream
    };
    let connect = async {
        let socket = TcpStream::connect(addr).await.unwrap();
        let node = NodeAddr::new(Addr::from_host("server.test", 1));
        let connect = ends.client.connect(ReadAhead::new(Box::new(socket)), &node);
        let mut stream = connect.await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        stream.write_u8(2).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    tokio::join!(accept, connect)
}

fn sessions<'a>(
    server: &'a server::TlsStream<ReadAhead>,
    client: &'a client::TlsStream<ReadAhead>,
) -> [&'a CommonState; 2] {
    [server.get_ref().1, client.get_ref().1]
}

#[tokio::test]
async fn post_quantum_and_cheap_by_default() {
    let (server, client) = meet(&ends(&TlsSettings::default())).await;
    for session in sessions(&server, &client) {
        let suite = session.negotiated_cipher_suite().unwrap();
        assert_eq!(format!("{:?}", suite.suite()), "TLS13_AES_128_GCM_SHA256");
        let group = session.negotiated_key_exchange_group().unwrap();
        assert_eq!(format!("{:?}", group.name()), "X25519MLKEM768");
    }
}

#[tokio::test]
async fn who_comes_again_resumes() {
    for (version, number) in [
        ("VersionTLS12", ProtocolVersion::TLSv1_2),
        ("VersionTLS13", ProtocolVersion::TLSv1_3),
    ] {
        let ends = ends(&TlsSettings {
            max_version: version.to_owned(),
            ..TlsSettings::default()
        });
        for kind in [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ] {
            let (server, client) = meet(&ends).await;
            for session in sessions(&server, &client) {
                assert_eq!(session.protocol_version(), Some(number));
                assert_eq!(session.handshake_kind(), Some(kind), "{version}");
            }
        }
    }
}

#[tokio::test]
async fn the_chosen_suite_is_used() {
    let name = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let ends = ends(&TlsSettings {
        max_version: "versiontls12".to_owned(),
        cipher_suites: vec![name.to_lowercase(), "TLS_RSA_WITH_RC4_128_SHA".to_owned()],
        ..TlsSettings::default()
    });
    let (server, _) = meet(&ends).await;
    let suite = server.get_ref().1.negotiated_cipher_suite().unwrap();
    assert_eq!(format!("{:?}", suite.suite()), name);
}

#[tokio::test]
async fn suites_of_version_13_leave_those_of_12_alone() {
    let ends = ends(&TlsSettings {
        max_version: "VersionTLS12".to_owned(),
        cipher_suites: vec!["TLS_AES_256_GCM_SHA384".to_owned()],
        ..TlsSettings::default()
    });
    let (server, _) = meet(&ends).await;
    let suite = server.get_ref().1.negotiated_cipher_suite().unwrap();
    let usual = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    assert_eq!(format!("{:?}", suite.suite()), usual);
}

#[tokio::test]
async fn a_read_takes_all_records_that_have_arrived() {
    let (server, client) = meet(&ends(&TlsSettings::default())).await;
    let mut client = crate::stream::Tls::new(client.into());
    let mut server = crate::stream::Tls::new(server.into());
    let sent = vec![7; 48 * 1024];
    let send = async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
    };
    let receive = async {
        let mut got = vec![0; 64 * 1024];
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < sent.len() {
            sizes.push(server.read(&mut got).await.unwrap());
        }
        sizes
    };
    let ((), sizes) = tokio::join!(send, receive);
    // How the bytes arrive is up to the system; a record at a time would be three.
    assert!(sizes.len() < 3, "{sizes:?}");
}
