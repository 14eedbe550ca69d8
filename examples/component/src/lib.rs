//! An example: a component crate of one's own, registered into a gost binary of one's own
