//! What the original rejects is rejected here, with a message that says what to do instead.

use super::{messages, outcome, world::cases};
use crate::Severity;

/// Rows that are fine: the original is too narrow.
const FINE: [&str; 6] = [
    "F-ipv6-list",
    "F-list-http",
    "F-list-https",
    "C-timestamp-in-string",
    "C-inline-string-duration",
    "C-inline-plain-chain-name",
];

/// Rows about things that only those who build components can see: which types there are, whether
/// files can be read, addresses bound and namespaces entered. See `Names::unknown` for the words.
const BUILT: [&str; 12] = [
    "start-unknown-handler",
    "start-unknown-listener",
    "start-handler-case",
    "start-unknown-connector",
    "start-unknown-dialer",
    "start-unknown-listener-tproxy",
    "start-missing-cert",
    "start-missing-cert-plain-listener",
    "start-global-tls-missing",
    "start-node-ca-missing",
    "start-foreign-address",
    "start-netns-missing",
];

/// What is said about all others.
#[rustfmt::skip]
const SAID: [(&str, &str); 113] = [
    ("unknown-flag", "unknown flag -x"),
    ("unknown-long-flag", "unknown flag --listen; did you mean -L?"),
    ("L-without-value", "-L needs a value"),
    ("C-without-value", "-C needs a value"),
    ("reload-without-unit", "-R: duration 5 lacks a unit, for example 5s"),
    ("reload-nonsense", "-R: not a duration: soon"),
    ("debug-nonsense", "-D takes no value (or -D=true, -D=false)"),
    ("dash-only-equals", "bad flag syntax: -=x"),
    ("three-dashes", "bad flag syntax: ---L"),
    ("nothing", "nothing to run: give -L or a configuration file"),
    ("only-F", "nothing to run: a chain (-F) without a service (-L) does nothing"),
    ("only-metrics", "nothing to run: give -L or a configuration file"),
    ("only-blank-L", "empty -L value"),
    ("only-profiling-env", "nothing to run: give -L or a configuration file"),
    ("only-api-env", "nothing to run: give -L or a configuration file"),
    ("F-empty", "-F : empty -F value"),
    ("F-blank", "-F   : empty -F value"),
    ("L-scheme-underscore", "-L my_proto://:8080: \"my_proto\" is not a scheme: letters, digits, + - . only"),
    ("L-scheme-digit-first", "-L 1http://:8080: \"1http\" is not a scheme: a scheme starts with a letter"),
    ("L-scheme-plus-first", "-L +tls://:8443: \"+tls\" is not a scheme: a scheme starts with a letter"),
    ("L-userinfo-blank", "-L http://al ice:***@:8080: write the blank in the user name as %20"),
    ("L-userinfo-utf8", "-L http://älice:***@:8080: write letters outside ASCII in the user name percent-encoded"),
    ("L-userinfo-quote", "-L http://al'ice\":***@:8080: write \" in the user name as %22"),
    ("L-userinfo-bad-escape", "-L http://alice:***@:8080: the password has a % that starts no percent escape; write % as %25"),
    ("L-hash-in-password", "-L http://alice:***@:8080: write # in the password as %23"),
    ("L-auth-not-base64", "-L http://:8080?auth=***: the auth parameter is not base64"),
    ("L-auth-truncated", "-L http://:8080?auth=***: the auth parameter is not base64: wrong padding"),
    ("L-auth-plain", "-L http://:8080?auth=***: the auth parameter is not base64: it takes base64 of user:password"),
    ("F-auth-not-base64", "-F socks5://192.0.2.1:1080?auth=***: the auth parameter is not base64"),
    ("L-target-bad-escape", "-L tcp://:8080/a%zz:80: %zz is not a percent escape"),
    ("L-control-char", "-L http://:8080/a?b:80: control character in the URL"),
    ("F-port-text", "-F http://proxy.test:http: port \"http\" is not a number"),
    ("F-port-range", "-F socks5://proxy.test:8000-8010: a node takes one port, not a range"),
    ("F-port-negative", "-F http://proxy.test:-1: port -1 out of range"),
    ("F-ipv6-unbracketed", "-F http://2001:db8::1:80: write IPv6 addresses in brackets: [2001:db8::1]:80"),
    ("F-ipv6-not-closed", "-F http://[::1:80: missing ] in the address"),
    ("F-ipv6-nonsense", "-F http://[::g]:80: \"::g\" is not an IPv6 address"),
    ("F-list-trailing-comma", "-F socks5://h1.test:80,: empty member in the address list"),
    ("F-host-blank", "-F http://proxy test:80: blank in host name"),
    ("F-host-escaped-blank", "-F http://proxy%20test:80: blank in host name"),
    ("F-host-escaped-ascii", "-F http://%70roxy.test:80: escapes of ASCII letters are not allowed in host names"),
    ("F-hash-in-password", "-F http://alice:***@192.0.2.1:80: write # in the password as %23"),
    ("F-slash-in-password", "-F http://alice:***@192.0.2.1:80: write / in the password as %2F"),
    ("second-L-bad", "-L bad_scheme://:1: \"bad_scheme\" is not a scheme: letters, digits, + - . only"),
    ("C-missing", "nosuch.yaml: no such file"),
    ("C-directory", "d: is a directory"),
    ("C-unknown-extension", "a.conf: unknown format \"conf\"; the extensions are .yaml, .yml, .json and .toml"),
    ("C-yaml-tab", "a.yaml:2: column 2: tabs disallowed within this context (block indentation)"),
    ("C-yaml-unclosed", "a.yaml:2: column 1: while parsing a node, did not find expected node content"),
    ("C-yaml-duplicate-key", "a.yaml:3: column 1: key \"log\" twice, lines 1 and 3"),
    ("C-yaml-top-list", "a.yaml:1: the document must be a mapping of sections"),
    ("C-yaml-top-scalar", "a.yaml:1: the document must be a mapping of sections"),
    ("C-yaml-undefined-alias", "a.yaml:1: column 6: unknown anchor x"),
    ("C-json-trailing-comma", "a.json:1: column 16: a comma before } is too much"),
    ("C-json-comment", "a.json:1: column 1: JSON has no comments"),
    ("C-json-empty", "a.json:1: column 1: the document is empty"),
    ("C-json-array", "a.json:1: the document must be a mapping of sections"),
    ("C-toml-bad", "a.toml:1: column 13: unclosed array, expected `]`"),
    ("C-duration-no-unit-string", "a.yaml:3: hops[0].reload: duration 10 lacks a unit, for example 10s"),
    ("C-duration-nonsense", "a.yaml:5: hops[0].selector.failTimeout: not a duration: soon"),
    ("C-duration-empty", "a.yaml:3: hops[0].reload: empty duration; write 10s, or leave the key out"),
    ("C-int-from-text", "a.yaml:5: services[0].handler.retries: not a number: many"),
    ("C-bool-from-text", "a.yaml:3: bypasses[0].whitelist: not a truth value: yes please; write true or false"),
    ("C-string-from-map", "a.yaml:3: services[0].addr: must be text, not a mapping"),
    ("C-section-scalar", "a.yaml:1: services: must be a list, not text"),
    ("C-inline-bad-json", "-C:1: column 2: expected a key in quotes, not 's'"),
    ("C-inline-number-as-string", "-C:1: services[0].handler.retries: must be a number, not text"),
    ("C-inline-unclosed", "-C:1: column 14: expected a value, not the end"),
    ("C-stdin-empty", "standard input: the document is empty"),
    ("C-url-refused", "http://127.0.0.1:9/a.yaml: fetch: connection refused"),
    ("C-url-credentials-hidden", "http://127.0.0.1:9/a.yaml: fetch: connection refused"),
    ("C-other-url", "ftp://127.0.0.1/a.yaml: only http and https URLs are read, and files"),
    ("C-bool-yes", "a.yaml:3: bypasses[0].whitelist: write true (yes is text here)"),
    ("C-bool-off", "a.yaml:3: api.accesslog: write false (off is text here)"),
    ("C-duration-days", "a.yaml:3: hops[0].reload: no unit d in duration 1d; write 24h"),
    ("C-duration-blank", "a.yaml:3: hops[0].reload: blank in duration \" 5s\""),
    ("C-duration-overflow", "a.yaml:3: hops[0].reload: duration 9999999h is too long (292 years at most) or badly formed"),
    ("C-two-errors", "hops[1].reload: not a duration: y"),
    ("C-log-scalar", "a.yaml:1: log: must be a mapping, not text"),
    ("C-log-list", "a.yaml:2: log: must be a mapping, not a list"),
    ("C-services-empty-text", "a.yaml:1: services: must be a list, not text"),
    ("C-complex-key", "a.yaml:3: column 14: keys must be plain, not lists or mappings"),
    ("C-inline-trailing", "-C:1: column 17: text after the document"),
    ("C-json-nan", "a.json:1: column 42: NaN and infinities are no JSON numbers"),
    ("debug-separate-value", "stray argument maybe"),
    ("worker-one-fails", "worker 1: unknown flag -x"),
    ("worker-leading-dashes", "empty worker group before the first --"),
    ("start-duplicate-service", "a.yaml:3: services[1].name: two services named a; the other is at a.yaml:2: services[0]"),
    ("start-duplicate-bypass", "a.yaml:3: bypasses[1].name: two bypasses named b; the other is at a.yaml:2: bypasses[0]"),
    ("start-duplicate-logger", "a.yaml:3: loggers[1].name: two loggers named l; the other is at a.yaml:2: loggers[0]"),
    ("start-cert-without-key", "a.yaml:6: services[0].listener.tls.certFile: certFile without keyFile"),
    ("start-global-tls-ca-only", "a.yaml:1: tls.caFile: caFile without certFile and keyFile"),
    ("start-bad-port", "a.yaml:3: services[0].addr: port 99999 out of range"),
    ("start-no-port", "a.yaml:3: services[0].addr: port missing in 127.0.0.1"),
    ("start-service-name-unknown", "a.yaml:3: services[0].addr: port \"nosuchsvc\" is not a number"),
    ("start-port-twice", "-L 127.0.0.1:18098: addr: 127.0.0.1:18098 is already used by service-0 (-L 127.0.0.1:18098)"),
    ("start-bare-number", "-L 18097: addr: address 18097 lacks a colon: did you mean :18097?"),
    ("start-C-name-clash", "-L 127.0.0.1:0: name: two services named service-0; the other is at -C:1: services[0]"),
    ("start-api-port-bad", "-api 127.0.0.1:99999: addr: port 99999 out of range"),
    ("start-api-bare-number", "-api 18080: addr: address 18080 lacks a colon: did you mean :18080?"),
    ("start-metrics-path-relative", "-metrics 127.0.0.1:0?path=m: path: must start with /, not be \"m\""),
    ("start-null-service", "a.yaml:2: services[0]: is empty"),
    ("start-null-bypass", "a.yaml:2: bypasses[0]: is empty"),
    ("start-null-chains", "a.yaml:2: chains[0]: is empty"),
    ("start-null-hops", "a.yaml:2: hops[0]: is empty"),
    ("start-null-authers", "a.yaml:2: authers[0]: is empty"),
    ("start-null-resolvers", "a.yaml:2: resolvers[0]: is empty"),
    ("start-null-limiters", "a.yaml:2: limiters[0]: is empty"),
    ("start-null-loggers", "a.yaml:2: loggers[0]: is empty"),
    ("start-null-recorders", "a.yaml:2: recorders[0]: is empty"),
    ("start-null-nameserver", "a.yaml:4: resolvers[0].nameservers[0]: is empty"),
    ("start-null-auth", "a.yaml:4: authers[0].auths[0]: is empty"),
    ("start-log-none-hides-error", "a.yaml:4: services[0].addr: port 99999 out of range"),
];

#[test]
fn what_was_rejected_still_is_and_says_why() {
    let all = cases("cli", "rejected.json");
    assert_eq!(all.len(), FINE.len() + BUILT.len() + SAID.len());
    for case in &all {
        let name = case["name"].as_str().unwrap_or_default();
        let name = name.strip_prefix("rejected/").unwrap_or(name);
        let said = match outcome(case) {
            Err(said) => said,
            Ok(loaded) => {
                let problems: Vec<_> = loaded.into_iter().flat_map(|l| l.problems).collect();
                let is_bad = problems.iter().any(|p| p.severity == Severity::Error);
                if SAID.iter().any(|(row, _)| *row == name) {
                    // What can be printed is told from what cannot even be read.
                    assert!(is_bad && case["start"] == true, "{name} is read");
                }
                messages(&problems)
            }
        };
        if let Some((_, says)) = SAID.iter().find(|(row, _)| *row == name) {
            assert!(said.contains(says), "{name}: {said}");
        }
    }
}

#[test]
fn no_message_shows_a_secret() {
    for case in cases("cli", "rejected.json") {
        let said = match outcome(&case) {
            Err(said) => said,
            Ok(loaded) => messages(&loaded[0].problems),
        };
        for secret in ["secret", ":pw@", "p#w", "p/w", "%zz@", "YWxpY2U6cHc"] {
            assert!(!said.contains(secret), "{}: {said}", case["name"]);
        }
    }
}
