//! The WebSocket channels: bytes over frames, handshakes, keeping alive, and whole channels.

mod channels;
mod golden;
mod keepalive;
mod stream;
mod support;
mod upgrade;
