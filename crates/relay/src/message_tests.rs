use super::*;
use crate::error::DecodeError as E;
use crate::feature::{MAX_FEATURES, Opaque};

const TUNNEL: &str = "4d21094e-b74c-4916-86c1-d9fa36ea677b";
const TUNNEL_HEX: &str = "4d21094eb74c491686c1d9fa36ea677b";
const EMPTY_V6: &str = "00000000000000000000000000000000";

fn addr(text: &str) -> Address {
    text.parse().unwrap()
}

fn tunnel() -> TunnelId {
    TUNNEL.parse().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

/// The documented bytes, both ways.
fn check_request(request: &Request, wire: &str) {
    let wire = unhex(wire);
    assert_eq!(hex::encode(request.to_vec().unwrap()), hex::encode(&wire));
    assert_eq!(request.encoded_len(), wire.len());
    assert_eq!(
        Request::parse(&wire),
        Ok(Some((request.clone(), wire.len())))
    );
}

fn check_response(response: &Response, wire: &str) {
    let wire = unhex(wire);
    assert_eq!(hex::encode(response.to_vec().unwrap()), hex::encode(&wire));
    assert_eq!(response.encoded_len(), wire.len());
    assert_eq!(
        Response::parse(&wire),
        Ok(Some((response.clone(), wire.len())))
    );
}

#[test]
fn connect_requests() {
    check_request(
        &Request::connect()
            .with_auth(UserAuth::new("user", "pass").unwrap())
            .with_address(addr("example.com:443")),
        "01 01 00 1f
         01 00 0a 04 75 73 65 72 04 70 61 73 73
         02 00 0f 03 0b 65 78 61 6d 70 6c 65 2e 63 6f 6d 01 bb",
    );
    check_request(
        &Request::connect().with_address(addr("[2001:db8::1]:8080")),
        "01 01 00 16 02 00 13 04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 1f 90",
    );
    check_request(
        &Request::connect()
            .with_network(NetworkId::UNIX)
            .with_address(Address::domain("/run/a.sock", 0).unwrap()),
        "01 01 00 17 04 00 02 00 10 02 00 0f 03 0b 2f 72 75 6e 2f 61 2e 73 6f 63 6b 00 00",
    );
    check_request(
        &Request::connect().with_address(addr(":0")),
        "01 01 00 07 02 00 04 03 00 00 00",
    );
    check_request(
        &Request::connect()
            .with_udp_flag()
            .with_network(NetworkId::UDP)
            .with_address(addr("8.8.8.8:53")),
        "01 81 00 0f 04 00 02 00 01 02 00 07 01 08 08 08 08 00 35",
    );
}

#[test]
fn request_with_payload_in_the_same_packet() {
    let mut packet = BytesMut::new();
    let request = Request::connect().with_address(addr("example.com:80"));
    request.encode(&mut packet).unwrap();
    packet.extend_from_slice(b"GET ");
    let wire = "01 01 00 12 02 00 0f 03 0b 65 78 61 6d 70 6c 65 2e 63 6f 6d 00 50 47 45 54 20";
    assert_eq!(packet, unhex(wire));
    assert_eq!(Request::decode(&mut packet), Ok(Some(request)));
    assert_eq!(&packet[..], b"GET ");
}

#[test]
fn bind_and_its_answers() {
    check_request(
        &Request::bind()
            .with_network(NetworkId::TCP)
            .with_address(addr("0.0.0.0:2222")),
        "01 02 00 0f 04 00 02 00 00 02 00 07 01 00 00 00 00 08 ae",
    );
    check_response(
        &Response::ok().with_address(addr("[::]:2222")),
        &format!("01 00 00 16 02 00 13 04 {EMPTY_V6} 08 ae"),
    );
    check_response(
        &Response::ok().with_address(addr("203.0.113.7:51000")),
        "01 00 00 0a 02 00 07 01 cb 00 71 07 c7 38",
    );
    check_request(
        &Request::bind()
            .with_udp_flag()
            .with_network(NetworkId::UDP)
            .with_address(Address::UNSPECIFIED),
        "01 82 00 0f 04 00 02 00 01 02 00 07 01 00 00 00 00 00 00",
    );
}

#[test]
fn plain_responses() {
    check_response(&Response::ok(), "01 00 00 00");
    check_response(&Response::new(Status::FORBIDDEN), "01 03 00 00");
    check_response(&Response::new(Status::from_u8(0xfe)), "01 fe 00 00");
}

#[test]
fn tunnel_messages() {
    check_request(
        &Request::bind()
            .with_address(addr("192.0.2.10:40000"))
            .with_address(addr("0.0.0.0:0"))
            .with_tunnel_id(tunnel().with_weight(1)),
        &format!(
            "01 02 00 2b 02 00 07 01 c0 00 02 0a 9c 40 02 00 07 01 00 00 00 00 00 00
             03 00 14 {TUNNEL_HEX} 00 00 00 01"
        ),
    );
    let connector: ConnectorId = "9f3c2d10-5b6a-4c7d-8e9f-0a1b2c3d4e5f".parse().unwrap();
    check_response(
        &Response::ok()
            .with_address(addr("a6265c6d9847a4be:0"))
            .with_connector_id(connector.with_weight(1)),
        "01 00 00 2e 02 00 14 03 10 61 36 32 36 35 63 36 64 39 38 34 37 61 34 62 65 00 00 \
         03 00 14 9f 3c 2d 10 5b 6a 4c 7d 8e 9f 0a 1b 2c 3d 4e 5f 00 00 00 01",
    );
    check_request(
        &Request::connect()
            .with_address(addr("203.0.113.7:51000"))
            .with_address(addr("srv-2.local:0"))
            .with_tunnel_id(tunnel()),
        &format!(
            "01 01 00 33 02 00 07 01 cb 00 71 07 c7 38 \
             02 00 0f 03 0b 73 72 76 2d 32 2e 6c 6f 63 61 6c 00 00 \
             03 00 14 {TUNNEL_HEX} 00 00 00 00"
        ),
    );
    check_response(
        &Response::ok()
            .with_address(addr("203.0.113.7:51000"))
            .with_address(addr("srv-2.local:0")),
        "01 00 00 1c 02 00 07 01 cb 00 71 07 c7 38 \
         02 00 0f 03 0b 73 72 76 2d 32 2e 6c 6f 63 61 6c 00 00",
    );
    check_request(
        &Request::connect().with_tunnel_id(tunnel().with_private(true)),
        &format!("01 01 00 17 03 00 14 {TUNNEL_HEX} 80 00 00 00"),
    );
    check_request(
        &Request::connect().with_metadata(Metadata::new().with("record.mode", "off").unwrap()),
        "01 01 00 17 05 00 14 00 01 00 0b 72 65 63 6f 72 64 2e 6d 6f 64 65 00 03 6f 66 66",
    );
}

#[test]
fn router_messages() {
    check_request(
        &Request::associate()
            .with_network(NetworkId::IP)
            .with_address(addr("192.0.2.10:40000"))
            .with_address(addr("host-1:0"))
            .with_tunnel_id(tunnel()),
        &format!(
            "01 03 00 33 04 00 02 00 02 02 00 07 01 c0 00 02 0a 9c 40 \
             02 00 0a 03 06 68 6f 73 74 2d 31 00 00 03 00 14 {TUNNEL_HEX} 00 00 00 00"
        ),
    );
    check_request(
        &Request::associate()
            .with_tunnel_id(tunnel())
            .with_address(addr("host-2")),
        &format!(
            "01 03 00 24 03 00 14 {TUNNEL_HEX} 00 00 00 00 \
             02 00 0a 03 06 68 6f 73 74 2d 32 00 00"
        ),
    );
}

#[test]
fn what_servers_ask() {
    let request = Request::new(Command::UNSPECIFIED)
        .with_address(addr("a:1"))
        .with_auth(UserAuth::new("first", "").unwrap())
        .with_address(addr("b:2"))
        .with_network(NetworkId::from_u16(0x7777))
        .with_auth(UserAuth::new("last", "").unwrap())
        .with_tunnel_id(tunnel());
    assert!(request.command().is_connect());
    assert_ne!(request.command(), Command::CONNECT);
    assert_eq!(request.first_address(), Some(&addr("a:1")));
    assert_eq!(request.last_address(), Some(&addr("b:2")));
    assert_eq!(request.auth().map(UserAuth::username), Some("last"));
    assert_eq!(request.tunnel_id(), Some(tunnel()));
    assert_eq!(request.network(), NetworkId::TCP);
    assert_eq!(
        request.features().network().map(NetworkId::as_u16),
        Some(0x7777)
    );
    assert_eq!(request.metadata(), None);
    assert_eq!(request.features().len(), 6);

    // The flag overrides the feature.
    let unix = Request::connect().with_network(NetworkId::UNIX);
    assert_eq!(unix.network(), NetworkId::UNIX);
    assert_eq!(unix.clone().with_udp_flag().network(), NetworkId::UDP);
    assert_eq!(unix.with_udp_flag().command_byte(), 0x81);

    let bare = Request::connect();
    assert_eq!((bare.network(), bare.auth()), (NetworkId::TCP, None));
    assert_eq!((bare.first_address(), bare.last_address()), (None, None));

    let prologue = Response::ok()
        .with_address(addr("a:1"))
        .with_address(addr("b:2"));
    assert_eq!(prologue.second_address(), Some(&addr("b:2")));
    assert_eq!(prologue.connector_id(), None);
}

#[test]
fn unknown_parts_survive() {
    let wire = unhex("01 f9 00 10 7f 00 03 61 62 63 00 00 00 ff 00 04 01 02 03 04");
    let (request, len) = Request::parse(&wire).unwrap().unwrap();
    assert_eq!(len, wire.len());
    assert_eq!(request.command().as_u8(), 9);
    assert!(request.has_udp_flag());
    assert_eq!(
        request.features().as_slice(),
        [
            Opaque::new(0x7f, &b"abc"[..]).unwrap().into(),
            Opaque::new(0x00, &b""[..]).unwrap().into(),
            Opaque::new(0xff, &[1, 2, 3, 4][..]).unwrap().into(),
        ]
    );
    assert_eq!(request.to_vec().unwrap(), wire);
    assert!(
        !format!("{request:?}").contains("97"),
        "data of unknown features is not shown"
    );

    assert!(Opaque::new(0x05, &b""[..]).is_err());
    assert!(Opaque::new(0x06, vec![0; 65_536]).is_err());
}

#[test]
fn padding_of_known_features_is_ignored() {
    for (padded, plain) in [
        (
            "01 01 00 0e 02 00 0b 01 7f 00 00 01 00 50 de ad be ef",
            "02 00 07 01 7f 00 00 01 00 50",
        ),
        ("01 01 00 06 04 00 03 00 01 99", "04 00 02 00 01"),
        (
            "01 01 00 08 01 00 05 01 75 01 70 99",
            "01 00 04 01 75 01 70",
        ),
        ("01 01 00 06 05 00 03 00 00 99", "05 00 02 00 00"),
    ] {
        let (request, _) = Request::parse(&unhex(padded)).unwrap().unwrap();
        assert_eq!(
            request.to_vec().unwrap()[HEADER_LEN..],
            unhex(plain),
            "{padded}"
        );
    }
    let padded_id = format!("01 01 00 19 03 00 16 {TUNNEL_HEX} 80 00 00 05 99 99");
    let (request, _) = Request::parse(&unhex(&padded_id)).unwrap().unwrap();
    let id = request.tunnel_id().unwrap();
    assert_eq!((id, id.is_private(), id.weight()), (tunnel(), true, 5));
}

#[test]
fn malformed_messages() {
    let short = |kind| E::FeatureShort { kind };
    let id_19 = "01 01 00 16 03 00 13 4d21094eb74c491686c1d9fa36ea677b 00 00 00";
    for (wire, error) in [
        ("00", E::Version(0)),
        ("02 01", E::Version(2)),
        ("16 03 01 02 00 01 00", E::Version(0x16)),
        ("01 01 00 01 02", E::FeatureHeader),
        ("01 01 00 02 02 00", E::FeatureHeader),
        (
            "01 01 00 05 02 00 40 01 7f",
            E::FeatureOverrun {
                kind: 2,
                len: 64,
                left: 2,
            },
        ),
        (
            "01 01 00 03 ff ff ff",
            E::FeatureOverrun {
                kind: 0xff,
                len: 65_535,
                left: 0,
            },
        ),
        ("01 01 00 03 01 00 00", short(1)),
        ("01 01 00 04 01 00 01 00", short(1)),
        ("01 01 00 05 01 00 02 01 75", short(1)),
        ("01 01 00 06 01 00 03 01 75 01", short(1)),
        ("01 01 00 08 01 00 05 02 ff fe 01 70", E::Text("user name")),
        ("01 01 00 07 01 00 04 01 75 01 ff", E::Text("password")),
        ("01 01 00 03 02 00 00", short(2)),
        ("01 01 00 06 02 00 03 01 7f 00", short(2)),
        (
            "01 01 00 0a 02 00 07 09 7f 00 00 01 00 50",
            E::AddressType(9),
        ),
        ("01 01 00 08 02 00 05 03 09 61 00 50", short(2)),
        ("01 01 00 06 02 00 03 03 00 00", short(2)),
        (
            "01 01 00 08 02 00 05 03 01 ff 00 50",
            E::Text("domain name"),
        ),
        ("01 01 00 09 02 00 06 04 00 00 00 00 50", short(2)),
        (id_19, short(3)),
        ("01 01 00 04 04 00 01 00", short(4)),
        ("01 01 00 03 05 00 00", short(5)),
        ("01 01 00 05 05 00 02 00 01", short(5)),
        ("01 01 00 08 05 00 05 00 01 00 01 6b", short(5)),
        ("01 01 00 07 05 00 04 00 01 01 00", E::MetadataLength(256)),
        (
            "01 01 00 09 05 00 06 ff ff 00 00 ff ff",
            E::MetadataLength(65_535),
        ),
        (
            "01 01 00 08 05 00 05 00 01 00 01 ff",
            E::Text("metadata key"),
        ),
    ] {
        let wire_bytes = unhex(wire);
        assert_eq!(Request::parse(&wire_bytes), Err(error.clone()), "{wire}");
        let mut buffer = BytesMut::from(&wire_bytes[..]);
        assert_eq!(Response::decode(&mut buffer), Err(error), "{wire}");
        assert_eq!(buffer, wire_bytes, "a failed decode takes nothing");
    }
}

#[test]
fn too_many_features() {
    let mut request = Request::connect();
    for _ in 0..MAX_FEATURES {
        request = request.with_feature(Opaque::new(0x40, &b""[..]).unwrap());
    }
    let mut wire = request.to_vec().unwrap();
    assert_eq!(
        Request::parse(&wire),
        Ok(Some((request.clone(), wire.len())))
    );

    let more = request.with_feature(Opaque::new(0x40, &b""[..]).unwrap());
    assert_eq!(more.to_vec(), Err(EncodeError::TooManyFeatures));
    wire.extend([0x40, 0, 0]);
    let len = (wire.len() - HEADER_LEN) as u16;
    wire[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(Request::parse(&wire), Err(E::TooManyFeatures));
}

#[test]
fn the_longest_message() {
    let opaque = |len| Opaque::new(0x40, vec![7; len]).unwrap();
    let longest = Request::connect().with_feature(opaque(65_532));
    let wire = longest.to_vec().unwrap();
    assert_eq!(wire.len(), MAX_MESSAGE_LEN);
    assert_eq!(Request::parse(&wire), Ok(Some((longest, MAX_MESSAGE_LEN))));
    assert_eq!(
        Request::connect().with_feature(opaque(65_533)).to_vec(),
        Err(EncodeError::FeaturesLength(65_536))
    );
}

#[test]
fn a_small_buffer_stays_untouched() {
    let mut array = [0xaa; 8];
    let request = Request::connect().with_address(addr("127.0.0.1:80"));
    assert_eq!(
        request.encode(&mut &mut array[..]),
        Err(EncodeError::NoRoom {
            needed: 14,
            room: 8
        })
    );
    assert_eq!(array, [0xaa; 8]);
}

#[test]
fn length_is_known_from_the_header() {
    assert_eq!(message_len(b""), Ok(None));
    assert_eq!(message_len(&[1, 0x81, 0xff]), Ok(None));
    assert_eq!(
        message_len(&[1, 0x81, 0xff, 0xff]),
        Ok(Some(MAX_MESSAGE_LEN))
    );
    assert_eq!(message_len(&[1, 1, 0, 0, 5]), Ok(Some(4)));
    assert_eq!(message_len(&[5]), Err(E::Version(5)));
}
