//! An example: two component crates in a small program, without any configuration
