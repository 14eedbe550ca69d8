//! Bad input, from clients and in configurations: it is refused in the words of the protocol, in
//! time, with one line of the log, and does no harm to anybody else.

mod bytes;
mod configurations;
mod ports;
