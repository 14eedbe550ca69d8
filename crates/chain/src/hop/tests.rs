use gost_core::{
    addr::{Addr, Network},
    routing::HttpFacts,
};

use super::*;
use crate::{
    selector::Strategy,
    testing::{Hosts, World, request},
};

/// A node with what a test says of it.
fn candidate(name: &str, set: impl FnOnce(&mut Candidate)) -> Candidate {
    let mut candidate = Candidate::new(World::default().node(name));
    set(&mut candidate);
    candidate
}

fn plain(name: &str) -> Candidate {
    candidate(name, |_| {})
}

fn failed(name: &str) -> Candidate {
    candidate(name, |c| c.node.marker.mark())
}

fn priority(name: &str, priority: i32) -> Candidate {
    candidate(name, |c| c.priority = priority)
}

fn backup(name: &str, priority: i32) -> Candidate {
    candidate(name, |c| {
        c.priority = priority;
        c.options.backup = true;
    })
}

fn hop(strategy: Strategy, candidates: Vec<Candidate>) -> NodesHop {
    NodesHop::new("h", candidates).with_selector(Selector::new(strategy))
}

/// The name of the chosen node, `a|b` for a race, `-` for a skip, `!` for no node.
async fn choose(hop: &NodesHop, request: &Request, tried: &[Arc<Node>]) -> String {
    match hop.select(request, tried).await {
        Ok(Choice::Node(node)) => node.addr.name.to_string(),
        Ok(Choice::Race(nodes)) => {
            let names: Vec<_> = nodes.iter().map(|node| &*node.addr.name).collect();
            names.join("|")
        }
        Ok(Choice::Skip) => "-".into(),
        Err(error) => {
            assert_eq!(
                (error.why(), error.at_phase()),
                (Why::NoRoute, Phase::Route)
            );
            "!".into()
        }
    }
}

async fn first(candidates: Vec<Candidate>) -> String {
    choose(&hop(Strategy::Fifo, candidates), &request("t:80"), &[]).await
}

#[tokio::test]
async fn failed_nodes_get_no_traffic_unless_all_have_failed() {
    assert_eq!(first(vec![plain("a"), plain("b")]).await, "a");
    assert_eq!(first(vec![failed("a"), plain("b")]).await, "b");
    // Not even by a priority.
    let high = candidate("a", |c| {
        c.priority = 100;
        c.node.marker.mark();
    });
    assert_eq!(first(vec![high, plain("b")]).await, "b");
    // Not even when a backup is all that is left.
    assert_eq!(first(vec![failed("a"), backup("b", 0)]).await, "b");
    // The last resort is the first that takes the request.
    assert_eq!(first(vec![failed("a"), failed("b")]).await, "a");
    let picky = candidate("a", |c| {
        c.filter = Some(Filter::new("other", "", ""));
        c.node.marker.mark();
    });
    assert_eq!(first(vec![picky, failed("b")]).await, "b");
}

#[tokio::test]
async fn a_hop_without_a_fit_node_is_an_error() {
    assert_eq!(first(vec![]).await, "!");
    let picky = || candidate("a", |c| c.filter = Some(Filter::new("other", "", "")));
    assert_eq!(first(vec![picky()]).await, "!");
}

#[tokio::test]
async fn a_bypass_of_the_hop_goes_around_it_one_of_a_node_leaves_it_out() {
    let around = hop(Strategy::Fifo, vec![plain("a")]).with_bypass(Arc::new(Hosts(&["t"])));
    assert_eq!(choose(&around, &request("t:80"), &[]).await, "-");
    assert_eq!(choose(&around, &request("u:80"), &[]).await, "a");
    let one = candidate("a", |c| c.bypass = Some(Arc::new(Hosts(&["t"]))));
    assert_eq!(first(vec![one, plain("b")]).await, "b");
}

#[tokio::test]
async fn the_bypasses_of_all_nodes_together_go_around_the_hop() {
    let bypassed = || candidate("a", |c| c.bypass = Some(Arc::new(Hosts(&["t"]))));
    assert_eq!(first(vec![bypassed(), bypassed()]).await, "-");
    let and_failed = candidate("b", |c| {
        c.bypass = Some(Arc::new(Hosts(&["t"])));
        c.node.marker.mark();
    });
    assert_eq!(first(vec![bypassed(), and_failed]).await, "-");
    // One that fails or has other requests to take is no reason to go without.
    let picky = candidate("b", |c| c.filter = Some(Filter::new("other", "", "")));
    assert_eq!(first(vec![bypassed(), picky]).await, "!");
    assert_eq!(first(vec![bypassed(), failed("c")]).await, "c");
}

#[tokio::test]
async fn nodes_that_were_tried_are_left_out() {
    let hop = hop(Strategy::Fifo, vec![plain("a"), failed("b"), plain("c")]);
    let nodes: Vec<_> = hop.candidates().iter().map(|c| c.node.clone()).collect();
    let request = request("t:80");
    assert_eq!(choose(&hop, &request, &nodes[..1]).await, "c");
    let without_b = [nodes[0].clone(), nodes[2].clone()];
    assert_eq!(choose(&hop, &request, &without_b).await, "b");
    assert_eq!(choose(&hop, &request, &nodes).await, "!");
}

#[tokio::test]
async fn priorities_go_before_the_strategy() {
    for (candidates, chosen) in [
        // A single one of the highest priority.
        (vec![plain("a"), priority("b", 5)], "bbb"),
        // Of several the strategy chooses, and nobody else is asked.
        (vec![plain("a"), priority("b", 5), priority("c", 5)], "bcb"),
        // All alike.
        (vec![priority("a", 5), priority("b", 5)], "aba"),
        (vec![priority("a", -1), priority("b", -1)], "aba"),
        // Below zero only when there is nobody else; there the strategy is asked.
        (vec![priority("a", -1), plain("b"), plain("c")], "bcb"),
        (vec![priority("a", -2), priority("b", -1)], "bbb"),
        // A backup never goes before a primary, whatever its priority.
        (vec![plain("a"), backup("b", 5)], "aaa"),
        (vec![plain("a"), backup("b", 5), backup("c", 5)], "aaa"),
        (vec![plain("a"), backup("b", 5), priority("c", 5)], "ccc"),
        (vec![plain("a"), plain("b"), backup("c", 5)], "aba"),
        // Among backups the priority counts again.
        (vec![backup("a", 1), backup("b", 5)], "bbb"),
    ] {
        let hop = hop(Strategy::Round, candidates);
        let mut all = String::new();
        for _ in 0..3 {
            all += &choose(&hop, &request("t:80"), &[]).await;
        }
        assert_eq!(all, chosen);
    }
}

#[tokio::test]
async fn too_slow_is_better_than_nothing() {
    let slow = |name| {
        candidate(name, |c| {
            c.node
                .marker
                .probed(Some(std::time::Duration::from_secs(1)));
        })
    };
    let selector =
        || Selector::new(Strategy::Fifo).with_max_latency(std::time::Duration::from_millis(1));
    let hop = NodesHop::new("h", vec![slow("a"), slow("b")]).with_selector(selector());
    assert_eq!(choose(&hop, &request("t:80"), &[]).await, "a");
    let hop = NodesHop::new("h", vec![slow("a"), plain("b")]).with_selector(selector());
    assert_eq!(choose(&hop, &request("t:80"), &[]).await, "b");
    // A tier in which all are too slow leaves the request to the next one.
    let high = |name| {
        candidate(name, |c| {
            c.priority = 5;
            c.node
                .marker
                .probed(Some(std::time::Duration::from_secs(1)));
        })
    };
    let candidates = vec![plain("a"), high("b"), high("c")];
    let hop = NodesHop::new("h", candidates).with_selector(selector());
    assert_eq!(choose(&hop, &request("t:80"), &[]).await, "a");
}

#[tokio::test]
async fn races_are_between_those_that_are_fit() {
    let candidates = vec![plain("a"), failed("b"), plain("c"), backup("d", 0)];
    let hop = hop(Strategy::Parallel, candidates);
    assert_eq!(choose(&hop, &request("t:80"), &[]).await, "a|c");
}

#[tokio::test]
async fn the_hash_source_comes_with_the_request() {
    let hop = hop(Strategy::Hash, vec![plain("a"), plain("b"), plain("c")]);
    let mut request = request("t:80");
    request.hash = Some("123456789".into());
    let expected = ["a", "b", "c"][0xcbf4_3926_usize % 3];
    assert_eq!(choose(&hop, &request, &[]).await, expected);
}

#[tokio::test]
async fn a_matcher_takes_the_place_of_a_filter() {
    let both = candidate("a", |c| {
        c.filter = Some(Filter::new("other", "", ""));
        c.matcher = Some("Host(`t`)".parse().unwrap());
    });
    assert_eq!(first(vec![both]).await, "a");
    let both = candidate("a", |c| {
        c.filter = Some(Filter::new("t", "", ""));
        c.matcher = Some("Host(`other`)".parse().unwrap());
    });
    assert_eq!(first(vec![both]).await, "!");
}

#[tokio::test]
async fn other_candidates_can_take_the_place_of_all() {
    let hop = hop(Strategy::Fifo, vec![plain("a")]);
    hop.set_candidates(vec![plain("b")]);
    assert_eq!(choose(&hop, &request("t:80"), &[]).await, "b");
}

#[test]
fn filters_take_what_they_always_took() {
    for (filter, host, taken) in [
        ("", "any:80", true),
        ("example.com", "example.com:80", true),
        ("example.com", "example.com", true),
        ("example.com", "www.example.com:80", false),
        ("example.com", "Example.com:80", false),
        (".example.com", "example.com:80", true),
        (".example.com", "www.example.com:80", true),
        (".example.com", "notexample.com:80", true),
        ("*.example.com", "www.example.com:80", true),
        ("*example.com", "www.example.com:80", true),
        ("*.example.com", "example.org:80", false),
        ("*", "any:80", true),
        ("10.0.0.1", "10.0.0.1:80", true),
        ("10.0.0.1", "10.0.0.11:80", false),
    ] {
        let filter = Filter::new(filter, "", "");
        assert_eq!(filter.matches(&request(host)), taken, "{filter:?} {host}");
    }
    // Without a host only an empty filter fits.
    let mut nameless = request("t:80");
    for host in [None, Some(Addr::Any)] {
        nameless.host = host;
        assert!(!Filter::new("t", "", "").matches(&nameless));
        assert!(!Filter::new("*", "", "").matches(&nameless));
        assert!(Filter::new("", "", "").matches(&nameless));
    }
}

#[test]
fn filters_know_protocol_and_path() {
    let mut http = request("t:80");
    http.protocol = Some("http");
    http.http = Some(Arc::new(HttpFacts {
        path: "/api/v1".into(),
        ..HttpFacts::default()
    }));
    for (protocol, path, taken) in [
        ("http", "", true),
        ("tls", "", false),
        ("", "/api", true),
        ("", "/api/v1", true),
        ("", "/api/v2", false),
        ("http", "/other", false),
    ] {
        assert_eq!(Filter::new("t", protocol, path).matches(&http), taken);
        // What was not sniffed has neither.
        assert!(!Filter::new("t", protocol, path).matches(&request("t:80")));
    }
    let udp = Request {
        target: gost_core::addr::Target {
            network: Network::Udp,
            addr: Addr::Any,
        },
        ..Request::default()
    };
    assert!(Filter::default().matches(&udp));
}

#[tokio::test]
async fn where_there_is_no_choice_no_turn_is_taken() {
    let request = request("t.test:80");
    let hop = hop(Strategy::Round, vec![plain("a"), plain("b")]);
    assert_eq!(choose(&hop, &request, &[]).await, "a");
    let a = hop.candidates()[0].node.clone();
    assert_eq!(choose(&hop, &request, &[a]).await, "b");
    assert_eq!(choose(&hop, &request, &[]).await, "b");
    let sole_best = vec![priority("a", 1), priority("b", 1), priority("c", 2)];
    hop.set_candidates(sole_best);
    assert_eq!(choose(&hop, &request, &[]).await, "c");
    hop.set_candidates(vec![plain("a"), plain("b")]);
    assert_eq!(choose(&hop, &request, &[]).await, "a");
}
