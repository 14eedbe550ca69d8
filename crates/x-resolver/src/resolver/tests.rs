//! A resolver and the servers that it asks, in one process.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use gost_core::registry::Registry;
use tokio::{net::UdpSocket, time::Instant};

use super::*;
use crate::options::Ttl;

/// A name server of a few names. What it is asked is counted by name and type.
#[derive(Clone)]
struct Peer {
    addr: SocketAddr,
    asked: Arc<Mutex<HashMap<(String, u8), usize>>>,
    /// Say nothing.
    silent: Arc<AtomicBool>,
}

const A: u8 = 1;
const AAAA: u8 = 28;

/// What the server says about a name: with the last byte of each address, and the TTL.
enum Says {
    Addresses(&'static [u8], u8),
    /// After so long.
    Late(u64, &'static [u8]),
    Nobody,
    Refusal,
    Silence,
}

fn says(name: &str, kind: u8) -> Says {
    match (name, kind) {
        ("both", A) => Says::Addresses(&[1, 2], 60),
        ("four" | "deaf" | "unwilling", A) => Says::Addresses(&[4], 60),
        ("short", A) => Says::Addresses(&[1], 1),
        ("slow", A) => Says::Late(300, &[1]),
        ("both" | "six" | "slow" | "mute", AAAA) => Says::Addresses(&[6], 60),
        ("four" | "six" | "short", _) => Says::Addresses(&[], 60),
        ("deaf", _) | ("mute", A) => Says::Silence,
        ("unwilling" | "refused", _) => Says::Refusal,
        _ => Says::Nobody,
    }
}

impl Peer {
    async fn start() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let peer = Self {
            addr: socket.local_addr().unwrap(),
            asked: Arc::default(),
            silent: Arc::default(),
        };
        let (asked, silent) = (peer.asked.clone(), peer.silent.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (n, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = buffer[..n].to_vec();
                let label = 13..13 + usize::from(question[12]);
                let name = String::from_utf8(question[label.clone()].to_vec()).unwrap();
                let kind = question[label.end + 2];
                *asked.lock().entry((name.clone(), kind)).or_default() += 1;
                if silent.load(Relaxed) {
                    continue;
                }
                let (socket, said) = (socket.clone(), says(&name, kind));
                tokio::spawn(async move {
                    if let Says::Late(millis, _) = said {
                        tokio::time::sleep(Duration::from_millis(millis)).await;
                    }
                    if let Some(answer) = answer(question, kind, &said) {
                        socket.send_to(&answer, from).await.unwrap();
                    }
                });
            }
        });
        peer
    }

    fn asked(&self, name: &str, kind: u8) -> usize {
        let asked = self.asked.lock();
        asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0)
    }

    fn server(&self) -> Nameserver {
        Nameserver {
            addr: self.addr.to_string(),
            timeout: Duration::from_millis(900),
            ..Nameserver::default()
        }
    }
}

fn answer(question: Vec<u8>, kind: u8, said: &Says) -> Option<Vec<u8>> {
    let mut answer = question;
    let (code, last, ttl) = match said {
        Says::Addresses(last, ttl) => (0, *last, *ttl),
        Says::Late(_, last) => (0, *last, 60),
        Says::Nobody => (3, &[][..], 0),
        Says::Refusal => (5, &[][..], 0),
        Says::Silence => return None,
    };
    answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    answer[7] = u8::try_from(last.len()).unwrap();
    for last in last {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, ttl, 0]);
        if kind == A {
            answer.extend([4, 10, 0, 0, *last]);
        } else {
            answer.push(16);
            answer.extend([0xfd; 15]);
            answer.push(*last);
        }
    }
    Some(answer)
}

fn resolver(servers: &[Nameserver]) -> DnsResolver {
    DnsResolver::new(servers, &Build::new(Registry::new().into())).unwrap()
}

/// The last bytes of what was found; 100 more for IPv6.
async fn found(resolver: &DnsResolver, host: &str, family: Family) -> Result<Vec<u8>> {
    let found = resolver.resolve(host, family, &Asker::default()).await?;
    let last = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => 100 + ip.octets()[15],
    };
    Ok(found.into_iter().map(last).collect())
}

async fn any(resolver: &DnsResolver, host: &str) -> Result<Vec<u8>> {
    found(resolver, host, Family::Any).await
}

#[tokio::test]
async fn both_families_are_found_and_the_preferred_comes_first() {
    let peer = Peer::start().await;
    let with = |prefer: &str, only: &str| {
        resolver(&[Nameserver {
            prefer: prefer.to_owned(),
            only: only.to_owned(),
            ..peer.server()
        }])
    };
    let cases: &[(&str, &str, &str, &[u8])] = &[
        ("", "", "both", &[1, 2, 106]),
        ("ipv4", "", "both", &[1, 2, 106]),
        ("ipv6", "", "both", &[106, 1, 2]),
        ("ipv6", "", "four", &[4]),
        ("", "", "six", &[106]),
        ("", "ip4", "both", &[1, 2]),
        ("ipv4", "ipv6", "both", &[106]),
        ("", "ipv6", "four", &[]),
        // The preferred one is waited for, even if the other is there.
        ("ipv4", "", "slow", &[1, 106]),
    ];
    for (prefer, only, host, wanted) in cases {
        let got = any(&with(prefer, only), host).await.unwrap_or_default();
        assert_eq!(&got, wanted, "{prefer} {only} {host}");
    }
    let of = async |only, family| found(&with("", only), "both", family).await.ok();
    assert_eq!(of("", Family::V6).await, Some(vec![106]));
    assert_eq!(of("ipv6", Family::V6).await, Some(vec![106]));
    assert_eq!(of("ipv6", Family::V4).await, None);
    let literal = any(&with("", "ipv6"), "10.0.0.9").await.unwrap();
    assert_eq!(literal, [9]);
}

#[tokio::test]
async fn the_first_server_with_an_address_ends_the_search() {
    let (mute, peer) = (Peer::start().await, Peer::start().await);
    mute.silent.store(true, Relaxed);
    let nowhere = Nameserver {
        addr: " ".to_owned(),
        ..Nameserver::default()
    };
    let both = resolver(&[nowhere, mute.server(), peer.server()]);
    assert_eq!(any(&both, "four").await.unwrap(), [4]);
    let error = any(&both, "nobody").await.unwrap_err();
    assert_eq!(error.why(), Why::Unresolved);
    let text = error.to_string();
    assert!(
        text.contains("resolve nobody") && text.contains(&peer.addr.to_string()),
        "{text}"
    );
    let error = any(&both, "refused").await.unwrap_err();
    assert!(error.to_string().contains("Refused"), "{error}");
    let none = resolver(&[]);
    assert_eq!(any(&none, "four").await.unwrap_err().why(), Why::Unresolved);
}

#[tokio::test]
async fn answers_are_kept_as_long_as_they_hold_or_as_configured() {
    let peer = Peer::start().await;
    let ask_twice = async |ttl, host: &str| {
        let before = peer.asked(host, A);
        let resolver = resolver(&[Nameserver {
            ttl,
            ..peer.server()
        }]);
        let first = any(&resolver, host).await.ok();
        // The longest of the short ones.
        if host == "short" {
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        assert_eq!(any(&resolver, &host.to_uppercase()).await.ok(), first);
        peer.asked(host, A) - before
    };
    assert_eq!(ask_twice(Ttl::Answer, "both").await, 1);
    assert_eq!(ask_twice(Ttl::Never, "both").await, 2);
    assert_eq!(ask_twice(Ttl::Answer, "short").await, 2);
    assert_eq!(
        ask_twice(Ttl::Fixed(Duration::from_mins(1)), "short").await,
        1
    );
    assert_eq!(ask_twice(Ttl::Answer, "nobody").await, 1);
    assert_eq!(ask_twice(Ttl::Answer, "refused").await, 2);
}

#[tokio::test]
async fn the_same_question_is_asked_once_at_a_time() {
    let peer = Peer::start().await;
    let resolver = resolver(&[peer.server()]);
    let all = futures_util::future::join_all((0..50).map(|_| any(&resolver, "slow")));
    for found in all.await {
        assert_eq!(found.unwrap(), [1, 106]);
    }
    assert_eq!((peer.asked("slow", A), peer.asked("slow", AAAA)), (1, 1));
    // One that nobody waits for any longer is forgotten.
    peer.silent.store(true, Relaxed);
    let given_up = tokio::time::timeout(Duration::from_millis(100), any(&resolver, "four"));
    assert!(given_up.await.is_err());
    peer.silent.store(false, Relaxed);
    assert_eq!(any(&resolver, "four").await.unwrap(), [4]);
    assert!(resolver.servers[0].is_quiet());
}

#[tokio::test]
async fn an_old_answer_is_given_while_a_new_one_is_fetched() {
    let peer = Peer::start().await;
    let resolver = resolver(&[Nameserver {
        refresh: true,
        ..peer.server()
    }]);
    assert_eq!(any(&resolver, "short").await.unwrap(), [1]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    peer.silent.store(true, Relaxed);
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(any(&resolver, "short").await.unwrap(), [1]);
        assert!(start.elapsed() < Duration::from_millis(500));
    }
    let asked_again = async {
        while peer.asked("short", A) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), asked_again)
        .await
        .expect("the server is asked again");
}

#[tokio::test]
async fn a_family_that_a_server_never_tells_is_waited_for_once() {
    let peer = Peer::start().await;
    let resolver = resolver(&[peer.server()]);
    for host in ["deaf", "unwilling"] {
        let start = Instant::now();
        assert_eq!(any(&resolver, host).await.unwrap(), [4]);
        assert!(start.elapsed() < Duration::from_millis(500), "{host}");
    }
    // The preferred one is waited for as long as the server has time.
    assert_eq!(any(&resolver, "mute").await.unwrap(), [106]);
    assert!(resolver.known("mute", Family::Any).is_some());
    let settled = async {
        while !resolver.servers[0].is_quiet() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), settled)
        .await
        .expect("the question ends");
    // Once more, and now for good.
    for host in ["deaf", "unwilling"] {
        let before = peer.asked(host, AAAA);
        assert!(resolver.known(host, Family::Any).is_some(), "{host}");
        assert_eq!(any(&resolver, host).await.unwrap(), [4]);
        assert_eq!(peer.asked(host, AAAA), before);
    }
}

#[test]
fn what_is_wrong_with_a_server_is_said() {
    let build = Build::new(Registry::new().into());
    let server = |change: fn(&mut Nameserver)| {
        let mut server = Nameserver {
            addr: "1.1.1.1".to_owned(),
            ..Nameserver::default()
        };
        change(&mut server);
        let made = DnsResolver::new(&[server], &build);
        made.err().map(|e| e.to_string()).unwrap_or_default()
    };
    for (said, expected) in [
        (server(|s| s.addr = "quic://1.1.1.1".into()), "scheme"),
        (server(|s| s.prefer = "ipv5".into()), "prefer: \"ipv5\""),
        (server(|s| s.client_ip = "1.1.1".into()), "clientIP"),
        (
            server(|s| s.chain = "none".into()),
            "no chain named \"none\"",
        ),
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(server(|_| ()), "");
}
