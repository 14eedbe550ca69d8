//! The smux v1 and v2 stream multiplexing protocol, without I/O
