//! The traits and types that every other crate of gost speaks
