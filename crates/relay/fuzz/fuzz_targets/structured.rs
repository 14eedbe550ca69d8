//! Requests that make sense, in pieces
#![no_main]

use std::net::SocketAddr;

use arbitrary::Arbitrary;
use gost_relay::UserAuth;
use gost_relay::{Address, Command, Feature, Metadata, NetworkId, Opaque, Request, TunnelId};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    command: u8,
    udp: bool,
    parts: Vec<Part<'a>>,
    cuts: &'a [u8],
    behind: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Auth(&'a str, &'a str),
    Socket(SocketAddr),
    Domain(&'a str, u16),
    Tunnel([u8; 20]),
    Network(u16),
    Metadata(Vec<(&'a str, &'a str)>),
    Opaque(u8, &'a [u8]),
}

impl Part<'_> {
    /// The feature, unless it breaks a limit.
    fn feature(self) -> Option<Feature> {
        Some(match self {
            Part::Auth(user, password) => UserAuth::new(user, password).ok()?.into(),
            Part::Socket(addr) => Address::from(addr).into(),
            Part::Domain(name, port) => Address::domain(name, port).ok()?.into(),
            Part::Tunnel(bytes) => TunnelId::from_bytes(bytes).into(),
            Part::Network(id) => NetworkId::from_u16(id).into(),
            Part::Metadata(pairs) => pairs
                .into_iter()
                .try_fold(Metadata::new(), |metadata, (k, v)| metadata.with(k, v))
                .ok()?
                .into(),
            Part::Opaque(kind, data) => Opaque::new(kind, data).ok()?.into(),
        })
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut request = Request::new(Command::from_u8(input.command));
    if input.udp {
        request = request.with_udp_flag();
    }
    for feature in input.parts.into_iter().filter_map(Part::feature) {
        request = request.with_feature(feature);
    }
    gost_relay_fuzz::any_request(&request, input.cuts, input.behind);
    if let Ok(bytes) = request.to_vec() {
        gost_relay_fuzz::any_bytes(&bytes);
    }
});
