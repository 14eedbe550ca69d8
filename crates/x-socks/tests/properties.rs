//! The properties of the fuzz targets, with the inputs of a test run

use gost_x_socks::v4::wire::{Command, Host, Request};
use proptest::{collection::vec, prelude::*};

#[expect(unreachable_pub, reason = "it is a library to the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

const BEGINNINGS: &[&[u8]] = &[&[5, 1, 0, 3], &[5, 0], &[4, 1], &[1], &[0], &[]];

/// Bytes that begin like messages and go on with lengths, types and ends where those may stand.
fn nearly_messages() -> impl Strategy<Value = Vec<u8>> {
    let byte = || prop_oneof![0_u8..=5, any::<u8>(), Just(255)];
    (
        prop::sample::select(BEGINNINGS).prop_map(<[u8]>::to_vec),
        vec(byte(), 0..40),
        prop_oneof![Just(0), 0_usize..700],
    )
        .prop_map(|(mut bytes, more, filler)| {
            bytes.extend(more);
            bytes.extend(std::iter::repeat_n(b'x', filler));
            bytes
        })
}

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..700)) {
        properties::any_bytes(&bytes);
    }

    #[test]
    fn bytes_that_are_nearly_messages(bytes in nearly_messages()) {
        properties::any_bytes(&bytes);
    }

    #[test]
    fn requests_of_socks4(
        code: u8,
        port: u16,
        ip: [u8; 4],
        name in prop::option::of("\\PC{0,300}"),
        user in vec(any::<u8>(), 0..300),
    ) {
        properties::socks4_survives(&Request {
            command: Command::from_code(code),
            host: name.as_deref().map_or(Host::Ip(ip.into()), Host::Name),
            port,
            user: &user,
        });
    }
}
