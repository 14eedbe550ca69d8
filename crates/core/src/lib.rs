//! The traits and types that every other crate of gost speaks.
//!
//! This crate opens nothing and parses nothing: it names the things.

pub mod duration;
pub mod options;
pub mod values;
