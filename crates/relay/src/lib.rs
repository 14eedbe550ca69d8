//! The relay v1 wire format of GOST, without I/O
