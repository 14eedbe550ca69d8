//! The auto handler: SOCKS or HTTP, as the first byte says.
