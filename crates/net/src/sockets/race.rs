//! Several addresses of one name: a head start for each, the first answer wins (RFC 8305).

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use gost_core::error::{Error, Result, Why};

/// How long an address may take before the next one is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// What the first address gives that answers. Its last error when none does.
pub(super) async fn race<T, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut attempts = FuturesUnordered::new();
    let mut rest = interleave(addresses).into_iter();
    let mut failed = None;
    loop {
        if let Some(next) = rest.next() {
            attempts.push(connect(next));
        } else if attempts.is_empty() {
            return Err(failed.unwrap_or_else(|| Error::new(Why::Unresolved, "no address")));
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = Some(error),
            },
            () = tokio::time::sleep(HEAD_START), if more => {}
        }
    }
}

/// Families in turn, the first address's family first (RFC 8305, section 4).
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|a| a.is_ipv6() == first_v6);
    let longest = first.len().max(second.len());
    (0..longest)
        .flat_map(|i| first.get(i).into_iter().chain(second.get(i)))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let got = interleave(&addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(
            got,
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_its_head_start_only() {
        let start = tokio::time::Instant::now();
        let two = addresses(&["192.0.2.1:1", "192.0.2.2:1"]);
        let got = race(&two, |addr| async move {
            if addr.ip().to_string() == "192.0.2.1" {
                std::future::pending::<()>().await;
            }
            Ok(addr)
        });
        assert_eq!(got.await.unwrap().ip().to_string(), "192.0.2.2");
        assert_eq!(start.elapsed(), HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_moves_on_at_once() {
        let start = tokio::time::Instant::now();
        let two = addresses(&["192.0.2.1:1", "192.0.2.2:1"]);
        let got = race(&two, |addr| async move {
            if addr.ip().to_string() == "192.0.2.1" {
                Err(Error::new(Why::Refused, "no"))
            } else {
                Ok(())
            }
        });
        got.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
