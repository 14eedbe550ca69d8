//! Datagram sockets, flows and the copy of datagrams.
