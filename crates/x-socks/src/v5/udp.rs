//! UDP ASSOCIATE and the UDP tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gost_core::prelude::*;
use gost_net::framed::{Framed, SocksUdp};

use super::{
    Socks5Options,
    handler::{accept, refuse, refuse_feature},
    packets::Association,
    sources::Sources,
    wire::ReplyCode,
};
use crate::exchange::Exchange;

/// How many ports of a range are tried when others use them.
const ATTEMPTS: u16 = 64;

/// Opens a UDP socket beside the connection, and relays its datagrams for as long as that lives.
pub(super) async fn associate(
    options: &Socks5Options,
    mut client: Exchange,
    session: &mut Session,
) -> Result<Next> {
    if !options.udp {
        return Err(refuse_feature(client, "UDP").await);
    }
    let opened = async {
        let local = client.meta.local.ip().ok_or_else(|| {
            Error::new(
                Why::Unsupported,
                "UDP ASSOCIATE over a connection without IP",
            )
        })?;
        let socket = listen_in_range(options, local.ip(), session).await?;
        let upstream = session.open(&Target::udp(Addr::Any)).await?;
        Ok((socket, upstream))
    };
    let (socket, upstream) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return Err(refuse(client, ReplyCode::FAILURE, error).await),
    };
    let bound = match (options.public_addr.parse::<IpAddr>(), &socket.meta.local) {
        (Ok(public), bound) => SocketAddr::new(public, bound.port()).into(),
        (Err(_), bound) => bound.clone(),
    };
    accept(&mut client, &bound).await?;
    // Datagrams come from where the connection does: a header in front of it tells of a client
    // whose datagrams would not come here.
    let from = client.meta.peer.ip().map(|addr| addr.ip());
    let (control, mut meta) = client.into_conn().into_stream()?;
    let (socket, _) = gost_net::metered(socket, &session.client_meter()).into_packet()?;
    let mut inside: Box<dyn Packet> = Box::new(SocksUdp::server(socket, from));
    if options.udp_resolve_domain {
        inside = Box::new(Sources::new(inside, session.child()));
    }
    let packet = Association::new(inside, control);
    meta.local = bound;
    Ok(Next::Relay(Conn::packet(packet, *meta), upstream))
}

/// Carries datagrams over the connection itself: those of an association, or with a port those of
/// a socket that is opened there.
pub(super) async fn tunnel(
    options: &Socks5Options,
    mut client: Exchange,
    at: Addr,
    session: &mut Session,
) -> Result<Next> {
    let (allowed, what) = if at.port() == 0 {
        (options.udp, "UDP")
    } else {
        (options.bind, "BIND")
    };
    if !allowed {
        return Err(refuse_feature(client, what).await);
    }
    let opened = if at.port() == 0 {
        session.open(&Target::udp(Addr::Any)).await
    } else {
        bind(&at, session).await
    };
    match opened {
        Ok(upstream) => {
            let bound = match *upstream.local() {
                // A socket for both families. Clients know it by the form of the older one, as
                // those of the original.
                Addr::Ip(bound) if at.port() == 0 && bound.ip().is_unspecified() => {
                    Addr::wildcard(bound.port())
                }
                ref bound => bound.clone(),
            };
            accept(&mut client, &bound).await?;
            let (stream, meta) = client.into_conn().into_stream()?;
            let packet = Framed::addressed(stream);
            Ok(Next::Relay(Conn::packet(packet, *meta), upstream))
        }
        Err(error) => Err(refuse(client, ReplyCode::FAILURE, error).await),
    }
}

/// A socket at the address that a client asks for; no host means all of ours.
async fn bind(at: &Addr, session: &mut Session) -> Result<Upstream> {
    let socket = match at {
        Addr::Name(name, port) if name.is_empty() => {
            match session
                .listen_packet((Ipv6Addr::UNSPECIFIED, *port).into())
                .await
            {
                Ok(socket) => Ok(socket),
                // A machine without IPv6. Whatever else is wrong is wrong here too.
                Err(error) => {
                    let v4 = (Ipv4Addr::UNSPECIFIED, *port).into();
                    session.listen_packet(v4).await.map_err(|_| error)
                }
            }
        }
        other => {
            let at = session.resolve(other).await?;
            session.listen_packet(at).await
        }
    };
    socket.map(Upstream::new)
}

/// A socket at a port of the configured range, or of the system's choice.
async fn listen_in_range(
    options: &Socks5Options,
    ip: IpAddr,
    session: &mut Session,
) -> Result<Conn> {
    let (min, max) = (options.udp_min_port, options.udp_max_port);
    if min == 0 || max < min {
        return session.listen_packet(SocketAddr::new(ip, 0)).await;
    }
    let span = u32::from(max - min) + 1;
    let start = entropy() % span;
    let mut last = None;
    for i in 0..span.min(ATTEMPTS.into()) {
        let port = min + ((start + i) % span) as u16;
        match session.listen_packet(SocketAddr::new(ip, port)).await {
            Err(error) if error.why() == Why::InUse => last = Some(error),
            result => return result,
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Why::InUse, "no port of the range is free")))
}

/// A number that differs from call to call. Not for secrets.
fn entropy() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(()) as u32
}
