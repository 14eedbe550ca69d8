//! The udp listener.

use gost_core::prelude::*;
use gost_net::udp;

use crate::options::UdpOptions;

pub(crate) async fn build(options: UdpOptions, build: Build) -> Result<Box<dyn Listener>> {
    udp::listen(&build.addr, options.flows(), &build.door).await
}
