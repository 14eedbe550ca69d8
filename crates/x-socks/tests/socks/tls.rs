//! Where TLS goes, told by something that is not TLS but stands in its place.

use std::sync::Arc;

use gost_core::{outbound::Upgrade, policy::Credentials, prelude::*};
use gost_testbed::{OneUser, Running, Through, serve};
use gost_testkit::soon;
use gost_testkit::tcp::{Behaviour, Server};
use gost_x_socks::v5::{Socks5Connector, Socks5ConnectorOptions, Socks5Handler, Socks5Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Raw, address_hex};

/// Both ends say a word, and go on as before.
struct Word;

async fn exchange(conn: Conn, say: &[u8], hear: &[u8]) -> Result<Conn> {
    let (mut stream, meta) = conn.into_stream()?;
    stream.write_all(say).await?;
    let mut word = vec![0; hear.len()];
    stream.read_exact(&mut word).await?;
    assert_eq!(word, hear);
    Ok(Conn {
        io: Io::Stream(stream),
        meta,
    })
}

#[async_trait]
impl Upgrade for Word {
    async fn client(&self, conn: Conn, _: &NodeAddr) -> Result<Conn> {
        exchange(conn, b"client hello", b"server hello").await
    }

    async fn server(&self, conn: Conn) -> Result<Conn> {
        exchange(conn, b"server hello", b"client hello").await
    }
}

async fn server(options: Socks5Options, auth: bool) -> Running {
    let handler = Socks5Handler::new(options, Some(Arc::new(Word))).unwrap();
    serve(Arc::new(handler), |serving| {
        if auth {
            serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
        }
    })
    .await
}

fn notls() -> Socks5Options {
    Socks5Options {
        notls: true,
        ..Socks5Options::default()
    }
}

#[tokio::test]
async fn the_choice_of_a_method_where_there_is_tls() {
    let golden: serde_json::Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/wire/socks5.json"
    )))
    .unwrap();
    let transcripts = golden["transcripts"].as_array().unwrap();
    let table = transcripts.iter().find_map(|t| t["table"].as_array());
    let mut rows = 0;
    for row in table.unwrap() {
        let kind = row["server"].as_str().unwrap();
        let options = if kind.ends_with("notls") {
            notls()
        } else {
            Socks5Options::default()
        };
        let server = server(options, kind.starts_with("auth")).await;
        let mut client = Raw::connect(&server).await;
        client.send(row["offered"].as_str().unwrap()).await;
        let wanted = match row["answer"].as_str().unwrap() {
            "" => "05ff",
            answer => answer,
        };
        assert_eq!(client.take(2).await, wanted, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 56);
}

#[tokio::test]
async fn what_comes_inside() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let request = format!("050100{}", address_hex(target.address()));
    for (auth, offer) in [(false, "050180"), (true, "050182")] {
        let server = server(Socks5Options::default(), auth).await;
        let mut client = Raw::connect(&server).await;
        // What came with the greeting belongs to the handshake.
        client
            .send(&format!("{offer}{}", hex::encode("client hello")))
            .await;
        assert_eq!(client.take(2).await, format!("05{}", &offer[4..]));
        assert_eq!(client.take(12).await, hex::encode("server hello"));
        if auth {
            client.send("0104757365720470617373").await;
            assert_eq!(client.take(2).await, "0100");
        }
        client.send(&format!("{request}70696e67")).await;
        assert!(client.take(10).await.starts_with("050000017f000001"));
        assert_eq!(client.take(4).await, "70696e67");
    }
}

#[tokio::test]
async fn our_two_sides_meet_inside() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let to = Target::tcp(target.address().into());
    for auth in [false, true] {
        for server_notls in [false, true] {
            let options = if server_notls {
                notls()
            } else {
                Socks5Options::default()
            };
            let server = server(options, auth).await;
            let credentials = auth.then(|| Credentials {
                username: "user".into(),
                password: "pass".into(),
            });
            let options = Socks5ConnectorOptions::default();
            let connector = Socks5Connector::new(options, credentials, Some(Arc::new(Word)));
            let way = Through::tcp(server.addr, Arc::new(connector.unwrap()));
            let conn = soon(way.connect(&to, &Ask::default())).await.unwrap();
            let (mut stream, _) = conn.into_stream().unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut got = [0; 4];
            soon(stream.read_exact(&mut got)).await.unwrap();
            assert_eq!(&got, b"ping");
        }
    }
}
