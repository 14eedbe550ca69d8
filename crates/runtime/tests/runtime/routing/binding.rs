//! Remote services whose chains can't listen are refused.

use crate::support::{config, registry, text};

#[test]
fn a_chain_that_can_never_listen_is_refused() {
    let node = |connector: &str| {
        format!("{{name: n, addr: '192.0.2.1:1', connector: {{type: {connector}}}}}")
    };
    let hop = |nodes: &[&str]| format!("- {{name: h, nodes: [{}]}}", nodes.join(", "));
    let (http, relay, socks5) = (node("http"), node("relay"), node("socks5"));
    let nameless = "{name: n, addr: '192.0.2.1:1'}".to_owned();
    for (listener, hops, refused) in [
        ("rtcp", hop(&[&http]), true),
        ("rudp", hop(&[&http, &node("socks4")]), true),
        ("runix", hop(&[&nameless]), true),
        (
            "rtcp",
            format!("{}\n  {}", hop(&[&relay]), hop(&[&http])),
            true,
        ),
        ("rtcp", "- {name: named}".to_owned(), true),
        ("rtcp", hop(&[&http, &relay]), false),
        ("rtcp", hop(&[&socks5]), false),
        (
            "rtcp",
            format!("{}\n  {}", hop(&[&http]), hop(&[&relay])),
            false,
        ),
        ("rtcp", "- {name: h, nodes: []}".to_owned(), false),
        (
            "rtcp, metadata: {}}\n  metadata: {ignoreChain: true",
            hop(&[&http]),
            false,
        ),
    ] {
        for way in ["chain: c", "chainGroup: {chains: [c]}"] {
            let yaml = format!(
                "services:
- name: s
  addr: 127.0.0.1:0
  handler: {{type: tcp}}
  listener: {{{way}, type: {listener}}}
chains:
- name: c
  hops:
  {hops}
hops:
- {{name: named, nodes: [{http}]}}
"
            );
            let said = text(&gost_runtime::check(&config(&yaml), &registry()));
            let is_refused = said.contains("can't listen for") && said.contains("service s");
            assert_eq!(is_refused, refused, "{said}\n{yaml}");
        }
    }
}
