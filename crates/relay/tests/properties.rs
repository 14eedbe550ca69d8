//! The properties of the fuzz targets, with the inputs of a test run

use std::net::SocketAddr;

use gost_relay::{
    Address, Command, Feature, Host, Metadata, NetworkId, Opaque, Request, TunnelId, UserAuth, udp,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[expect(unreachable_pub, reason = "it is a library to the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

fn text() -> impl Strategy<Value = String> {
    // Lengths in bytes, so that the limit of 255 is met from both sides.
    prop_oneof!["[a-z0-9.:/-]{0,40}", "\\PC{0,80}", "[a-z]{250,255}"]
        .prop_filter("at most 255 bytes", |text| text.len() <= 255)
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<SocketAddr>().prop_map(Address::from),
        (text(), any::<u16>()).prop_map(|(name, port)| Address::domain(name, port).unwrap()),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    vec((text(), text()), 0..=Metadata::MAX_PAIRS).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs.fold(Metadata::new(), |all, (k, v)| all.with(k, v).unwrap())
    })
}

fn feature() -> impl Strategy<Value = Feature> {
    prop_oneof![
        (text(), text()).prop_map(|(user, pass)| UserAuth::new(user, pass).unwrap().into()),
        address().prop_map(Feature::from),
        any::<[u8; 20]>().prop_map(|bytes| TunnelId::from_bytes(bytes).into()),
        any::<u16>().prop_map(|id| NetworkId::from_u16(id).into()),
        metadata().prop_map(Feature::from),
        (6u8.., vec(any::<u8>(), 0..300))
            .prop_map(|(kind, data)| Opaque::new(kind, data).unwrap().into()),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let parts = (any::<u8>(), any::<bool>(), vec(feature(), 0..8));
    parts.prop_map(|(command, udp, features)| {
        let mut request = Request::new(Command::from_u8(command));
        if udp {
            request = request.with_udp_flag();
        }
        features.into_iter().fold(request, Request::with_feature)
    })
}

/// Bytes that often get past the first checks.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let mutated = (request(), any::<prop::sample::Index>(), any::<u8>());
    prop_oneof![
        vec(any::<u8>(), 0..600),
        vec(any::<u8>(), 0..40).prop_map(|mut list| {
            let len = list.len() as u8;
            list.splice(..0, [1, 1, 0, len]);
            list
        }),
        mutated.prop_map(|(request, at, value)| {
            let mut bytes = request.to_vec().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn requests_arrive_in_any_pieces(
        request in request(),
        cuts in vec(any::<u8>(), 0..40),
        behind in vec(any::<u8>(), 0..100),
    ) {
        properties::any_request(&request, &cuts, &behind);
    }

    #[test]
    fn no_bytes_do_harm(bytes in hostile_bytes()) {
        properties::any_bytes(&bytes);
    }

    #[test]
    fn no_text_does_harm(text in "[0-9a-f.:%\\[\\]]{0,40}") {
        properties::any_bytes(text.as_bytes());
    }

    #[test]
    fn datagrams_arrive_in_any_pieces(
        datagrams in vec((address(), vec(any::<u8>(), 1..200)), 1..5),
        step in 1usize..300,
    ) {
        let mut wire = Vec::new();
        for (address, payload) in &datagrams {
            udp::encode_tunnel(address, payload, &mut wire).unwrap();
        }
        let mut buffer = Vec::new();
        let mut received = Vec::new();
        for piece in wire.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(datagram) = udp::decode_tunnel(&buffer).unwrap() {
                received.push((datagram.address.into_owned(), datagram.payload.to_vec()));
                let len = datagram.len;
                buffer.drain(..len);
            }
        }
        prop_assert_eq!(received, datagrams);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn every_socket_address_survives_as_text(addr in any::<SocketAddr>()) {
        let address = Address::from(addr);
        prop_assert_eq!(address.to_string().parse(), Ok(address.clone()));
        prop_assert!(!matches!(address.host(), Host::Domain(_)));
    }
}
