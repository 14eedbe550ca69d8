use super::*;

fn addr(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn text_to_host_and_port() {
    let v4 = |text: &str| Host::V4(text.parse().unwrap());
    let v6 = |text: &str| Host::V6(text.parse().unwrap());
    for (text, host, port) in [
        ("example.com:443", Host::Domain("example.com"), 443),
        ("example.com", Host::Domain("example.com"), 0),
        ("192.0.2.1:80", v4("192.0.2.1"), 80),
        ("192.0.2.1", v4("192.0.2.1"), 0),
        ("[2001:db8::1]:8080", v6("2001:db8::1"), 8080),
        ("[2001:db8::1]", v6("2001:db8::1"), 0),
        ("2001:db8::1", v6("2001:db8::1"), 0),
        ("::", v6("::"), 0),
        ("::ffff:192.0.2.1", v4("192.0.2.1"), 0),
        ("[::ffff:192.0.2.1]:5", v4("192.0.2.1"), 5),
        ("[example.com]:80", Host::Domain("example.com"), 80),
        (":80", Host::Domain(""), 80),
        (":0", Host::Domain(""), 0),
        ("host:65535", Host::Domain("host"), 65535),
        ("host:00080", Host::Domain("host"), 80),
        ("/run/a.sock", Host::Domain("/run/a.sock"), 0),
        ("fe80::1%eth0", Host::Domain("fe80::1%eth0"), 0),
        ("0.0.0.0::8000", Host::Domain("0.0.0.0::8000"), 0),
        ("1.2.3", Host::Domain("1.2.3"), 0),
    ] {
        let address = addr(text);
        assert_eq!((address.host(), address.port()), (host, port), "{text}");
    }
}

#[test]
fn text_that_is_no_address() {
    use ParseAddressError as E;
    let port = |text: &str| E::Port(text.to_owned());
    let brackets = |text: &str| E::Brackets(text.to_owned());
    for (text, error) in [
        ("", E::Empty),
        ("host:", port("")),
        ("host:http", port("http")),
        ("host:65536", port("65536")),
        ("host:-1", port("-1")),
        ("host:+1", port("+1")),
        ("host: 1", port(" 1")),
        ("[::1", brackets("[::1")),
        ("[::1]80", brackets("[::1]80")),
        ("[::1]:x", port("x")),
        ("::]", brackets("::]")),
        ("a[b]:80", brackets("a[b]:80")),
        ("[[::1]]:80", brackets("[[::1]]:80")),
    ] {
        assert_eq!(text.parse::<Address>(), Err(error), "{text}");
    }
    let long = "n".repeat(256);
    assert!(matches!(long.parse::<Address>(), Err(E::Value(_))));
    assert!(long[1..].parse::<Address>().is_ok());
    assert!(Address::domain(long.clone(), 0).is_err());
    assert!(AddressRef::new(Host::Domain(&long), 0).is_err());
}

#[test]
fn address_to_text() {
    for text in [
        "192.0.2.1:80",
        "[2001:db8::1]:0",
        "example.com:443",
        ":80",
        "[a:b]:1",
    ] {
        assert_eq!(addr(text).to_string(), text);
    }
    assert_eq!(Address::UNSPECIFIED.to_string(), "0.0.0.0:0");
    assert_eq!(format!("{:?}", addr("a:1")), "Address(a:1)");
}

#[test]
fn socket_addresses() {
    for (from, to) in [
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
    ] {
        let from: SocketAddr = from.parse().unwrap();
        assert_eq!(Address::from(from).socket_addr(), Some(to.parse().unwrap()));
    }
    assert_eq!(addr("example.com:1").socket_addr(), None);
}

#[test]
fn rules_see_through_disguises() {
    let domain = |name: &str| Address::domain(name, 7).unwrap();
    assert_eq!(domain("127.0.0.1").normalized(), addr("127.0.0.1:7"));
    assert_eq!(domain("::1").normalized(), addr("[::1]:7"));
    assert_eq!(domain("::ffff:127.0.0.1").normalized(), addr("127.0.0.1:7"));
    assert_eq!(domain("localhost").normalized(), domain("localhost"));
    for text in ["0.0.0.0:1", "[::]:1", ":1"] {
        assert!(addr(text).host().is_unspecified(), "{text}");
    }
    for text in ["127.0.0.1:1", "[::1]:1", "localhost:1"] {
        assert!(!addr(text).host().is_unspecified(), "{text}");
    }
}

#[test]
fn bind_requests_are_repaired() {
    for (sent, meant) in [
        ("0.0.0.0::48395", "0.0.0.0:48395"),
        (":2222", "0.0.0.0:2222"),
        (":0", "0.0.0.0:0"),
        // Everything else stays as it is.
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::]:80", "[::]:80"),
        ("localhost:80", "localhost:80"),
    ] {
        assert_eq!(addr(sent).repair_bind(), addr(meant), "{sent}");
    }
    for text in ["0.0.0.0::", "0.0.0.0::65536", "0.0.0.0::x", "1.2.3.4::80"] {
        let odd = Address::domain(text, 0).unwrap();
        assert_eq!(odd.clone().repair_bind(), odd);
    }
    let with_port = Address::domain("0.0.0.0::80", 9).unwrap();
    assert_eq!(with_port.clone().repair_bind(), with_port);
}
