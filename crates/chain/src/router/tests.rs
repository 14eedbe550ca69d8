use std::net::{IpAddr, SocketAddr};

use gost_core::routing::{Choice, Hop, Marker, Step};
use tokio::time::Instant;

use super::*;
use crate::{
    chain::HopChain,
    selector::Strategy,
    testing::{Act, Hosts, Table, World, chain, hop, hop_by, tcp},
};

const REFUSED_BY_TARGET: Act = Act::Fail(Why::Refused, Side::Target);

struct Setup {
    world: World,
    router: Router,
}

impl Setup {
    fn new(world: &World, chain: Option<Arc<dyn Chain>>) -> Self {
        let mut router = Router::new(world.sockets());
        router.chain = chain;
        Self {
            world: world.clone(),
            router,
        }
    }

    async fn connect(&self) -> Result<Conn> {
        self.router.connect(&tcp("t:80"), &Ask::default()).await
    }

    /// Connects, and says what happened on the way.
    async fn walk(&self) -> (Result<Conn>, Vec<String>) {
        let result = self.connect().await;
        (result, self.world.log())
    }
}

#[track_caller]
fn failed<T>(result: Result<T>) -> Error {
    result.err().expect("it fails")
}

fn fails(marker: &Marker) -> u32 {
    marker.fails()
}

#[tokio::test]
async fn goes_node_by_node_and_says_so() {
    let world = World::default();
    let (n1, n2) = (world.node("n1"), world.node("n2"));
    let setup = Setup::new(&world, Some(chain(&[&[&n1], &[&n2]])));
    let (conn, log) = setup.walk().await;
    assert_eq!(
        log,
        [
            "socket n1.test:1",
            "dial n1",
            "n1 connect n2.test:1",
            "dial n2",
            "n2 connect t:80"
        ]
    );
    let route = conn.unwrap().meta.route;
    assert_eq!(route.as_deref(), Some("n1@n1.test:1 > n2@n2.test:1 > t:80"));
}

#[tokio::test]
async fn without_a_chain_it_goes_direct() {
    let world = World::default();
    let setup = Setup::new(&world, None);
    let (conn, log) = setup.walk().await;
    assert_eq!(log, ["socket t:80"]);
    assert_eq!(conn.unwrap().meta.route.as_deref(), Some("t:80"));
    assert!(setup.router.path().is_direct());
}

#[tokio::test]
async fn a_node_uses_its_own_sockets_when_it_is_first() {
    let world = World::default();
    let mut n1 = world.node_at("n1", "n1:1");
    n1.sockets = Some(world.named_sockets("own"));
    let mut n2 = world.node_at("n2", "n2:1");
    n2.sockets = Some(world.named_sockets("other"));
    let setup = Setup::new(&world, Some(chain(&[&[&Arc::new(n1)], &[&Arc::new(n2)]])));
    let (conn, log) = setup.walk().await;
    conn.unwrap();
    assert_eq!(log[0], "own n1:1");
    assert!(!log.iter().any(|line| line.starts_with("other")));
}

/// Where it fails, how, and who is marked: the first, the second, the chain.
#[tokio::test]
async fn failures_at_every_place_mark_the_node_at_fault() {
    use Act::Fail;
    let cases: &[(&str, Act, Option<&str>, Side, [u32; 3])] = &[
        // The first node can't be reached, or breaks off, or is no node.
        (
            "socket n1.test:1",
            REFUSED_BY_TARGET,
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        (
            "socket n1.test:1",
            Fail(Why::Unresolved, Side::Target),
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        (
            "dial n1",
            Fail(Why::Reset, Side::Us),
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        (
            "dial n1",
            Fail(Why::BadInput, Side::Us),
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        // Its login fails.
        (
            "n1 connect n2.test:1",
            Fail(Why::Auth, Side::Node),
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        // What it sends is read with the functions for clients.
        (
            "n1 connect n2.test:1",
            Fail(Why::BadInput, Side::Client),
            Some("n1"),
            Side::Node,
            [1, 0, 1],
        ),
        // It works, but can't reach the second.
        (
            "n1 connect n2.test:1",
            REFUSED_BY_TARGET,
            Some("n2"),
            Side::Node,
            [0, 1, 1],
        ),
        (
            "n1 connect n2.test:1",
            Fail(Why::Unreachable, Side::Target),
            Some("n2"),
            Side::Node,
            [0, 1, 1],
        ),
        // It breaks off, and nobody knows whose fault it is.
        (
            "n1 connect n2.test:1",
            Fail(Why::Closed, Side::Node),
            Some("n1"),
            Side::Node,
            [1, 1, 1],
        ),
        (
            "dial n2",
            Fail(Why::Reset, Side::Us),
            Some("n2"),
            Side::Node,
            [0, 1, 1],
        ),
        (
            "n2 connect t:80",
            Fail(Why::Auth, Side::Node),
            Some("n2"),
            Side::Node,
            [0, 1, 1],
        ),
        (
            "n2 connect t:80",
            Fail(Why::Closed, Side::Node),
            Some("n2"),
            Side::Node,
            [0, 1, 1],
        ),
        // The second says what is wrong with the target.
        (
            "n2 connect t:80",
            REFUSED_BY_TARGET,
            None,
            Side::Target,
            [0, 0, 0],
        ),
        (
            "n2 connect t:80",
            Fail(Why::Denied, Side::Target),
            None,
            Side::Target,
            [0, 0, 0],
        ),
        // We can't do it ourselves.
        (
            "n2 connect t:80",
            Fail(Why::Unsupported, Side::Us),
            None,
            Side::Us,
            [0, 0, 0],
        ),
        (
            "dial n1",
            Fail(Why::Limited, Side::Us),
            None,
            Side::Us,
            [0, 0, 0],
        ),
    ];
    for (place, act, node, side, marks) in cases {
        let world = World::default();
        world.when(place, *act);
        let (n1, n2) = (world.node("n1"), world.node("n2"));
        let chain = Arc::new(HopChain::new("c", vec![hop("a", &[&n1]), hop("b", &[&n2])]));
        let setup = Setup::new(&world, Some(chain.clone()));
        let error = failed(setup.connect().await);
        let marked = [fails(&n1.marker), fails(&n2.marker), fails(chain.marker())];
        assert_eq!(
            error.node().map(|n| &**n),
            *node,
            "{place} {act:?}: {error}"
        );
        assert_eq!(error.at_side(), *side, "{place} {act:?}");
        assert_eq!(marked, *marks, "{place} {act:?}");
    }
}

#[tokio::test]
async fn a_success_and_an_answer_about_the_target_reset_the_marks() {
    for act in [Act::Succeed, REFUSED_BY_TARGET] {
        let world = World::default();
        world.when("n1 connect t:80", act);
        let n1 = world.node("n1");
        let chain = Arc::new(HopChain::new("c", vec![hop("a", &[&n1])]));
        n1.marker.mark();
        chain.marker().mark();
        let setup = Setup::new(&world, Some(chain.clone()));
        let _ = setup.connect().await;
        assert_eq!(
            (fails(&n1.marker), fails(chain.marker())),
            (0, 0),
            "{act:?}"
        );
    }
}

#[tokio::test]
async fn the_error_says_what_was_attempted_on_what() {
    let world = World::default();
    world.when("socket n1.test:1", REFUSED_BY_TARGET);
    let n1 = world.node("n1");
    let setup = Setup::new(&world, Some(chain(&[&[&n1]])));
    let error = failed(setup.connect().await);
    assert_eq!(error.to_string(), "node n1@n1.test:1: socket n1.test:1");
    assert_eq!(error.at_phase(), Phase::Dial);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_costs_its_timeout_once_and_is_marked() {
    for silent in ["socket n1.test:1", "dial n1", "n1 connect t:80"] {
        let world = World::default();
        world.when(silent, Act::Hang);
        let (n1, n2) = (world.node("n1"), world.node("n2"));
        let setup = Setup::new(&world, Some(chain(&[&[&n1, &n2]])));
        let start = Instant::now();
        setup.connect().await.unwrap();
        let first = start.elapsed();
        assert!(
            first <= Duration::from_secs(15) && first > Duration::from_secs(14),
            "{silent}"
        );
        assert_eq!(fails(&n1.marker), 1, "{silent}");
        // The next request does not ask it at all.
        let start = Instant::now();
        setup.connect().await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO, "{silent}");
        // Until the failure has been forgotten.
        tokio::time::advance(Duration::from_secs(10)).await;
        setup.world.log();
        let _ = tokio::time::timeout(Duration::from_secs(1), setup.connect()).await;
        assert_eq!(world.log()[0], "socket n1.test:1", "{silent}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_nested_waits_the_one_for_the_silent_node_names_it() {
    for (silent, name, phase) in [
        ("socket n1.test:1", "n1", Phase::Dial),
        ("dial n1", "n1", Phase::Dial),
        ("dial n2", "n2", Phase::Dial),
        ("dial n3", "n3", Phase::Dial),
        ("n3 connect t:80", "n3", Phase::Handshake),
    ] {
        let world = World::default();
        world.when(silent, Act::Hang);
        let nodes = ["n1", "n2", "n3"].map(|name| world.node(name));
        let setup = Setup::new(
            &world,
            Some(chain(&[&[&nodes[0]], &[&nodes[1]], &[&nodes[2]]])),
        );
        let start = Instant::now();
        let error = failed(setup.connect().await);
        assert!(start.elapsed() <= Duration::from_secs(15));
        assert_eq!(error.why(), Why::TimedOut, "{silent}");
        assert_eq!(error.at_phase(), phase, "{silent}");
        assert_eq!(error.node().map(|n| &**n), Some(name), "{silent}: {error}");
        for node in &nodes {
            let marked = u32::from(&*node.addr.name == name);
            assert_eq!(fails(&node.marker), marked, "{silent}: {node:?}");
        }
    }
}

/// The first node works, but connecting to the second takes for ever: another second one is tried
/// as well as another first one, whichever there is.
#[tokio::test(start_paused = true)]
async fn silence_between_two_nodes_is_retried_at_both() {
    for (far_alternative, route) in [
        (true, "n1@n1.test:1 > m2@m2.test:1 > t:80"),
        (false, "n2@n2.test:1 > m1@m1.test:1 > t:80"),
    ] {
        let world = World::default();
        world.when("n1 connect m1.test:1", Act::Hang);
        let [n1, n2, m1, m2] = ["n1", "n2", "m1", "m2"].map(|name| world.node(name));
        let chain = if far_alternative {
            chain(&[&[&n1], &[&m1, &m2]])
        } else {
            chain(&[&[&n1, &n2], &[&m1]])
        };
        let setup = Setup::new(&world, Some(chain));
        let conn = setup.connect().await.unwrap();
        assert_eq!(conn.meta.route.as_deref(), Some(route));
        // Who was found to work is unmarked again, the other one is not asked for a while.
        let marks = [&n1, &m1].map(|node| fails(&node.marker));
        assert_eq!(marks, if far_alternative { [0, 1] } else { [1, 0] });
    }
}

#[tokio::test]
async fn a_dead_node_costs_one_more_attempt_even_without_retries() {
    let world = World::default();
    world.when("socket n1.test:1", REFUSED_BY_TARGET);
    let (n1, n2) = (world.node("n1"), world.node("n2"));
    let setup = Setup::new(&world, Some(chain(&[&[&n1, &n2]])));
    let (conn, log) = setup.walk().await;
    conn.unwrap();
    assert_eq!(
        log,
        [
            "socket n1.test:1",
            "socket n2.test:1",
            "dial n2",
            "n2 connect t:80"
        ]
    );
}

#[tokio::test]
async fn the_far_hop_is_retried_too() {
    let world = World::default();
    world.when("n2 connect t:80", Act::Fail(Why::Auth, Side::Node));
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|name| world.node(name));
    let setup = Setup::new(&world, Some(chain(&[&[&n1], &[&n2, &n3]])));
    let conn = setup.connect().await.unwrap();
    let route = conn.meta.route.unwrap();
    assert_eq!(&*route, "n1@n1.test:1 > n3@n3.test:1 > t:80");
    assert_eq!([&n1, &n2, &n3].map(|n| fails(&n.marker)), [0, 1, 0]);
}

#[tokio::test]
async fn spare_attempts_end_when_no_other_node_is_left_or_enough_were_made() {
    for (nodes, attempts) in [(1, 1), (2, 2), (4, 4), (9, 4)] {
        let world = World::default();
        let nodes: Vec<_> = (0..nodes).map(|i| world.node(&format!("n{i}"))).collect();
        for node in &nodes {
            world.when(
                &format!("dial {}", node.addr.name),
                Act::Fail(Why::Reset, Side::Node),
            );
        }
        let setup = Setup::new(&world, Some(chain(&[&nodes.iter().collect::<Vec<_>>()])));
        let (result, log) = setup.walk().await;
        assert_eq!(failed(result).why(), Why::Reset);
        let dials = log.iter().filter(|line| line.starts_with("dial")).count();
        assert_eq!(dials, attempts, "{} nodes", nodes.len());
    }
}

#[tokio::test(start_paused = true)]
async fn of_silent_nodes_only_two_are_waited_for() {
    let world = World::default();
    let nodes: Vec<_> = (0..5).map(|i| world.node(&format!("n{i}"))).collect();
    for node in &nodes {
        world.when(&format!("dial {}", node.addr.name), Act::Hang);
    }
    let setup = Setup::new(&world, Some(chain(&[&nodes.iter().collect::<Vec<_>>()])));
    let start = Instant::now();
    assert_eq!(failed(setup.connect().await).why(), Why::TimedOut);
    assert!(start.elapsed() <= Duration::from_secs(30));
}

#[tokio::test]
async fn retries_repeat_failures_of_target_and_node_but_not_ours() {
    let cases: &[(Act, usize, usize)] = &[
        (REFUSED_BY_TARGET, 0, 1),
        (REFUSED_BY_TARGET, 2, 3),
        // The only node is asked again.
        (Act::Fail(Why::Auth, Side::Node), 0, 1),
        (Act::Fail(Why::Auth, Side::Node), 2, 3),
        (Act::Fail(Why::Unsupported, Side::Us), 2, 1),
    ];
    for (act, retries, attempts) in cases {
        let world = World::default();
        world.when("n1 connect t:80", *act);
        let mut setup = Setup::new(&world, Some(chain(&[&[&world.node("n1")]])));
        setup.router = setup.router.with_retries(*retries);
        let (result, log) = setup.walk().await;
        let Act::Fail(why, _) = act else {
            unreachable!()
        };
        assert_eq!(failed(result).why(), *why);
        let asked = log.iter().filter(|line| *line == "n1 connect t:80").count();
        assert_eq!(asked, *attempts, "{act:?}, {retries} retries");
    }
}

#[tokio::test]
async fn a_direct_dial_is_repeated_as_often_as_configured() {
    let world = World::default();
    world.when("socket t:80", REFUSED_BY_TARGET);
    let mut setup = Setup::new(&world, None);
    setup.router = setup.router.with_retries(1);
    let (result, log) = setup.walk().await;
    assert_eq!(failed(result).why(), Why::Refused);
    assert_eq!(log.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_its_own_deadline_and_the_caller_the_last_word() {
    let world = World::default();
    world.when("socket t:80", Act::Hang);
    let mut setup = Setup::new(&world, None);
    setup.router = setup
        .router
        .with_retries(1)
        .with_dial_timeout(Duration::from_secs(2));
    let start = Instant::now();
    let error = failed(setup.connect().await);
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::TimedOut, Side::Target)
    );
    assert_eq!(start.elapsed(), Duration::from_secs(4));

    let ask = Ask {
        deadline: Some(now() + Duration::from_secs(1)),
        ..Ask::default()
    };
    let start = Instant::now();
    failed(setup.router.connect(&tcp("t:80"), &ask).await);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test]
async fn a_chain_without_a_usable_node_is_an_error_and_never_direct() {
    let world = World::default();
    let removed = gost_core::build::Named::default();
    let reference = removed.put::<dyn Hop>("h", hop("h", &[&world.node("n1")]));
    reference.set(None);
    let chains: [Arc<dyn Chain>; 3] = [
        chain(&[&[]]),
        chain(&[&[&world.node("n1")], &[]]),
        Arc::new(HopChain::new("c", vec![Arc::new(reference)])),
    ];
    for chain in chains {
        let mut setup = Setup::new(&world, Some(chain));
        setup.router = setup.router.with_retries(3);
        let (result, log) = setup.walk().await;
        let error = failed(result);
        assert_eq!(
            (error.why(), error.at_phase()),
            (Why::NoRoute, Phase::Route)
        );
        assert!(log.is_empty(), "{log:?}");
    }
}

#[tokio::test]
async fn a_hop_that_is_bypassed_ends_the_route_before_it() {
    let world = World::default();
    let (n1, n2) = (world.node("n1"), world.node("n2"));
    let bypassed = |node: &Arc<Node>| -> Arc<dyn Hop> {
        let candidates = vec![crate::hop::Candidate::new(node.clone())];
        let hop = crate::hop::NodesHop::new("b", candidates);
        Arc::new(hop.with_bypass(Arc::new(Hosts(&["t"]))))
    };
    let shortened = HopChain::new("c", vec![hop("a", &[&n1]), bypassed(&n2)]);
    let setup = Setup::new(&world, Some(Arc::new(shortened)));
    let (conn, log) = setup.walk().await;
    conn.unwrap();
    assert_eq!(log, ["socket n1.test:1", "dial n1", "n1 connect t:80"]);

    let direct = HopChain::new("c", vec![bypassed(&n1), hop("b", &[&n2])]);
    let setup = Setup::new(&world, Some(Arc::new(direct)));
    let (conn, log) = setup.walk().await;
    conn.unwrap();
    assert_eq!(log, ["socket t:80"]);
}

#[tokio::test]
async fn names_that_are_known_here_reach_the_nodes_as_addresses() {
    for (names, asked) in [
        (
            Table(&[("t", &["10.0.0.1", "10.0.0.2"])]).as_hosts(),
            "n1 connect 10.0.0.1:80",
        ),
        (
            Table(&[("t", &["10.0.0.1"])]).as_resolver(),
            "n1 connect 10.0.0.1:80",
        ),
        (
            Table(&[("other", &["10.0.0.1"])]).as_hosts(),
            "n1 connect t:80",
        ),
        (Names::default(), "n1 connect t:80"),
    ] {
        let world = World::default();
        let mut setup = Setup::new(&world, Some(chain(&[&[&world.node("n1")]])));
        setup.router = setup.router.with_names(names);
        setup.connect().await.unwrap();
        assert_eq!(world.log().last().unwrap(), asked);
        // Rules see the name that the client said.
        let host = world.ask_of(asked).host;
        assert_eq!(host, Addr::parse("t:80"));
    }
}

#[tokio::test]
async fn a_name_the_resolver_does_not_know_is_an_error() {
    let world = World::default();
    let mut setup = Setup::new(&world, None);
    setup.router = setup.router.with_names(Table(&[]).as_resolver());
    let (result, log) = setup.walk().await;
    let error = failed(result);
    assert_eq!(
        (error.why(), error.at_phase()),
        (Why::Unresolved, Phase::Resolve)
    );
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn directly_all_addresses_are_tried_each_with_its_share_of_time() {
    let world = World::default();
    world
        .when("socket 10.0.0.1:80", REFUSED_BY_TARGET)
        .when("socket 10.0.0.2:80", Act::Hang);
    let mut setup = Setup::new(&world, None);
    let table = Table(&[("t", &["10.0.0.1", "10.0.0.2", "10.0.0.3"])]);
    setup.router = setup.router.with_names(table.as_resolver());
    let start = Instant::now();
    let conn = setup.connect().await.unwrap();
    assert_eq!(conn.meta.route.as_deref(), Some("10.0.0.3:80"));
    assert_eq!(start.elapsed(), Duration::from_millis(7500));
}

#[tokio::test]
async fn addresses_that_rules_forbid_are_not_used() {
    let cases: &[(&'static [&'static str], Option<&str>)] = &[
        (&["10.0.0.1"], Some("socket 10.0.0.2:80")),
        (&["10.0.0.1", "10.0.0.2"], None),
    ];
    for (forbidden, dialed) in cases {
        let world = World::default();
        let router = Router::new(world.sockets())
            .with_names(Table(&[("t", &["10.0.0.1", "10.0.0.2"])]).as_hosts());
        let ask = Ask {
            bypass: Some(Arc::new(Hosts(forbidden))),
            ..Ask::default()
        };
        let result = router.connect(&tcp("t:80"), &ask).await;
        assert_eq!(world.log().first().map(String::as_str), *dialed);
        if dialed.is_none() {
            assert_eq!(failed(result).why(), Why::Denied);
        }
    }
}

#[tokio::test]
async fn a_name_that_means_this_machine_counts_as_loopback() {
    for (table, forbidden) in [
        (Table(&[("t", &["0.0.0.0"])]), Hosts(&["127.0.0.1"])),
        (Table(&[("t", &["::"])]), Hosts(&["::1"])),
    ] {
        let world = World::default();
        let router = Router::new(world.sockets()).with_names(table.as_hosts());
        let ask = Ask {
            bypass: Some(Arc::new(forbidden)),
            ..Ask::default()
        };
        let error = failed(router.connect(&tcp("t:80"), &ask).await);
        assert_eq!(error.why(), Why::Denied);
    }
}

#[tokio::test]
async fn rules_about_the_target_reach_those_who_resolve_it_but_not_the_nodes() {
    let world = World::default();
    let (n1, n2) = (world.node("n1"), world.node("n2"));
    let chain = chain(&[&[&n1], &[&n2]]);
    let router = Router::new(world.sockets()).with_chain(chain);
    let ask = Ask {
        bypass: Some(Arc::new(Hosts(&[]))),
        ..Ask::default()
    };
    router.connect(&tcp("t:80"), &ask).await.unwrap();
    for (asked, has_rules) in [
        ("socket n1.test:1", false),
        ("n1 connect n2.test:1", false),
        ("n2 connect t:80", true),
    ] {
        let ask = world.ask_of(asked);
        assert_eq!(ask.bypass.is_some(), has_rules, "{asked}");
        assert_eq!(ask.host.is_some(), has_rules, "{asked}");
    }
    // A direct way resolves the target at the sockets.
    let router = Router::new(world.sockets());
    router.connect(&tcp("t:80"), &ask).await.unwrap();
    assert!(world.ask_of("socket t:80").bypass.is_some());
}

#[tokio::test]
async fn the_interface_auto_is_where_the_client_connected_to() {
    let world = World::default();
    let make = {
        let world = world.clone();
        move |ip: IpAddr| world.named_sockets(&format!("from {ip}"))
    };
    let router = Router::new(world.sockets()).with_local_sockets(Arc::new(make));
    for (local, asked) in [
        (Some("192.0.2.1:1080"), "from 192.0.2.1 t:80"),
        (Some("0.0.0.0:1080"), "socket t:80"),
        (None, "socket t:80"),
    ] {
        let ask = Ask {
            local: local.map(|text| text.parse::<SocketAddr>().unwrap()),
            ..Ask::default()
        };
        router.connect(&tcp("t:80"), &ask).await.unwrap();
        assert_eq!(world.log(), [asked]);
    }
    let ip = "192.0.2.1".parse().unwrap();
    for (interfaces, replaced) in [
        ("auto", Some("192.0.2.1")),
        ("eth0,auto", Some("eth0,192.0.2.1")),
        ("automatic", None),
        ("auto!", None),
        ("", None),
    ] {
        assert_eq!(local_interface(interfaces, ip).as_deref(), replaced);
    }
}

#[tokio::test]
async fn binds_at_the_last_node_or_here_but_never_here_instead_of_there() {
    let world = World::default();
    let at = tcp(":9000");
    let how = BindOptions::default();
    let chained = |chain| Router::new(world.sockets()).with_chain(chain);
    let (n1, n2) = (world.node("n1"), world.node("n2"));

    let router = chained(chain(&[&[&n1], &[&n2]]));
    let listener = router.bind(&at, &Ask::default(), &how).await.unwrap();
    assert_eq!(listener.addr(), at.addr);
    assert_eq!(world.log().last().unwrap(), "n2 bind :9000");

    let router = Router::new(world.sockets());
    router.bind(&at, &Ask::default(), &how).await.unwrap();
    assert_eq!(world.log(), ["socket bind :9000"]);

    for empty in [chain(&[]), chain(&[&[]])] {
        let error = failed(chained(empty).bind(&at, &Ask::default(), &how).await);
        assert_eq!(error.why(), Why::NoRoute);
        assert!(world.log().is_empty());
    }

    // A node that refuses to bind has answered: that is not its failure.
    world.when("n1 bind :9000", Act::Fail(Why::InUse, Side::Target));
    let error = failed(
        chained(chain(&[&[&n1]]))
            .bind(&at, &Ask::default(), &how)
            .await,
    );
    assert_eq!(error.why(), Why::InUse);
    assert_eq!(fails(&n1.marker), 0);
}

#[tokio::test]
async fn the_address_of_a_node_is_looked_up_with_its_own_names() {
    let world = World::default();
    world.when("socket 10.9.0.1:1", REFUSED_BY_TARGET);
    let mut node = world.node_at("n1", "proxy.example:1");
    node.names = Table(&[("proxy.example", &["10.9.0.1", "10.9.0.2"])]).as_hosts();
    let mut setup = Setup::new(&world, Some(chain(&[&[&Arc::new(node)]])));
    setup.router = setup
        .router
        .with_names(Table(&[("proxy.example", &["10.1.1.1"])]).as_hosts());
    let (conn, log) = setup.walk().await;
    // The other address of the name is tried before the node counts as failed.
    assert_eq!(log[..2], ["socket 10.9.0.1:1", "socket 10.9.0.2:1"]);
    let route = conn.unwrap().meta.route;
    assert_eq!(route.as_deref(), Some("n1@proxy.example:1 > t:80"));
}

fn race(world: &World, names: &[&str]) -> (Setup, Vec<Arc<Node>>) {
    let nodes: Vec<_> = names.iter().map(|name| world.node(name)).collect();
    let refs: Vec<_> = nodes.iter().collect();
    let hop = hop_by("race", &refs, Strategy::Parallel);
    let chain = HopChain::new("c", vec![hop]);
    (Setup::new(world, Some(Arc::new(chain))), nodes)
}

#[tokio::test(start_paused = true)]
async fn in_a_race_the_first_to_answer_is_used() {
    let world = World::default();
    world
        .when("dial n1", Act::Hang)
        .when("dial n2", Act::Fail(Why::Reset, Side::Node));
    let (setup, nodes) = race(&world, &["n1", "n2", "n3"]);
    let start = Instant::now();
    let conn = setup.connect().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(conn.meta.route.as_deref(), Some("n3@n3.test:1 > t:80"));
    // The one that failed by itself is marked, the one that was only slower is not.
    let marks: Vec<_> = nodes.iter().map(|node| fails(&node.marker)).collect();
    assert_eq!(marks, [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_race_that_all_lose_marks_all() {
    let world = World::default();
    world
        .when("dial n1", Act::Hang)
        .when("dial n2", Act::Fail(Why::Reset, Side::Node));
    let (setup, nodes) = race(&world, &["n1", "n2"]);
    let error = failed(setup.connect().await);
    assert_eq!(error.at_side(), Side::Node);
    let marks: Vec<_> = nodes.iter().map(|node| fails(&node.marker)).collect();
    assert_eq!(marks, [1, 1]);
}

#[tokio::test]
async fn the_winner_of_a_race_that_fails_later_is_left_out_of_the_next() {
    let world = World::default();
    world.when("n1 connect t:80", Act::Fail(Why::Auth, Side::Node));
    world.when("n2 connect t:80", Act::Fail(Why::Auth, Side::Node));
    let (setup, _) = race(&world, &["n1", "n2", "n3"]);
    let conn = setup.connect().await.unwrap();
    assert_eq!(conn.meta.route.as_deref(), Some("n3@n3.test:1 > t:80"));
}

#[tokio::test]
async fn the_path_tells_apart_ways_that_look_alike() {
    let world = World::default();
    let sockets = world.sockets();
    let path = |steps: &[Step]| {
        route::fold(steps, &sockets, &Arc::default())
            .unwrap()
            .path()
    };
    let (a, b) = (world.node("n"), world.node("n"));
    let last = Step::Node(world.node("last"));
    let over = |node: &Arc<Node>| path(&[Step::Node(node.clone()), last.clone()]);
    assert_eq!(over(&a), over(&a));
    assert_ne!(over(&a), over(&b));
    assert_ne!(over(&a), path(&[last.clone()]));
    let race = |nodes: &[&Arc<Node>]| {
        let nodes = nodes.iter().map(|node| (*node).clone()).collect();
        path(&[Step::Race(nodes), last.clone()])
    };
    assert_ne!(race(&[&a, &b]), over(&a));
}

#[tokio::test]
async fn a_node_without_a_transport_is_no_way() {
    let world = World::default();
    let target = Arc::new(Node::new(gost_core::outbound::NodeAddr::new(
        Addr::parse("x:1").unwrap(),
    )));
    let setup = Setup::new(&world, Some(chain(&[&[&target]])));
    let error = failed(setup.connect().await);
    assert_eq!((error.why(), error.at_side()), (Why::Unsupported, Side::Us));
    assert_eq!(fails(&target.marker), 0);
}

#[tokio::test]
async fn a_session_opened_for_another_names_the_node_at_fault() {
    /// A hop whose node's dialer shares a failure that somebody else's request had.
    struct Shared(Arc<Node>, Arc<Node>);
    impl Hop for Shared {
        fn select<'a>(
            &'a self,
            _: &'a Request,
            tried: &'a [Arc<Node>],
        ) -> gost_core::policy::Answer<'a, Result<Choice>> {
            let free = [&self.0, &self.1]
                .into_iter()
                .find(|node| !tried.iter().any(|t| Arc::ptr_eq(t, node)));
            gost_core::policy::Answer::Now(free.map_or_else(
                || Err(Error::new(Why::NoRoute, "none")),
                |node| Ok(Choice::Node(node.clone())),
            ))
        }
    }
    struct Pool;
    #[async_trait]
    impl gost_core::outbound::Dialer for Pool {
        async fn dial(
            &self,
            _: &gost_core::outbound::NodeAddr,
            _: &Arc<dyn Outbound>,
            _: &Ask,
        ) -> Result<Conn> {
            Err(Error::new(Why::Refused, "dial n1").at_node(&"n1".into()))
        }
    }
    let world = World::default();
    let (n1, n2) = (world.node("n1"), world.node("n2"));
    let mut pooled = world.node_at("pooled", "pooled:1");
    pooled.transport.as_mut().unwrap().dialer = Arc::new(Pool);
    let other = world.node("other");
    let pooled = Arc::new(pooled);
    let hops: Vec<Arc<dyn Hop>> = vec![Arc::new(Shared(n1, n2)), hop("b", &[&pooled, &other])];
    let setup = Setup::new(&world, Some(Arc::new(HopChain::new("c", hops))));
    let (result, log) = setup.walk().await;
    // The pooled node is not charged; another way to it is tried, which ends the same here.
    assert_eq!(failed(result).node().map(|n| &**n), Some("n1"));
    assert!(log.is_empty());
    assert_eq!(fails(&pooled.marker), 0);
}
