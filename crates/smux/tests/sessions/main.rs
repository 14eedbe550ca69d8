//! Sessions against each other, against recorded bytes and against bad peers.

mod flow;
mod golden;
mod growth;
mod hostile;
mod streams;
mod support;
mod survive;
