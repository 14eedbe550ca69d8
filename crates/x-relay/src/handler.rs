//! The relay handler.

use gost_core::prelude::*;
use gost_mux::{MuxSettings, Version};
use gost_relay::{Command, Request, Status, UserAuth};

use crate::{bind, client::Client, connect, options::RelayOptions, place};

/// Serves relay clients: opens what they ask for, or the nodes of the service's forwarder.
#[derive(Debug)]
pub struct Relay {
    options: RelayOptions,
    /// For the sessions that carry the visitors of what clients listen on.
    mux: MuxSettings,
}

impl Relay {
    /// A handler with options. Fails when those of the multiplexed sessions make no sense.
    pub fn shared(options: RelayOptions) -> Result<Arc<dyn Handler>> {
        let mux = options.mux.settings(Version::V1)?;
        Ok(Arc::new(Self { options, mux }))
    }
}

#[async_trait]
impl Handler for Relay {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let (client, request) = Client::new(conn).await?;
        if let Err(error) = authenticate(&request, session).await {
            return Err(client.refuse(Status::UNAUTHORIZED, error).await);
        }
        let network = place::network(request.network());
        if session.has_forwarder() {
            return connect::forward(client, network, session, &self.options).await;
        }
        let target = request.last_address().map(|address| Target {
            network,
            addr: place::from_wire(address, network),
        });
        match request.command() {
            command if command.is_connect() => {
                connect::connect(client, target, session, &self.options).await
            }
            Command::BIND if self.options.bind => {
                let addr = place::bind_addr(request.last_address(), network);
                bind::bind(client, &Target { network, addr }, session, &self.mux).await
            }
            Command::BIND => {
                let reason =
                    Error::new(Why::Denied, "relay bind: switched off; bind=true allows it")
                        .side(Side::Client);
                Err(client.refuse(Status::FORBIDDEN, reason).await)
            }
            command => {
                let what = format!("relay command {}: unknown", command.as_u8());
                let reason = Error::new(Why::Unsupported, what).side(Side::Client);
                Err(client.refuse(Status::BAD_REQUEST, reason).await)
            }
        }
    }
}

async fn authenticate(request: &Request, session: &mut Session) -> Result<()> {
    if !session.requires_auth() {
        return Ok(());
    }
    let (user, password) = request.auth().map_or(("", ""), |auth: &UserAuth| {
        (auth.username(), auth.password())
    });
    session.authenticate(user, password).await
}
