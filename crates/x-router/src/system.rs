//! Routes of the operating system.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

/// A route as a system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemRoute {
    pub(crate) network: IpNet,
    pub(crate) gateway: IpAddr,
}

/// Why the system has not got a route.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RouteError {
    #[cfg(target_os = "linux")]
    #[error("its routes are not in the system: a netlink socket: {0}")]
    Socket(String),
    #[cfg(target_os = "linux")]
    #[error("the route to {} by {} is not in the system, nor are those after it: {cause}", .route.network, .route.gateway)]
    Refused { route: SystemRoute, cause: String },
}

/// Puts routes into the main table of the system, each instead of one to the same network, as `ip
/// route replace` does. The first that is refused ends it. Nothing is ever taken away.
#[cfg(target_os = "linux")]
pub(crate) async fn replace(place: &str, routes: &[SystemRoute]) -> Result<(), RouteError> {
    use rtnetlink::{
        RouteMessageBuilder,
        packet_route::route::{RouteMessage, RouteProtocol},
    };

    fn message(route: &SystemRoute) -> Result<RouteMessage, String> {
        let SystemRoute { network, gateway } = *route;
        let builder = RouteMessageBuilder::<IpAddr>::new()
            .protocol(RouteProtocol::Boot)
            .destination_prefix(network.addr(), network.prefix_len())
            .map_err(|e| e.to_string())?;
        let builder = builder.gateway(gateway).map_err(|e| e.to_string())?;
        Ok(builder.build())
    }

    if routes.is_empty() {
        return Ok(());
    }
    let socket = rtnetlink::new_connection().map_err(|e| RouteError::Socket(e.to_string()));
    let (connection, handle, _) = socket?;
    let mut task = tokio::task::JoinSet::new();
    task.spawn(connection);
    for route in routes {
        tracing::debug!(
            "{place}: ip route replace {} via {}",
            route.network,
            route.gateway
        );
        let refused = |cause| RouteError::Refused {
            route: *route,
            cause,
        };
        let message = message(route).map_err(refused)?;
        let answer = handle.route().add(message).replace().execute().await;
        answer.map_err(|e| refused(e.to_string()))?;
    }
    Ok(())
}

/// Other systems keep their routes.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn replace(_: &str, _: &[SystemRoute]) -> Result<(), RouteError> {
    Ok(())
}
