//! When there is another attempt.

use super::*;

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
