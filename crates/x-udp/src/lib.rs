//! The udp channel: a listener and a dialer
