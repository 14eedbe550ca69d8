//! Port numbers from the system.
//!
//! A number is found by binding port 0, but the program under test binds it
//! only later, and in between the system may give it to somebody else. A TCP
//! number is therefore left behind in `TIME_WAIT`: for a minute the system
//! hands it out to nobody, while a listener with `SO_REUSEADDR` (the default of
//! Go, tokio and every server used here) may bind it. UDP has no such state,
//! so [`retry`] exists for what still collides.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Numbers that this process was given, so that none is given twice.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// How many numbers are tried before giving up.
const ATTEMPTS: usize = 256;

/// A TCP port that is free at every address, over IPv6 too where that is there.
///
/// # Panics
/// When the system has no free port.
pub fn tcp() -> u16 {
    first(reserve_tcp)
}

/// A UDP port that is free at every address, over IPv6 too where that is there.
///
/// # Panics
/// When the system has no free port.
pub fn udp() -> u16 {
    first(|| {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        udp_is_free(port).map(|()| port)
    })
}

/// A port that is free for both TCP and UDP.
///
/// # Panics
/// When the system has no free port.
pub fn both() -> u16 {
    first(|| {
        let port = reserve_tcp()?;
        udp_is_free(port).map(|()| port)
    })
}

/// Runs `start` with fresh numbers from `port` until it succeeds, at most
/// `attempts` times, and returns what it made and the number.
///
/// # Errors
/// The last error of `start`.
pub fn retry<T, E>(
    attempts: usize,
    port: fn() -> u16,
    mut start: impl FnMut(u16) -> Result<T, E>,
) -> Result<(T, u16), E> {
    let mut left = attempts;
    loop {
        let number = port();
        match start(number) {
            Ok(made) => return Ok((made, number)),
            Err(error) if left <= 1 => return Err(error),
            Err(_) => left -= 1,
        }
    }
}

fn first(mut attempt: impl FnMut() -> io::Result<u16>) -> u16 {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(port) => {
                let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
                if given.insert(port) {
                    return port;
                }
            }
            Err(error) => last = Some(error),
        }
    }
    panic!("no free port in {ATTEMPTS} attempts; last error: {last:?}");
}

/// Finds a TCP port and leaves it in `TIME_WAIT`: the side that closes first
/// keeps that state, so the accepted socket, which owns the number, must.
fn reserve_tcp() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut client = TcpStream::connect(address)?;
    let (server, _) = listener.accept()?;
    drop(server);
    client.read_exact(&mut [0]).err();
    drop(client);
    drop(listener);
    // Nobody has it at another address either, nor has left it behind there.
    for ip in all_addresses() {
        TcpListener::bind(SocketAddr::new(ip, address.port()))?;
    }
    Ok(address.port())
}

fn udp_is_free(port: u16) -> io::Result<()> {
    for ip in all_addresses() {
        UdpSocket::bind(SocketAddr::new(ip, port))?;
    }
    Ok(())
}

fn all_addresses() -> impl Iterator<Item = IpAddr> {
    let v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let has_v6 = UdpSocket::bind((v6, 0)).is_ok();
    std::iter::once(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).chain(has_v6.then_some(v6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_can_be_bound() {
        let mut seen = HashSet::new();
        for _ in 0..50 {
            let port = tcp();
            assert!(seen.insert(port), "{port} was given twice");
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
        for _ in 0..50 {
            let port = udp();
            assert!(seen.insert(port), "{port} was given twice");
            UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_number_that_somebody_has_at_another_address_is_not_free() {
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        let held = UdpSocket::bind((elsewhere, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(udp_is_free(port).is_err());
        drop(held);
        udp_is_free(port).unwrap();
    }

    #[test]
    fn one_number_serves_both_kinds() {
        let port = both();
        let _tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let _udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn a_reserved_number_is_given_to_nobody_else() {
        let reserved = tcp();
        let held: Vec<_> = (0..2000)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        for listener in &held {
            assert_ne!(listener.local_addr().unwrap().port(), reserved);
        }
    }

    #[test]
    fn retry_gives_a_fresh_number_each_time_and_the_last_error() {
        let mut tried = Vec::new();
        let made = retry(3, tcp, |port| {
            tried.push(port);
            if tried.len() < 3 {
                Err("taken")
            } else {
                Ok("made")
            }
        });
        assert_eq!(made, Ok(("made", tried[2])));
        assert_ne!(tried[0], tried[1]);

        let mut count = 0;
        let failed: Result<((), u16), _> = retry(2, tcp, |_| {
            count += 1;
            Err(count)
        });
        assert_eq!(failed, Err(2));
    }
}
