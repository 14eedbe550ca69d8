//! Requests that make sense, read as they were written
#![no_main]

use std::net::SocketAddr;

use arbitrary::Arbitrary;
use gost_relay::{AddressRef, Host};
use gost_x_socks::{v4, v5};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    command: u8,
    port: u16,
    name: Option<&'a str>,
    addr: SocketAddr,
    user: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let ip = match input.addr {
        SocketAddr::V4(v4) => *v4.ip(),
        SocketAddr::V6(_) => std::net::Ipv4Addr::LOCALHOST,
    };
    gost_x_socks_fuzz::socks4_survives(&v4::wire::Request {
        command: v4::wire::Command::from_code(input.command),
        host: input
            .name
            .map_or(v4::wire::Host::Ip(ip), v4::wire::Host::Name),
        port: input.port,
        user: input.user,
    });

    let address = match input.name {
        Some(name) => match AddressRef::new(Host::Domain(name), input.port) {
            Ok(address) => address,
            Err(_) => return,
        },
        None => input.addr.into(),
    };
    let request = v5::wire::Request {
        command: v5::wire::Command::from_code(input.command),
        address,
    };
    let mut bytes = Vec::new();
    v5::wire::encode_request(&request, &mut bytes);
    assert_eq!(
        v5::wire::decode_request(&bytes),
        Ok(Some((request, bytes.len())))
    );
});
