//! Requests to connect, and those to a handler that forwards.

use std::time::Duration;

use gost_core::prelude::*;
use gost_net::{framed::Framed, sockets::Sockets};
use gost_relay::{Response, Status};

use crate::{client::Client, held::HOLD, options::RelayOptions};

/// Opens the target that a client asks for.
pub(crate) async fn connect(
    client: Client,
    target: Option<Target>,
    session: &mut Session,
    options: &RelayOptions,
) -> Result<Next> {
    let Some(target) = target.filter(|target| !is_nowhere(&target.addr)) else {
        let reason = Error::bad_input("a relay request without an address");
        return Err(client.refuse(Status::BAD_REQUEST, reason).await);
    };
    match open(&target, session).await {
        Ok(upstream) => Ok(relay(client, target.network, upstream, options)),
        Err(error) => {
            let status = match error.why() {
                Why::Denied => Status::FORBIDDEN,
                _ => Status::NETWORK_UNREACHABLE,
            };
            Err(client.refuse(status, error).await)
        }
    }
}

/// True for an address that names nothing: an empty name would be this machine, and no rule about
/// names would see that.
fn is_nowhere(addr: &Addr) -> bool {
    match addr {
        Addr::Any => true,
        Addr::Name(name, _) => name.is_empty(),
        Addr::Path(path) => path.as_os_str().is_empty(),
        Addr::Ip(_) => false,
    }
}

/// What is on this machine is opened here, whatever way the service has out.
async fn open(target: &Target, session: &mut Session) -> Result<Upstream> {
    match target.network {
        Network::Unix | Network::Serial => {
            session.check(target).await?;
            session.settled();
            let conn = Sockets::default().connect(target, &Ask::default()).await?;
            Ok(Upstream::new(conn))
        }
        _ => session.open(target).await,
    }
}

/// Opens a node of the service's forwarder, whatever the client asks for.
pub(crate) async fn forward(
    client: Client,
    network: Network,
    session: &mut Session,
    options: &RelayOptions,
) -> Result<Next> {
    let hint = Hint {
        network,
        ..Hint::default()
    };
    match session.forward(&hint).await {
        Ok(upstream) => Ok(relay(client, network, upstream, options)),
        Err(error) => {
            let status = match error.why() {
                Why::NoRoute => Status::SERVICE_UNAVAILABLE,
                _ => Status::HOST_UNREACHABLE,
            };
            Err(client.refuse(status, error).await)
        }
    }
}

/// Grants the request. Datagrams travel with their lengths, without addresses.
fn relay(client: Client, network: Network, upstream: Upstream, options: &RelayOptions) -> Next {
    let hold = if options.nodelay {
        Duration::ZERO
    } else {
        HOLD
    };
    let (stream, meta) = client.grant(&Response::ok(), hold);
    let io = match network {
        Network::Udp => Io::Packet(Box::new(Framed::connected(stream))),
        _ => Io::Stream(stream),
    };
    Next::Relay(Conn { io, meta }, upstream)
}
