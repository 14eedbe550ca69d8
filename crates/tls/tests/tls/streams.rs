//! Bytes, ends and breaks.

use std::io::ErrorKind;

use gost_core::{
    build::TlsSettings,
    error::{Error, Why},
    outbound::Upgrade as _,
    stream::Stream,
};
use gost_testkit::payload::{Digester, payload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use crate::support::{Folder, Issuer, client, conn, node, server, sockets, soon, streams};

async fn both(version: &str) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let folder = Folder::new();
    let server = server(&TlsSettings {
        max_version: version.to_owned(),
        ..folder.pair("server", &Issuer::new("x").issue("server.test"))
    });
    let client = client(&TlsSettings::default(), "");
    streams(&server.unwrap(), &client.unwrap()).await
}

#[tokio::test]
async fn either_end_ends_first_and_hears_the_rest() {
    for version in ["VersionTLS12", "VersionTLS13"] {
        for server_first in [true, false] {
            let (near, far) = both(version).await;
            let (mut first, mut second) = if server_first {
                (near, far)
            } else {
                (far, near)
            };
            assert!(first.half_close() && second.half_close());
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            let mut got = Vec::new();
            soon(second.read_to_end(&mut got)).await.unwrap();
            assert_eq!(got, b"question");
            let answer = payload(1, 300_000);
            let (sent, heard) = soon(async {
                tokio::join!(
                    async {
                        second.write_all(&answer).await?;
                        second.shutdown().await
                    },
                    async {
                        let mut heard = Vec::new();
                        first.read_to_end(&mut heard).await.map(|_| heard)
                    }
                )
            })
            .await;
            sent.unwrap();
            assert!(heard.unwrap() == answer, "{version}");
        }
    }
}

#[tokio::test]
async fn bytes_of_any_number_arrive_as_they_were() {
    let (mut near, mut far) = both("").await;
    let sizes = [0, 1, 5, 16_383, 16_384, 16_385, 65_536, 1_000_000, 3];
    let all = payload(7, sizes.iter().sum());
    let send = async {
        let mut rest = &all[..];
        for size in sizes {
            let (now, later) = rest.split_at(size);
            near.write_all(now).await.unwrap();
            near.flush().await.unwrap();
            rest = later;
        }
        near.shutdown().await.unwrap();
    };
    let receive = async {
        let mut digest = Digester::default();
        for step in [1, 7, 4096, 70_000].into_iter().cycle() {
            let mut buffer = vec![0; step];
            match far.read(&mut buffer).await.unwrap() {
                0 => break,
                n => digest.update(&buffer[..n]),
            }
        }
        digest.finish()
    };
    let ((), digest) = soon(async { tokio::join!(send, receive) }).await;
    assert_eq!(digest, gost_testkit::payload::Digest::of(&all));
}

#[tokio::test]
async fn an_abort_is_a_reset() {
    let (near, mut far) = both("").await;
    near.abort();
    let error = soon(far.read_u8()).await.unwrap_err();
    assert_eq!(Error::from(error).why(), Why::Reset);
}

#[tokio::test]
async fn an_end_without_goodbye_is_an_error() {
    let folder = Folder::new();
    let server = server(&folder.pair("server", &Issuer::new("x").issue("server.test"))).unwrap();
    let client = client(&TlsSettings::default(), "").unwrap();
    // Somebody in between cuts the connection in order, behind some bytes.
    let ((near, mut between_near), (mut between_far, far)) = (sockets().await, sockets().await);
    let cut = tokio::spawn(async move {
        let (mut a, mut b) = (vec![0; 65_536], vec![0; 65_536]);
        let mut heard = 0;
        loop {
            tokio::select! {
                n = between_near.read(&mut a) => {
                    let n = n.unwrap();
                    between_far.write_all(&a[..n]).await.unwrap();
                    heard += n;
                    if heard > 20_000 {
                        break;
                    }
                }
                n = between_far.read(&mut b) => {
                    let n = n.unwrap();
                    between_near.write_all(&b[..n]).await.unwrap();
                }
            }
        }
        between_far.shutdown().await.unwrap();
        (between_near, between_far)
    });
    let node = node("server.test");
    let (near, far) = tokio::join!(server.server(conn(near)), client.client(conn(far), &node));
    let (mut near, mut far) = (
        near.unwrap().into_stream().unwrap().0,
        far.unwrap().into_stream().unwrap().0,
    );
    near.write_all(&payload(3, 40_000)).await.unwrap();
    near.flush().await.unwrap();
    let mut got = Vec::new();
    let error = soon(far.read_to_end(&mut got)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let text = Error::from(error).to_string();
    assert_eq!(
        text,
        "tls: the server ended the connection without close_notify"
    );
    assert!(payload(3, 40_000).starts_with(&got));
    drop(cut.await.unwrap());
}

#[tokio::test]
async fn it_can_not_be_peeled_and_works_on() {
    let (near, mut far) = both("").await;
    let Err(mut near) = near.into_raw() else {
        panic!("the bytes below are not those above")
    };
    near.write_all(b"x").await.unwrap();
    near.flush().await.unwrap();
    assert_eq!(soon(far.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn what_came_before_a_damaged_record_is_read_and_then_the_error() {
    let folder = Folder::new();
    let server = server(&folder.pair("server", &Issuer::new("x").issue("server.test"))).unwrap();
    let client = client(&TlsSettings::default(), "").unwrap();
    let ((near, mut a), (mut b, far)) = (duplex(100_000), duplex(100_000));
    let node = node("server.test");
    let meet = async {
        let (near, far) = tokio::join!(server.server(conn(near)), client.client(conn(far), &node));
        let mut near = near.unwrap().into_stream().unwrap().0;
        let mut far = far.unwrap().into_stream().unwrap().0;
        // Whatever else a server says at first has arrived when this has.
        near.write_u8(1).await.unwrap();
        near.flush().await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), 1);
        (near, far)
    };
    let (mut near, mut far) = tokio::select! {
        ends = soon(meet) => ends,
        _ = tokio::io::copy_bidirectional(&mut a, &mut b) => panic!("nobody has ended"),
    };
    let (good, lost) = (payload(1, 10), payload(2, 100));
    for part in [&good, &lost] {
        near.write_all(part).await.unwrap();
        near.flush().await.unwrap();
    }
    // Each record: a header of 5 bytes, the bytes, their kind and a tag of 16.
    let mut records = vec![0; good.len() + lost.len() + 2 * (5 + 1 + 16)];
    soon(a.read_exact(&mut records)).await.unwrap();
    *records.last_mut().unwrap() ^= 1;
    b.write_all(&records).await.unwrap();
    let mut got = vec![0; 20_000];
    let n = soon(far.read(&mut got)).await.unwrap();
    assert!(got[..n] == good, "{n}");
    let error = Error::from(soon(far.read(&mut got)).await.unwrap_err());
    assert_eq!(error.to_string(), "tls: cannot decrypt peer's message");
}
