//! Sockets, the copy and datagram flows of gost
