//! BIND: one connection from outside.

use std::net::SocketAddr;

use gost_core::prelude::*;

use super::{
    Socks5Options,
    handler::{accept, refuse, refuse_feature},
    wire::ReplyCode,
};
use crate::exchange::Exchange;

/// How much a client may say before somebody has connected.
const EARLY: usize = 4096;

/// Listens here, never through the chain; tells the client where, and then who has connected.
///
/// Waits for as long as the client keeps its connection: it knows how long it wants to wait.
pub(super) async fn bind(
    options: &Socks5Options,
    client: Exchange,
    at: Addr,
    session: &mut Session,
) -> Result<Next> {
    if !options.bind {
        return Err(refuse_feature(client, "BIND").await);
    }
    let (mut client, mut listener) = open(client, at, session).await?;
    let bound = told(options, &client.meta.local, listener.addr());
    accept(&mut client, &bound).await?;
    let accepted = tokio::select! {
        accepted = accept_one(&mut *listener) => accepted,
        () = client.ended(EARLY) => {
            return Err(Error::new(Why::Closed, "closed before anybody connected").side(Side::Client));
        }
    };
    match accepted {
        Ok(peer) => {
            let from = peer.meta.peer.clone();
            accept(&mut client, &from).await?;
            Ok(Next::Relay(client.into_conn(), Upstream::new(peer)))
        }
        Err(error) => Err(refuse(client, ReplyCode::FAILURE, error).await),
    }
}

/// Opens the port that the client asks for, or says that it can't be.
pub(super) async fn open(
    client: Exchange,
    at: Addr,
    session: &mut Session,
) -> Result<(Exchange, Box<dyn Listener>)> {
    match session
        .listen(&Target::tcp(at), &BindOptions::default())
        .await
    {
        Ok(listener) => Ok((client, listener)),
        Err(error) => Err(refuse(client, ReplyCode::FAILURE, error).await),
    }
}

async fn accept_one(listener: &mut dyn Listener) -> Result<Conn> {
    match listener.accept().await?.finish().await? {
        Accepted::One(conn) => Ok(conn),
        Accepted::Many(_) => Err(Error::new(
            Why::Unsupported,
            "a session instead of a connection",
        )),
    }
}

/// What the client is told of a listening socket: its port, at the host that the client reached
/// us at, or at the public one.
pub(super) fn told(options: &Socks5Options, local: &Addr, bound: Addr) -> Addr {
    if !options.public_addr.is_empty() {
        return Addr::from_host(&options.public_addr, bound.port());
    }
    match local {
        Addr::Ip(local) => SocketAddr::new(local.ip(), bound.port()).into(),
        _ => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_an_address_that_they_can_pass_on() {
        let parse = |text| Addr::parse(text).unwrap();
        let (local, bound) = (parse("192.0.2.1:1080"), parse("[::]:4000"));
        let mut options = Socks5Options::default();
        assert_eq!(
            told(&options, &local, bound.clone()),
            parse("192.0.2.1:4000")
        );
        assert_eq!(told(&options, &Addr::path("/s"), bound.clone()), bound);
        options.public_addr = "proxy.example".into();
        assert_eq!(
            told(&options, &local, bound.clone()),
            parse("proxy.example:4000")
        );
        options.public_addr = "2001:db8::1".into();
        assert_eq!(told(&options, &local, bound), parse("[2001:db8::1]:4000"));
    }
}
