//! Sessions of smux: the state machine of `gost-smux` under a lock, and a task that moves its
//! bytes.

mod arena;
mod driver;
#[cfg(test)]
mod interleaving;
mod state;
mod stream;

pub(crate) use state::{Accepting, Handle};
