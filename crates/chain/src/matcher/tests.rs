use gost_core::{
    addr::{Addr, Network, Target},
    policy::{Admission, Asker, Bypass},
    routing::HttpFacts,
};

use super::*;
use crate::testing::{Hosts, request};

fn is_true(rule: &str, request: &Request) -> bool {
    let matcher: Matcher = rule.parse().unwrap_or_else(|e| panic!("{rule}: {e}"));
    match matcher.matches(request) {
        Answer::Now(value) => value,
        _ => panic!("{rule} waits"),
    }
}

#[track_caller]
fn check(request: &Request, cases: &[(&str, bool)]) {
    for (rule, expected) in cases {
        assert_eq!(is_true(rule, request), *expected, "{rule}");
        assert_eq!(is_true(&format!("!{rule}"), request), !expected, "!{rule}");
    }
}

fn from(client: &str) -> Request {
    Request {
        asker: Asker {
            client: Addr::parse(client).unwrap(),
            ..Asker::default()
        },
        ..request("t:80")
    }
}

fn http(facts: HttpFacts) -> Request {
    Request {
        http: Some(Arc::new(facts)),
        protocol: Some("http"),
        ..request("www.example.com:80")
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect()
}

fn body(body: &'static str) -> Request {
    http(HttpFacts {
        body: body.into(),
        ..HttpFacts::default()
    })
}

#[test]
fn client_ip() {
    check(
        &from("192.0.2.7:5000"),
        &[
            ("ClientIP(`192.0.2.7`)", true),
            ("ClientIP(`192.0.2.8`)", false),
            ("ClientIP(`192.0.2.0/24`)", true),
            ("ClientIP(`192.0.3.0/24`)", false),
            ("ClientIP(`::ffff:192.0.2.7`)", true),
            ("ClientIP(`::ffff:192.0.2.0/120`)", true),
            ("ClientIP(`::/0`)", false),
        ],
    );
    check(
        &from("[2001:db8::1]:5"),
        &[("ClientIP(`2001:db8::/32`)", true)],
    );
    check(
        &from("[::ffff:192.0.2.7]:5"),
        &[("ClientIP(`192.0.2.7`)", true)],
    );
    // Not known.
    check(&from(""), &[("ClientIP(`0.0.0.0/0`)", false)]);
}

#[test]
fn network_and_protocol() {
    let udp = Request {
        target: Target::udp(Addr::Any),
        ..Request::default()
    };
    check(
        &udp,
        &[
            ("Network(`udp`)", true),
            ("Network(`UDP`)", true),
            ("Network(`u`)", true),
            ("Network(`tcp`)", false),
            ("Network(`udp4`)", false),
            ("Proto(`http`)", false),
        ],
    );
    let tls = Request {
        protocol: Some("tls"),
        ..Request::default()
    };
    check(&tls, &[("Proto(`TLS`)", true), ("Proto(`tl`)", false)]);
}

#[test]
fn host() {
    check(
        &request("WWW.Example.com:443"),
        &[
            ("Host(`www.example.com`)", true),
            ("Host(`WWW.EXAMPLE.COM`)", true),
            ("Host(` www.example.com `)", true),
            ("Host(`example.com`)", false),
            ("Host(`*.example.com`)", true),
            ("Host(`*example.com`)", true),
            ("Host(`.example.com`)", true),
            ("Host(`*.com`)", true),
            ("Host(`*`)", false),
            ("HostRegexp(`^www\\.`)", true),
            ("HostRegexp(`\\.com$`)", true),
            ("HostRegexp(`WWW`)", false),
            ("HostRegexp(`443`)", false),
        ],
    );
    check(
        &request("notexample.com:80"),
        &[
            ("Host(`*.example.com`)", false),
            ("Host(`.example.com`)", false),
        ],
    );
    check(
        &request("example.com:80"),
        &[("Host(`*.example.com`)", false)],
    );
    check(
        &request("[2001:db8::1]:80"),
        &[
            ("Host(`2001:db8::1`)", true),
            ("HostRegexp(`^2001:db8::1$`)", true),
        ],
    );
    let nameless = Request::default();
    check(
        &nameless,
        &[("Host(`x`)", false), ("HostRegexp(`^$`)", true)],
    );
}

#[test]
fn method_and_path() {
    let get = http(HttpFacts {
        method: "GET".into(),
        path: "/api/v1/users".into(),
        ..HttpFacts::default()
    });
    check(
        &get,
        &[
            ("Method(`GET`)", true),
            ("Method(`get`)", true),
            ("Method(`POST`)", false),
            ("Path(`/api/v1/users`)", true),
            ("Path(`/api/v1`)", false),
            ("PathPrefix(`/api`)", true),
            ("PathPrefix(`/apx`)", false),
            ("PathRegexp(`/v[0-9]+/`)", true),
            ("PathRegexp(`^/v`)", false),
        ],
    );
    // A chain knows no HTTP.
    check(
        &request("t:80"),
        &[
            ("Method(`GET`)", false),
            ("PathPrefix(`/`)", false),
            ("PathRegexp(`^$`)", true),
        ],
    );
}

#[test]
fn headers_and_queries() {
    let fields = pairs(&[("X-Level", "7"), ("X-Level", "high"), ("Empty", "")]);
    let asked = http(HttpFacts {
        headers: fields.clone(),
        query: fields,
        ..HttpFacts::default()
    });
    for name in ["Header", "Query"] {
        for (rest, expected) in [
            ("(`X-Level`)", true),
            ("(`Y-Level`)", false),
            ("(`Empty`)", true),
            ("(`X-Level`, `high`)", true),
            ("(`X-Level`, `hig`)", false),
            ("(`X-Level`, `gt`, `6.5`)", true),
            ("(`X-Level`, `gt`, `7`)", false),
            ("(`X-Level`, `ge`, `7`)", true),
            ("(`X-Level`, `lt`, `7`)", false),
            ("(`X-Level`, `le`, `7`)", true),
            ("(`X-Level`, `eq`, `7.0`)", true),
            ("(`X-Level`, `ne`, `7`)", false),
            ("(`X-Level`, `ne`, `8`)", true),
            ("(`Empty`, `le`, `0`)", false),
            ("Regexp(`X-Level`)", true),
            ("Regexp(`X-Level`, `^h.gh$`)", true),
            ("Regexp(`X-Level`, `^i`)", false),
            ("Regexp(`Y-Level`, `.*`)", false),
        ] {
            check(&asked, &[(&format!("{name}{rest}"), expected)]);
            check(&request("t:80"), &[(&format!("{name}{rest}"), false)]);
        }
    }
    // Names of header fields have no case, those of parameters do.
    check(
        &asked,
        &[
            ("Header(`x-level`)", true),
            ("HeaderRegexp(`X-LEVEL`, `7`)", true),
            ("Query(`x-level`)", false),
            ("QueryRegexp(`x-level`, `7`)", false),
        ],
    );
}

#[test]
fn bodies() {
    check(
        &body("say hello"),
        &[
            ("BodyRegexp(`hel+o`)", true),
            ("BodyRegexp(`^hello`)", false),
        ],
    );
    check(
        &body(""),
        &[("BodyRegexp(`.*`)", false), ("BodyJSON(`a`, `.*`)", false)],
    );
    check(
        &request("t:80"),
        &[("BodyRegexp(`.*`)", false), ("BodyJSON(`a`, `.*`)", false)],
    );
    check(
        &body(r#"{"model":"gpt-4","n":3,"x":{"deep":[{"k":"v"},{"k":"w"}]},"none":null}"#),
        &[
            ("BodyJSON(`model`, `^gpt`)", true),
            ("BodyJSON(`model`, `^claude`)", false),
            ("BodyJSON(`n`, `^3$`)", true),
            ("BodyJSON(`n`, `gt`, `2`)", true),
            ("BodyJSON(`n`, `lt`, `3`)", false),
            ("BodyJSON(`model`, `gt`, `0`)", false),
            ("BodyJSON(`x.deep.1.k`, `^w$`)", true),
            // What isn't there is the empty text.
            ("BodyJSON(`missing`, `^$`)", true),
            ("BodyJSON(`missing`, `.`)", false),
            ("BodyJSON(`none`, `^$`)", true),
        ],
    );
}

#[test]
fn paths_into_json() {
    let json = r#"{"a":{"b":[1,2.5,"x",true,null,[7]]},"f.o":1,"list":[{"k":1},{"k":2},{"z":3}],
        "child1":"one","child2":"two","o":{"x":1}}"#;
    for (path, found) in [
        ("a.b.0", Some("1")),
        ("a.b.1", Some("2.5")),
        ("a.b.2", Some("x")),
        ("a.b.3", Some("true")),
        ("a.b.4", Some("")),
        ("a.b.5", Some("[7]")),
        ("a.b.6", None),
        ("a.b.x", None),
        ("a.b.#", Some("6")),
        (r"f\.o", Some("1")),
        ("f.o", None),
        ("list.#.k", Some("[1,2]")),
        ("list.#", Some("3")),
        ("child*", Some("one")),
        ("child?", Some("one")),
        ("*2", Some("two")),
        ("c*d*2", Some("two")),
        (r"child\*", None),
        ("o", Some(r#"{"x":1}"#)),
        ("a.", None),
        ("", None),
    ] {
        let path_text = path;
        let path = json_path::JsonPath::parse(path).unwrap();
        assert_eq!(path.find(json.as_bytes()).as_deref(), found, "{path_text}");
    }
    let path = json_path::JsonPath::parse("a").unwrap();
    for no_json in [&b"{\"a\":1"[..], b"", b"\xff", b"{\"a\":1} x"] {
        assert_eq!(path.find(no_json), None);
    }
    for unsupported in ["list.#(k==1)", "a|b", "@this", "a\\", "[a,b]", "{a}"] {
        assert!(
            json_path::JsonPath::parse(unsupported).is_err(),
            "{unsupported}"
        );
    }
}

#[test]
fn rules_about_everything_at_once() {
    let post = http(HttpFacts {
        method: "POST".into(),
        path: "/login".into(),
        ..HttpFacts::default()
    });
    check(
        &post,
        &[
            (
                "(Host(`*.example.com`) && Path(`/login`) && !Method(`GET`))",
                true,
            ),
            ("(Host(`x`) || Path(`/x`) || Method(`POST`))", true),
            ("(!(Host(`x`) || Path(`/login`)) && Method(`POST`))", false),
        ],
    );
}

#[test]
fn functions_have_four_spellings() {
    let request = request("t:80");
    for rule in ["Host(`t`)", "host(`t`)", "HOST(`t`)"] {
        assert!(is_true(rule, &request), "{rule}");
    }
    for name in ["ClientIP", "clientip", "CLIENTIP", "Clientip"] {
        assert!(
            format!("{name}(`10.0.0.1`)").parse::<Matcher>().is_ok(),
            "{name}"
        );
    }
    for name in ["clientIP", "ClientIp", "cLIENTIP", "HostX", "and"] {
        let error = format!("{name}(`10.0.0.1`)")
            .parse::<Matcher>()
            .unwrap_err();
        assert_eq!(error, RuleError::Unknown(name.into()));
    }
}

#[test]
fn arguments_are_checked_when_the_rule_is_read() {
    for rule in [
        "ClientIP(`localhost`)",
        "ClientIP(`10.0.0.0/33`)",
        "ClientIP(`10.0.0.1`, `10.0.0.2`)",
        "Host(`b\u{fc}cher.example`)",
        "Host(`a`, `b`)",
        "HostRegexp(`(`)",
        "Path(`api`)",
        "PathPrefix(`api`)",
        "PathRegexp(`[`)",
        "Header(`a`, `above`, `1`)",
        "Header(`a`, `gt`, `one`)",
        "Header(`a`, `b`, `c`, `d`)",
        "HeaderRegexp(`a`, `(`)",
        "HeaderRegexp(`a`, `gt`, `1`)",
        "Query(`a`, `gt`, ``)",
        "QueryRegexp(`a`, `*`)",
        "BodyRegexp(`(?`)",
        "BodyJSON(`a`)",
        "BodyJSON(`a`, `(`)",
        "BodyJSON(`a.#(b)`, `x`)",
        "Bypass(`nobody`)",
        "Admission(`nobody`)",
    ] {
        assert!(rule.parse::<Matcher>().is_err(), "{rule}");
    }
}

#[test]
fn longer_rules_go_first_unless_told_otherwise() {
    let matcher: Matcher = "Host(`t`)".parse().unwrap();
    assert_eq!(matcher.priority(0), 9);
    assert_eq!(matcher.priority(3), 3);
    assert_eq!(matcher.priority(-3), -3);
}

/// Admits one client.
struct Only(&'static str);

impl Admission for Only {
    fn admit<'a>(&'a self, network: Network, from: &'a Addr, _: &'a Asker) -> Answer<'a, bool> {
        assert_eq!((network, from.port()), (Network::Ip, 0));
        Answer::later(async move { from.host() == self.0 })
    }
}

#[tokio::test]
async fn policies_are_asked_by_name() {
    let named = Named::default();
    let bypass = named.put::<dyn Bypass>("b", Arc::new(Hosts(&["blocked"])));
    let admission = named.put::<dyn Admission>("a", Arc::new(Only("192.0.2.7")));
    let mut asked = from("192.0.2.7:5000");
    let of = async |rule: &str, request: &Request| {
        let matcher = Matcher::parse(rule, &named).unwrap();
        matcher.matches(request).await
    };
    assert!(of("Bypass(`b`) && Admission(`a`)", &asked).await);
    assert!(!of("!Bypass(`b`) || !Admission(`a`)", &asked).await);
    assert!(of("Host(`t`) && (Host(`x`) || Admission(`a`))", &asked).await);
    asked.host = Addr::parse("blocked:80");
    assert!(!of("Bypass(`b`)", &asked).await);
    asked.asker.client = Addr::parse("192.0.2.8:1").unwrap();
    assert!(!of("Admission(`a`)", &asked).await);
    asked.asker.client = Addr::Any;
    assert!(!of("Admission(`a`)", &asked).await);
    // Removed ones are shut.
    let asked = from("192.0.2.7:5000");
    bypass.set(None);
    admission.set(None);
    assert!(!of("Bypass(`b`)", &asked).await);
    assert!(!of("Admission(`a`)", &asked).await);
}
