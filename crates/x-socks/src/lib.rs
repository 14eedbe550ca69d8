//! The SOCKS protocols: handlers and connectors of versions 4, 4a and 5.
