//! Names, addresses and the rules about them.

use super::*;

#[tokio::test]
async fn names_that_are_known_here_reach_the_nodes_as_addresses() {
    for (names, asked) in [
        (
            Table(&[("t", &["10.0.0.1", "10.0.0.2"])]).into_hosts(),
            "n1 connect 10.0.0.1:80",
        ),
        (
            Table(&[("t", &["10.0.0.1"])]).into_resolver(),
            "n1 connect 10.0.0.1:80",
        ),
        (
            Table(&[("other", &["10.0.0.1"])]).into_hosts(),
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
async fn a_table_may_have_addresses_for_an_address_and_a_resolver_is_not_asked_for_it() {
    for (names, dialed) in [
        (
            Table(&[("192.0.2.1", &["10.0.0.1"])]).into_hosts(),
            "socket 10.0.0.1:80",
        ),
        (Table(&[]).into_hosts(), "socket 192.0.2.1:80"),
        (Table(&[]).into_resolver(), "socket 192.0.2.1:80"),
    ] {
        let world = World::default();
        let router = Router::new(world.sockets()).with_names(names);
        let ask = Ask::default();
        router.connect(&tcp("192.0.2.1:80"), &ask).await.unwrap();
        assert_eq!(world.log(), [dialed]);
    }
}

#[tokio::test]
async fn a_name_the_resolver_does_not_know_is_an_error() {
    let world = World::default();
    let mut setup = Setup::new(&world, None);
    setup.router = setup.router.with_names(Table(&[]).into_resolver());
    let (result, log) = setup.walk().await;
    let error = failed(result);
    assert_eq!(
        (error.why(), error.at_phase()),
        (Why::Unresolved, Phase::Resolve)
    );
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn directly_all_addresses_are_tried_with_a_head_start_for_each() {
    let world = World::default();
    world
        .when("socket 10.0.0.1:80", REFUSED_BY_TARGET)
        .when("socket 10.0.0.2:80", Act::Hang);
    let mut setup = Setup::new(&world, None);
    let table = Table(&[("t", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"])]);
    setup.router = setup.router.with_names(table.into_resolver());
    world.when("socket [2001:db8::1]:80", REFUSED_BY_TARGET);
    let start = Instant::now();
    let (conn, log) = setup.walk().await;
    let order = ["10.0.0.1", "[2001:db8::1]", "10.0.0.2", "10.0.0.3"];
    assert_eq!(log, order.map(|addr| format!("socket {addr}:80")));
    assert_eq!(conn.unwrap().meta.route.as_deref(), Some("10.0.0.3:80"));
    assert_eq!(start.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn what_became_of_each_address_is_said() {
    let world = World::default();
    world
        .when("socket 10.0.0.1:80", REFUSED_BY_TARGET)
        .when("socket 10.0.0.2:80", Act::Hang);
    let mut setup = Setup::new(&world, None);
    let table = Table(&[("t", &["10.0.0.1", "10.0.0.2"])]);
    setup.router = setup.router.with_names(table.into_resolver());
    let error = failed(setup.connect().await);
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::TimedOut, Side::Target)
    );
    assert_eq!(
        error.to_string(),
        "socket 10.0.0.1:80; socket 10.0.0.2:80/tcp: timed out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_is_dialed_at_the_first_of_its_addresses_that_answers() {
    let world = World::default();
    world.when("socket 10.9.0.1:1", Act::Hang);
    let mut node = world.node_at("n1", "proxy.example:1");
    node.names = Table(&[("proxy.example", &["10.9.0.1", "10.9.0.2"])]).into_resolver();
    let node = Arc::new(node);
    let setup = Setup::new(&world, Some(chain(&[&[&node]])));
    let start = Instant::now();
    setup.connect().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(250));
    assert_eq!(fails(&node.marker), 0);
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
            .with_names(Table(&[("t", &["10.0.0.1", "10.0.0.2"])]).into_hosts());
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
async fn rules_are_asked_about_what_a_table_has_for_an_address() {
    let world = World::default();
    let table = Table(&[("192.0.2.1", &["192.0.2.1", "10.0.0.1"])]);
    let router = Router::new(world.sockets()).with_names(table.into_hosts());
    world.when("socket 192.0.2.1:80", REFUSED_BY_TARGET);
    let ask = Ask {
        bypass: Some(Arc::new(Hosts(&["10.0.0.1"]))),
        ..Ask::default()
    };
    failed(router.connect(&tcp("192.0.2.1:80"), &ask).await);
    assert_eq!(world.log(), ["socket 192.0.2.1:80"]);
}

#[tokio::test]
async fn a_name_that_means_this_machine_counts_as_loopback() {
    for (table, forbidden) in [
        (Table(&[("t", &["0.0.0.0"])]), Hosts(&["127.0.0.1"])),
        (Table(&[("t", &["::"])]), Hosts(&["::1"])),
    ] {
        let world = World::default();
        let router = Router::new(world.sockets()).with_names(table.into_hosts());
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
async fn the_address_of_a_node_is_looked_up_with_its_own_names() {
    let world = World::default();
    world.when("socket 10.9.0.1:1", REFUSED_BY_TARGET);
    let mut node = world.node_at("n1", "proxy.example:1");
    node.names = Table(&[("proxy.example", &["10.9.0.1", "10.9.0.2"])]).into_hosts();
    let mut setup = Setup::new(&world, Some(chain(&[&[&Arc::new(node)]])));
    setup.router = setup
        .router
        .with_names(Table(&[("proxy.example", &["10.1.1.1"])]).into_hosts());
    let (conn, log) = setup.walk().await;
    // The other address of the name is tried before the node counts as failed.
    assert_eq!(log[..2], ["socket 10.9.0.1:1", "socket 10.9.0.2:1"]);
    let route = conn.unwrap().meta.route;
    assert_eq!(route.as_deref(), Some("n1@proxy.example:1 > t:80"));
}
