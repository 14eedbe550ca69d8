//! Listening to datagrams in packets that look like TCP.

use std::{io, sync::Arc};

use gost_core::{
    build::Door,
    error::{Error, Phase, Result},
};
use gost_fake_tcp::{Listening, Open};
use socket2::Domain;

use crate::{sockets::in_netns, udp::at_address};

/// Opens what listens at an address, as [`udp::bind`](crate::udp::bind) takes it; `class` is the
/// traffic class of packets.
///
/// # Errors
/// What the system says; without the right to open raw sockets, that this is what is missing.
pub async fn listen(at: &str, door: &Door, class: u32) -> Result<Listening> {
    let netns = door.netns.clone();
    let open: Open = Arc::new(move |domain| {
        let socket = in_netns(netns.as_deref(), || gost_fake_tcp::open(domain))?;
        if class != 0 && domain == Domain::IPV4 {
            socket.set_tos_v4(class)?;
        } else if class != 0 {
            socket.set_tclass_v6(class)?;
        }
        Ok(socket)
    });
    let bind = |addr| {
        in_netns(door.netns.as_deref(), || {
            Listening::bind(addr, open.clone())
        })
        .map_err(|e: io::Error| {
            Error::from(e)
                .phase(Phase::Bind)
                .context(format_args!("listen {addr}/tcp"))
        })
    };
    at_address(at, bind).await
}
