//! The tcp listener.

use gost_core::prelude::*;
use gost_net::listen::{self, TcpOptions};

pub(crate) async fn build(options: TcpOptions, build: Build) -> Result<Box<dyn Listener>> {
    Ok(Box::new(
        listen::tcp(&build.addr, &options, &build.door).await?,
    ))
}
