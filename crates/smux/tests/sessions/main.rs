//! Sessions against each other, against recorded bytes and against bad peers.

mod streams;
mod support;
