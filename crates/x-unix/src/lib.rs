//! The unix channel: sockets in the file system.
