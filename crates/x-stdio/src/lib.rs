//! The stdio channel: one connection over standard input and output.
