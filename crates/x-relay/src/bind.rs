//! Requests to listen here.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use gost_core::prelude::*;
use gost_mux::MuxSettings;
use gost_net::framed::Framed;
use gost_relay::{Response, Status};

use crate::{client::Client, place, visitors};

/// Listens on behalf of a client.
pub(crate) async fn bind(
    client: Client,
    at: &Target,
    session: &mut Session,
    mux: &MuxSettings,
) -> Result<Next> {
    match at.network {
        Network::Udp => datagrams(client, &at.addr, session).await,
        Network::Tcp | Network::Unix => {
            let listener = match session.listen(at, &BindOptions::default()).await {
                Ok(listener) => listener,
                Err(error) => return Err(client.refuse(Status::SERVICE_UNAVAILABLE, error).await),
            };
            let conn = client.answer(&told(&listener.addr())?).await?;
            visitors::serve(listener, &gost_mux::client(conn, mux)?, session).await;
            Ok(Next::Done)
        }
        _ => {
            let reason = Error::new(Why::Unsupported, format!("relay bind {at}: unsupported"));
            Err(client.refuse(Status::BAD_REQUEST, reason).await)
        }
    }
}

/// The answer that tells where we listen.
fn told(addr: &Addr) -> Result<Response> {
    let address = place::to_wire(addr)?;
    Ok(address.map_or_else(Response::ok, |address| Response::ok().with_address(address)))
}

/// Opens a socket here whose datagrams travel with their addresses, to and from anybody.
///
/// That the socket can't be opened is told by closing, as the original does.
async fn datagrams(client: Client, at: &Addr, session: &mut Session) -> Result<Next> {
    let socket = open(at, session).await?;
    let (stream, meta) = client.grant(&told(&socket.meta.local)?, Duration::ZERO);
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
