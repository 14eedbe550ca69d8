use proptest::prelude::*;

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// Each message as it is written in the specification, and what it says.
#[test]
fn worked_examples() {
    let mut bytes = Vec::new();
    encode_user(&UserPassword::new(b"user", b"pass").unwrap(), &mut bytes);
    assert_eq!(bytes, unhex("0104757365720470617373"));

    for (command, address, hex) in [
        (Command::MuxBind, "0.0.0.0:8080", "05f20001000000001f90"),
        (Command::UdpTunnel, "0.0.0.0:0", "05f30001000000000000"),
        (
            Command::Resolve,
            "example.com:0",
            "05f000030b6578616d706c652e636f6d0000",
        ),
    ] {
        let address = AddressRef::parse(address).unwrap();
        let request = Request { command, address };
        let mut bytes = Vec::new();
        encode_request(&request, &mut bytes);
        assert_eq!(hex::encode(&bytes), hex);
        assert_eq!(decode_request(&bytes), Ok(Some((request, bytes.len()))));
    }

    let bytes = unhex("050000010a0000059cbb");
    let (reply, len) = decode_reply(&bytes).unwrap().unwrap();
    assert_eq!((reply.code, len), (ReplyCode::SUCCEEDED, 10));
    assert_eq!(reply.address.to_string(), "10.0.0.5:40123");
}

#[test]
fn a_bare_reply_is_a_reply() {
    let bytes = bare_reply(ReplyCode::NOT_ALLOWED);
    assert_eq!(hex::encode(bytes), "05020001000000000000");
    let (reply, _) = decode_reply(&bytes).unwrap().unwrap();
    assert_eq!((reply.code.0, reply.address), (2, nowhere()));
}

#[test]
fn wrong_versions_are_seen_at_the_first_byte() {
    assert_eq!(decode_greeting(b"\x04"), Err(WireError::Version(4)));
    assert_eq!(decode_choice(b"H"), Err(WireError::Version(b'H')));
    assert_eq!(decode_request(b"\x04"), Err(WireError::Version(4)));
    assert_eq!(decode_reply(b"\x00"), Err(WireError::Version(0)));
    assert_eq!(decode_user(b"\x05"), Err(WireError::AuthVersion(5)));
    assert_eq!(decode_user_status(b"\x02"), Err(WireError::AuthVersion(2)));
}

#[test]
fn addresses_of_no_type_are_refused_before_they_are_complete() {
    assert_eq!(
        decode_request(&unhex("05010002")),
        Err(WireError::Address(DecodeError::AddressType(2)))
    );
}

#[test]
fn a_user_or_password_that_a_byte_cannot_count_is_refused() {
    let long = [b'x'; 256];
    assert!(UserPassword::new(&long, b"").is_err());
    assert!(UserPassword::new(b"", &long).is_err());
    assert!(UserPassword::new(&long[1..], &long[1..]).is_ok());
}

#[test]
fn printing_shows_no_password() {
    let given = UserPassword::new(b"alice", b"secret").unwrap();
    assert!(!format!("{given:?}").contains("secret"));
}

#[test]
fn codes_survive() {
    for code in 0..=255 {
        assert_eq!(Command::from_code(code).code(), code);
        if let Some(method) = Method::from_code(code) {
            assert_eq!(method as u8, code);
        }
    }
}

/// A decoder wants every byte of its message and none behind it.
fn needs_all<'a, T>(longer: &'a [u8], decode: impl Fn(&'a [u8]) -> Decoded<T>) {
    let len = longer.len() - BEHIND.len();
    for cut in 0..len {
        assert!(
            decode(&longer[..cut]).is_ok_and(|m| m.is_none()),
            "{cut} bytes"
        );
    }
    let (_, taken) = decode(longer).ok().flatten().expect("complete");
    assert_eq!(taken, len);
    assert!(len <= MAX_LEN);
}

const BEHIND: &[u8] = b"behind";

proptest! {
    #[test]
    fn every_split(
        user in prop::collection::vec(any::<u8>(), 0..=255),
        password in prop::collection::vec(any::<u8>(), 0..=255),
        name in "[a-z0-9.-]{0,255}",
        port: u16,
        code: u8,
    ) {
        let given = UserPassword::new(&user, &password).unwrap();
        let mut bytes = Vec::new();
        encode_user(&given, &mut bytes);
        prop_assert_eq!(decode_user(&bytes), Ok(Some((given, bytes.len()))));
        bytes.extend_from_slice(BEHIND);
        needs_all(&bytes, decode_user);

        let address = AddressRef::new(gost_relay::Host::Domain(&name), port).unwrap();
        let request = Request { command: Command::from_code(code), address };
        bytes.clear();
        encode_request(&request, &mut bytes);
        prop_assert_eq!(decode_request(&bytes), Ok(Some((request, bytes.len()))));
        bytes.extend_from_slice(BEHIND);
        needs_all(&bytes, decode_request);

        let reply = Reply { code: ReplyCode(code), address };
        bytes.clear();
        encode_reply(&reply, &mut bytes);
        prop_assert_eq!(decode_reply(&bytes), Ok(Some((reply, bytes.len()))));
        bytes.extend_from_slice(BEHIND);
        needs_all(&bytes, decode_reply);

        bytes.clear();
        encode_greeting(&[Method::Plain, Method::User], &mut bytes);
        bytes.extend_from_slice(BEHIND);
        needs_all(&bytes, decode_greeting);
        needs_all(&[&choice(Method::User)[..], BEHIND].concat(), decode_choice);
        needs_all(&[&user_status(true)[..], BEHIND].concat(), decode_user_status);
    }
}
