//! Requests to listen here.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use gost_core::prelude::*;
use gost_net::framed::Framed;
use gost_relay::{Response, Status};

use crate::{client::Client, place};

/// Listens on behalf of a client.
pub(crate) async fn bind(client: Client, at: &Target, session: &mut Session) -> Result<Next> {
    if at.network == Network::Udp {
        return datagrams(client, &at.addr, session).await;
    }
    let reason = Error::new(Why::Unsupported, format!("relay bind {at}: unsupported"));
    Err(client.refuse(Status::BAD_REQUEST, reason).await)
}

/// Opens a socket here whose datagrams travel with their addresses, to and from anybody.
///
/// That the socket can't be opened is told by closing, as the original does.
async fn datagrams(client: Client, at: &Addr, session: &mut Session) -> Result<Next> {
    let socket = open(at, session).await?;
    let mut answer = Response::ok();
    if let Some(address) = place::to_wire(&socket.meta.local)? {
        answer = answer.with_address(address);
    }
    let (stream, meta) = client.grant(&answer, Duration::ZERO);
    let conn = Conn {
        io: Io::Packet(Box::new(Framed::addressed(stream))),
        meta,
    };
    Ok(Next::Relay(conn, Upstream::new(socket)))
}

async fn open(at: &Addr, session: &mut Session) -> Result<Conn> {
    match at {
        Addr::Ip(at) => session.listen_packet(*at).await,
        Addr::Name(name, port) if name.is_empty() => {
            let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            match session.listen_packet(both).await {
                Ok(conn) => Ok(conn),
                // A machine without IPv6. Whatever else is wrong is wrong here too.
                Err(error) => {
                    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
                    session.listen_packet(v4).await.map_err(|_| error)
                }
            }
        }
        name => {
            let at = session.resolve(name).await?;
            session.listen_packet(at).await
        }
    }
}
