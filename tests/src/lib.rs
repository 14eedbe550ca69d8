//! End-to-end tests of the gost binary, one file per promise
