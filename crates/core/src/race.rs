//! Several addresses of one name: a head start for each, the first success wins (Happy Eyeballs,
//! RFC 8305).

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{
    addr::{Addr, Target},
    error::{Error, Result, Why},
};

/// How long an address may take before the next one is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// How many addresses of one name are tried. A name server can say many more.
const MOST: usize = 32;

/// Something that can be tried, of one of the families of addresses.
pub trait Candidate: Clone {
    /// True for IPv6.
    fn is_ipv6(&self) -> bool;
}

impl Candidate for SocketAddr {
    fn is_ipv6(&self) -> bool {
        self.is_ipv6()
    }
}

impl Candidate for Addr {
    fn is_ipv6(&self) -> bool {
        self.ip().is_some_and(|addr| addr.is_ipv6())
    }
}

impl Candidate for Target {
    fn is_ipv6(&self) -> bool {
        Candidate::is_ipv6(&self.addr)
    }
}

/// What the first candidate gives that succeeds; the attempts of the others end with it.
///
/// The families take turns, beginning with that of the first candidate. The next one is tried when
/// an attempt fails, or 250 ms after the one before. At most 32 are tried.
///
/// # Errors
/// When all fail: one error with the words of all.
pub async fn race<A: Candidate, T, F>(candidates: &[A], connect: impl Fn(A) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    if let [one] = candidates {
        return connect(one.clone()).await;
    }
    let mut rest = interleave(candidates).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(next) = rest.next() {
            attempts.push(connect(next));
        } else if attempts.is_empty() {
            return Err(join(&failures));
        }
        let head_start = tokio::time::sleep(HEAD_START);
        let next = async {
            if rest.len() == 0 {
                std::future::pending::<()>().await;
            }
            head_start.await;
        };
        // There is an attempt: one was begun above, or is left.
        let ended = async {
            match attempts.next().await {
                Some(result) => result,
                None => std::future::pending().await,
            }
        };
        let (next, ended) = (std::pin::pin!(next), std::pin::pin!(ended));
        match futures_util::future::select(ended, next).await {
            futures_util::future::Either::Left((Ok(connected), _)) => return Ok(connected),
            futures_util::future::Either::Left((Err(error), _)) => failures.push(error),
            futures_util::future::Either::Right(_) => {}
        }
    }
}

/// Families in turn, the first candidate's family first (RFC 8305, section 4).
fn interleave<A: Candidate>(candidates: &[A]) -> Vec<A> {
    let first_v6 = candidates.first().is_some_and(Candidate::is_ipv6);
    let (first, second): (Vec<&A>, Vec<&A>) = candidates
        .iter()
        .partition(|candidate| candidate.is_ipv6() == first_v6);
    let longest = first.len().max(second.len());
    (0..longest)
        .flat_map(|i| first.get(i).into_iter().chain(second.get(i)))
        .map(|candidate| (*candidate).clone())
        .take(MOST)
        .collect()
}

/// One error of several, with the reason that says most: that an address can't be reached from
/// here says less than what happened to one that can.
fn join(failures: &[Error]) -> Error {
    let telling = failures.iter().rfind(|e| e.why() != Why::Unreachable);
    let Some(most) = telling.or(failures.last()).cloned() else {
        return Error::new(Why::Unresolved, "no address");
    };
    if failures.len() == 1 {
        return most;
    }
    let mut texts: Vec<String> = Vec::with_capacity(failures.len());
    for failure in failures {
        let text = failure.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    most.reworded(texts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;
    use crate::error::{Phase, Side};

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
        let many = vec![addresses(&["1.1.1.1:1"])[0]; 1000];
        assert_eq!(interleave(&many).len(), MOST);
    }

    /// Each address does what the last part of it says: 1 hangs, 2 refuses, 3 can't be reached, 9
    /// answers after a second, others at once. Gives when each was tried.
    async fn run(texts: &[&str]) -> (Result<SocketAddr>, Vec<(u64, SocketAddr)>) {
        let start = Instant::now();
        let log = Mutex::new(Vec::new());
        let all = addresses(texts);
        let result = race(&all, |addr| {
            let since = u64::try_from(start.elapsed().as_millis()).unwrap();
            log.lock().unwrap().push((since, addr));
            async move {
                match addr.ip().to_string().as_bytes().last() {
                    Some(b'1') => std::future::pending().await,
                    Some(b'2') => Err(Error::new(Why::Refused, format!("{addr} refused"))
                        .phase(Phase::Dial)
                        .side(Side::Target)),
                    Some(b'3') => Err(Error::new(Why::Unreachable, format!("{addr} far"))),
                    Some(b'9') => {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        Ok(addr)
                    }
                    _ => Ok(addr),
                }
            }
        })
        .await;
        (result, log.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_its_head_start_only() {
        let all = ["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.5:1"];
        let (result, log) = run(&all).await;
        assert_eq!(result.unwrap(), addresses(&all)[2]);
        let when: Vec<_> = log.iter().map(|(when, _)| *when).collect();
        assert_eq!(when, [0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_moves_on_at_once_and_a_slow_one_may_still_win() {
        let all = ["192.0.2.9:1", "192.0.2.2:1", "192.0.2.1:1"];
        let (result, log) = run(&all).await;
        assert_eq!(result.unwrap(), addresses(&all)[0]);
        let when: Vec<_> = log.iter().map(|(when, _)| *when).collect();
        assert_eq!(when, [0, 250, 250]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_all_is_said_and_the_reason_is_what_says_most() {
        let (result, _) = run(&["192.0.2.2:1", "[2001:db8::3]:1"]).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.why(), error.at_side(), error.at_phase()),
            (Why::Refused, Side::Target, Phase::Dial)
        );
        assert_eq!(
            error.to_string(),
            "192.0.2.2:1 refused; [2001:db8::3]:1 far"
        );
        let (result, _) = run(&[]).await;
        assert_eq!(result.unwrap_err().why(), Why::Unresolved);
    }
}
