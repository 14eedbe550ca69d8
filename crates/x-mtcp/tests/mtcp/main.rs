//! The mtcp channel end to end: a relay service behind it, and clients that reach it.

mod original;
mod ours;
mod support;
