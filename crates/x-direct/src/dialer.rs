//! The dialer of a node that is here.

use gost_core::prelude::*;

/// Reaches nothing: the connection that it gives can't be read or written. The connector of the
/// same name does not use it.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

#[async_trait]
impl Dialer for Nowhere {
    async fn dial(&self, _: &NodeAddr, _: &Arc<dyn Outbound>, _: &Ask) -> Result<Conn> {
        Ok(dead())
    }
}

/// A connection that has ended: reads give the end, writes fail.
pub(crate) fn dead() -> Conn {
    let (gone, dead) = tokio::io::duplex(1);
    drop(gone);
    Conn::stream(dead, Meta::default())
}
