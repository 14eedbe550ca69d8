//! Who is at fault, and who is marked.

use super::*;

/// Where it fails, how, and who is marked: the first, the second, the chain.
#[tokio::test]
async fn failures_at_every_place_mark_the_node_at_fault() {
    use Act::Fail;
    type Case = (&'static str, Act, Option<&'static str>, Side, [u32; 3]);
    let cases: &[Case] = &[
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
    assert_eq!(error.route().map(|way| &**way), Some("n1@n1.test:1 > t:80"));
    // Without nodes it is what was dialed.
    world.when("socket t:80", REFUSED_BY_TARGET);
    let error = failed(Setup::new(&world, None).connect().await);
    assert_eq!(error.route().map(|way| &**way), Some("t:80"));
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

#[tokio::test]
async fn a_connector_may_name_its_own_node() {
    struct Naming(Why, Side);
    #[async_trait]
    impl gost_core::outbound::Connector for Naming {
        async fn connect(
            &self,
            _: Conn,
            to: &Target,
            cx: &gost_core::outbound::NodeCx<'_>,
        ) -> Result<Conn> {
            let error = Error::new(self.0, format!("ask for {to}"));
            Err(error.at_node(&cx.node.name).side(self.1))
        }
    }
    for (why, side, expected) in [
        (Why::TimedOut, Side::Node, 1),
        (Why::Closed, Side::Node, 1),
        (Why::Auth, Side::Node, 1),
        (Why::Denied, Side::Target, 0),
    ] {
        let world = World::default();
        let mut node = world.node_at("n", "n.test:1");
        node.transport.as_mut().unwrap().connector = Arc::new(Naming(why, side));
        let node = Arc::new(node);
        let setup = Setup::new(&world, Some(chain(&[&[&node]])));
        let error = failed(setup.connect().await);
        assert_eq!((error.why(), error.at_side()), (why, side));
        assert_eq!(fails(&node.marker), expected, "{error}");
    }
}

/// Opens in a task of its own, as a pool of sessions does.
struct Opener;

#[async_trait]
impl gost_core::outbound::Dialer for Opener {
    async fn dial(
        &self,
        node: &gost_core::outbound::NodeAddr,
        below: &Arc<dyn Outbound>,
        ask: &Ask,
    ) -> Result<Conn> {
        let (below, ask, to) = (below.clone(), ask.clone(), Target::tcp(node.addr.clone()));
        let opening = tokio::spawn(async move { below.connect(&to, &ask).await });
        opening.await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn silence_below_a_pool_is_not_charged_to_its_node() {
    let world = World::default();
    world.when("dial n1", Act::Hang);
    let n1 = world.node("n1");
    let mut pooled = world.node_at("pooled", "pooled:1");
    pooled.transport.as_mut().unwrap().dialer = Arc::new(Opener);
    let pooled = Arc::new(pooled);
    let setup = Setup::new(&world, Some(chain(&[&[&n1], &[&pooled]])));
    let error = failed(setup.connect().await);
    assert_eq!(error.node().map(|n| &**n), Some("n1"), "{error}");
    assert_eq!((fails(&n1.marker), fails(&pooled.marker)), (1, 0));
}
