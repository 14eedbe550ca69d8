mod blame;
mod naming;
mod races;
mod retries;

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
    assert_ne!(over(&a), path(std::slice::from_ref(&last)));
    let race = |nodes: &[&Arc<Node>]| {
        let nodes = nodes.iter().map(|node| (*node).clone()).collect();
        path(&[Step::Race(nodes), last.clone()])
    };
    assert_ne!(race(&[&a, &b]), over(&a));
}
