//! The sockets of this machine, as the kernel lists them.

/// Whether a UDP socket is bound to `port`, on any address.
pub fn udp_is_bound(port: u16) -> bool {
    any_local("udp", port, |_| true)
}

/// Whether a TCP socket listens on `port`, on any address.
pub fn tcp_is_listened_to(port: u16) -> bool {
    // TCP_LISTEN of the kernel's tcp_states.h.
    any_local("tcp", port, |state| state == "0A")
}

/// Looks for a socket at a local port in the tables of a protocol: the second column is the local
/// address, the fourth the state.
fn any_local(protocol: &str, port: u16, in_state: impl Fn(&str) -> bool) -> bool {
    let wanted = format!(":{port:04X}");
    ["", "6"].iter().any(|version| {
        let table = format!("/proc/net/{protocol}{version}");
        let text = std::fs::read_to_string(table).unwrap_or_default();
        text.lines().any(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            columns.next().is_some_and(|at| at.ends_with(&wanted))
                && columns.nth(1).is_some_and(&in_state)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream, UdpSocket},
        time::Instant,
    };

    use super::*;
    use crate::PATIENCE;

    /// A child that is just being started by another test has the sockets of this process, too.
    fn soon(is_so: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !is_so() {
            if start.elapsed() > PATIENCE {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn a_listening_socket_is_told_from_a_connected_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        assert!(tcp_is_listened_to(at.port()));
        let connected = TcpStream::connect(at).unwrap();
        assert!(!tcp_is_listened_to(connected.local_addr().unwrap().port()));
        let accepted = listener.accept().unwrap();
        drop(listener);
        assert!(soon(|| !tcp_is_listened_to(at.port())));
        drop(accepted);
    }

    #[test]
    fn a_udp_socket_is_found_until_it_is_closed() {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(udp_is_bound(port));
        drop(socket);
        assert!(soon(|| !udp_is_bound(port)));
    }
}
