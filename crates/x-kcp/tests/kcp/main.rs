//! The kcp channel end to end: with itself over bad paths, with the original, and with kcptun.

mod kcptun;
mod original;
mod ours;
mod support;
